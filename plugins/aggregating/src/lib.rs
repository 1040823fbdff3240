//! What the built-in aggregate policies share: the bindings to the interface, what is
//! asked about items, and how results stand one after the other.

/// The interface, as wit-bindgen makes it; `export!` in it exports a policy.
pub mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "aggregate-policy", pub_export_macro: true });
}
pub mod blocks;
pub mod round;

use bindings::agent_dispatch::policy::types::PolicyError;
use bindings::exports::agent_dispatch::policy::aggregate::Decision;
use serde::de::DeserializeOwned;

/// Accepts the config of a policy that has none, as [`config::none`].
pub fn no_config(policy: &str, config: &str) -> Result<(), PolicyError> {
    config::none(policy, config).map_err(PolicyError::InvalidConfig)
}

/// The settings of a policy that has some, as [`config::read`].
pub fn config<Settings: DeserializeOwned>(
    config: &str,
    example: &str,
) -> Result<Settings, PolicyError> {
    config::read(config, example).map_err(PolicyError::InvalidConfig)
}

/// What a policy that needs an aggregator says where the caller named none. Said at the
/// first call, before anything has been started, it costs nothing.
pub fn no_aggregator() -> Decision {
    Decision::GiveUp(
        "there is no agent to put the answers together: name one in `aggregate`, or choose a \
         policy that needs none, such as `concatenate`"
            .to_owned(),
    )
}
