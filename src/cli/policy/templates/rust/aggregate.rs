//! An aggregate policy: how many answers become one.
//!
//! The functions and what they take are those of wit/aggregate.wit and wit/types.wit.

wit_bindgen::generate!({ path: "wit", world: "aggregate-policy" });

use agent_dispatch::policy::types::PolicyError;
use exports::agent_dispatch::policy::aggregate::{Answer, Decision, Guest, ItemState, Situation};
use serde::Deserialize;

/// What may stand under `config:` of the policy's entry in agents.yaml: nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Policy;
export!(Policy);

impl Guest for Policy {
    fn check(config: String) -> Result<(), PolicyError> {
        let read = serde_json::from_str::<Config>(&config);
        read.map(|_| ()).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
    }

    /// Waits for all, and takes the longest answer; of equals the one that was asked first.
    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        let mut longest = None;
        for item in &situation.items {
            match &item.state {
                ItemState::Running => return Ok(Decision::Wait),
                ItemState::Settled(reply) if reply.success => {
                    if longest.is_none_or(|(_, size)| reply.size > size) {
                        longest = Some((item.id, reply.size));
                    }
                }
                ItemState::Settled(_) | ItemState::Cancelled => {}
            }
        }
        Ok(match longest {
            Some((id, _)) => Decision::Answer(Answer::Item(id)),
            None => Decision::GiveUp("no agent has answered".to_owned()),
        })
    }
}
