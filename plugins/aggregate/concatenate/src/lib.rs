//! The aggregate policy `concatenate`: all results one after the other, as they are.

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Decision, Guest, Situation,
};
use aggregating::{blocks, round};

struct Concatenate;
aggregating::bindings::export!(Concatenate with_types_in aggregating::bindings);

impl Guest for Concatenate {
    fn check(config: String) -> Result<(), PolicyError> {
        aggregating::no_config("concatenate", &config)
    }

    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        if round::running(&situation) {
            return Ok(Decision::Wait);
        }
        let mut items = round::of_caller(&situation);
        Ok(if items.any(|item| round::success(item).is_some()) {
            Decision::Answer(Answer::Text(blocks::of_caller(&situation)))
        } else {
            Decision::GiveUp(round::failures(round::of_caller(&situation)))
        })
    }
}
