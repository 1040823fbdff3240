//! One component with seven small policies, three of them for dialogues: the proof
//! that the interfaces `aggregate` and `dialogue` carry what they are meant to.
//!
//! The config names the rule: `{"rule": "majority"}`. A component without state
//! plays whole loops, because all it needs to know comes back with each call.

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package agent-dispatch:proof;
            world proof {
                include agent-dispatch:policy/aggregate-policy@0.1.0;
                include agent-dispatch:policy/dialogue-policy@0.1.0;
            }
        ",
        world: "agent-dispatch:proof/proof",
        generate_all,
    });
    export!(Proof with_types_in self);
    use super::Proof;
}
mod dialogue;
mod first_success;
mod judge_then_refine;
mod majority;
mod map_reduce;
mod round;

use std::num::NonZeroU64;

use bindings::agent_dispatch::policy::types::PolicyError;
use bindings::exports::agent_dispatch::policy::{aggregate, dialogue as talk};
use serde::Deserialize;
use serde::de::DeserializeOwned;

struct Proof;

/// How many answers become one.
#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
enum AggregateRule {
    Majority {},
    FirstSuccess {},
    JudgeThenRefine {},
    MapReduce {
        /// So many bytes of replies are put before the aggregator at once.
        bound: NonZeroU64,
    },
}

/// When a dialogue is over.
#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
enum DialogueRule {
    Marker {},
    NoProgress {},
    Budget {
        /// The part of the money, from 0 to 1, that is not to be touched.
        share: f64,
    },
}

fn rule<Rule: DeserializeOwned>(config: &str) -> Result<Rule, PolicyError> {
    serde_json::from_str(config).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
}

impl aggregate::Guest for Proof {
    fn check(config: String) -> Result<(), PolicyError> {
        rule::<AggregateRule>(&config).map(drop)
    }

    fn step(
        config: String,
        situation: aggregate::Situation,
    ) -> Result<aggregate::Decision, PolicyError> {
        Ok(match rule(&config)? {
            AggregateRule::Majority {} => majority::step(&situation),
            AggregateRule::FirstSuccess {} => first_success::step(&situation),
            AggregateRule::JudgeThenRefine {} => judge_then_refine::step(&situation),
            AggregateRule::MapReduce { bound } => map_reduce::step(bound, &situation),
        })
    }
}

impl talk::Guest for Proof {
    fn check(config: String) -> Result<(), PolicyError> {
        match rule(&config)? {
            DialogueRule::Budget { share } if !(0.0..=1.0).contains(&share) => {
                Err(PolicyError::InvalidConfig(format!(
                    "`share` is {share}, but it must be a number from 0 to 1"
                )))
            }
            _ => Ok(()),
        }
    }

    fn step(config: String, situation: talk::Situation) -> Result<talk::Decision, PolicyError> {
        let rule = rule(&config)?;
        Ok(dialogue::failure(&situation)
            .or_else(|| match rule {
                DialogueRule::Marker {} => dialogue::marker(&situation),
                DialogueRule::NoProgress {} => dialogue::no_progress(&situation),
                DialogueRule::Budget { share } => dialogue::budget(share, &situation),
            })
            .unwrap_or_else(|| dialogue::next_turn(&situation)))
    }
}
