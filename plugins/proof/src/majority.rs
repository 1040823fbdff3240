//! What most agents say.

use crate::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Decision, ItemState, Situation,
};
use crate::round;

/// Answers as soon as more than half of those who can still vote agree, and with
/// the most frequent answer when all have spoken; of equals the one asked first.
pub(crate) fn step(situation: &Situation) -> Decision {
    let mut answers: Vec<(u32, Option<String>, usize)> = Vec::new();
    let mut voting = 0;
    for item in round::of_caller(situation) {
        voting +=
            usize::from(matches!(item.state, ItemState::Running) || round::success(item).is_some());
        let Some(reply) = round::success(item) else {
            continue;
        };
        // Of what was cut nobody here knows whether it says the same.
        let answer = reply.complete.then(|| reply.text.trim().to_lowercase());
        match answers.iter_mut().find(|(_, text, _)| text.is_some() && *text == answer) {
            Some((_, _, count)) => *count += 1,
            None => answers.push((item.id, answer, 1)),
        }
    }
    // `max_by_key` takes the last of equals.
    match answers.iter().rev().max_by_key(|(_, _, count)| *count) {
        Some((item, _, count)) if 2 * count > voting || !round::running(situation) => {
            Decision::Answer(Answer::Item(*item))
        }
        None if !round::running(situation) => {
            Decision::GiveUp(round::failures(round::of_caller(situation)))
        }
        _ => Decision::Wait,
    }
}
