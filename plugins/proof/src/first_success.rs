//! Whoever is done first.

use crate::bindings::exports::agent_dispatch::policy::aggregate::{Answer, Decision, Situation};
use crate::round;

/// Answers with the first success; the others are cancelled by that.
pub(crate) fn step(situation: &Situation) -> Decision {
    match round::of_caller(situation).find(|item| round::success(item).is_some()) {
        Some(item) => Decision::Answer(Answer::Item(item.id)),
        None if round::running(situation) => Decision::Wait,
        None => Decision::GiveUp(round::failures(round::of_caller(situation))),
    }
}
