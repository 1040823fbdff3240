//! What the built-in dialogue policies share: the bindings to the interface, the marker
//! that ends a dialogue, and what is said until then.

/// The interface, as wit-bindgen makes it; `export!` in it exports a policy.
pub mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "dialogue-policy", pub_export_macro: true });
}
mod marker;
mod message;

use bindings::agent_dispatch::policy::types::{Piece, PolicyError, Span};
use bindings::exports::agent_dispatch::policy::dialogue::{Decision, Side, Situation, Stop};
use serde::de::DeserializeOwned;

pub use marker::resolved;
pub use message::next_turn;

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

/// Ends the dialogue unresolved; the responder's last word is the answer.
pub fn stop(reason: String) -> Decision {
    Decision::Stop(Stop { reason, answer: None })
}

/// The name of the agent on this side.
pub fn name(situation: &Situation, side: Side) -> &str {
    match side {
        Side::Requester => &situation.requester.name,
        Side::Responder => &situation.responder.name,
    }
}

/// The reply of the turn at this place from its beginning up to this byte, also where
/// this policy saw only parts of it.
fn reply(turn: usize, end: u64) -> Piece {
    Piece::Reply(Span { reply: u32::try_from(turn).unwrap_or(u32::MAX), start: 0, end })
}
