//! The dialogue policy `resolved`: the two talk until a message ends with the marker.

use talking::bindings::agent_dispatch::policy::types::PolicyError;
use talking::bindings::exports::agent_dispatch::policy::dialogue::{Decision, Guest, Situation};

struct Resolved;
talking::bindings::export!(Resolved with_types_in talking::bindings);

impl Guest for Resolved {
    fn check(config: String) -> Result<(), PolicyError> {
        talking::no_config("resolved", &config)
    }

    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(talking::resolved(&situation).unwrap_or_else(|| talking::next_turn(&situation)))
    }
}
