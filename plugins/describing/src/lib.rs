//! What the built-in describe policies share: the bindings to the interface, a project as
//! the rules see it, and the rules of the default policy.

/// The interface, as wit-bindgen makes it; `export!` in it exports a policy.
pub mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "describe-policy", pub_export_macro: true });
}
mod classic;
pub mod json;
mod project;

use bindings::agent_dispatch::policy::types::PolicyError;

pub use classic::{
    add_new, databases, description_in_package_json, introduction, mcp_servers, sentence, stacks,
};
pub use project::{InMemory, Project, lines};

/// Accepts the config of a policy that has none, as [`config::none`].
pub fn no_config(policy: &str, config: &str) -> Result<(), PolicyError> {
    config::none(policy, config).map_err(PolicyError::InvalidConfig)
}
