//! The aggregate policy `first-success`: whoever is done first.

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Decision, Guest, Situation,
};
use aggregating::round;

struct FirstSuccess;
aggregating::bindings::export!(FirstSuccess with_types_in aggregating::bindings);

impl Guest for FirstSuccess {
    fn check(config: String) -> Result<(), PolicyError> {
        aggregating::no_config("first-success", &config)
    }

    /// Answers with the first success, by which the others are cancelled; of several
    /// that are new at once with the one asked first.
    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(match round::of_caller(&situation).find(|item| round::success(item).is_some()) {
            Some(item) => Decision::Answer(Answer::Item(item.id)),
            None if round::running(&situation) => Decision::Wait,
            None => Decision::GiveUp(round::failures(round::of_caller(&situation))),
        })
    }
}
