//! The aggregate policy `majority`: what most agents say.

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Decision, Guest, ItemState, Situation,
};
use aggregating::round;

struct Majority;
aggregating::bindings::export!(Majority with_types_in aggregating::bindings);

impl Guest for Majority {
    fn check(config: String) -> Result<(), PolicyError> {
        aggregating::no_config("majority", &config)
    }

    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(decide(&situation))
    }
}

/// One answer, and how many gave it.
struct Votes {
    /// The item that was asked first of those who gave it.
    item: u32,
    /// None where the answer was cut: of that nobody here knows whether another says
    /// the same.
    answer: Option<String>,
    count: usize,
}

/// Answers as soon as more than half of those who can still vote agree, and with
/// the most frequent answer when all have spoken; of equals the one asked first.
fn decide(situation: &Situation) -> Decision {
    let mut answers: Vec<Votes> = Vec::new();
    let mut voting = 0;
    for item in round::of_caller(situation) {
        voting += usize::from(matches!(item.state, ItemState::Running));
        let Some(reply) = round::success(item) else {
            continue;
        };
        voting += 1;
        let answer = reply.complete.then(|| reply.text.trim().to_lowercase());
        match answers.iter_mut().find(|votes| votes.answer.is_some() && votes.answer == answer) {
            Some(votes) => votes.count += 1,
            None => answers.push(Votes { item: item.id, answer, count: 1 }),
        }
    }
    // `max_by_key` takes the last of equals.
    match answers.iter().rev().max_by_key(|votes| votes.count) {
        Some(most) if 2 * most.count > voting || !round::running(situation) => {
            Decision::Answer(Answer::Item(most.item))
        }
        None if !round::running(situation) => {
            Decision::GiveUp(round::failures(round::of_caller(situation)))
        }
        _ => Decision::Wait,
    }
}
