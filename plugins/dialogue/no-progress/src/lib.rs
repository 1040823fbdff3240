//! The dialogue policy `no-progress`: as `resolved`, and it ends when a side says again
//! what it said before.

mod repeats;

use talking::bindings::agent_dispatch::policy::types::PolicyError;
use talking::bindings::exports::agent_dispatch::policy::dialogue::{Decision, Guest, Situation};

struct NoProgress;
talking::bindings::export!(NoProgress with_types_in talking::bindings);

impl Guest for NoProgress {
    fn check(config: String) -> Result<(), PolicyError> {
        talking::no_config("no-progress", &config)
    }

    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(talking::resolved(&situation)
            .or_else(|| repetition(&situation))
            .unwrap_or_else(|| talking::next_turn(&situation)))
    }
}

/// Over when a side repeats its own message before. That it agrees with the other side
/// is no reason.
fn repetition(situation: &Situation) -> Option<Decision> {
    let (last, before) = situation.turns.split_last()?;
    let earlier = before.iter().rfind(|turn| turn.side == last.side)?;
    // Of what was cut nobody here knows whether it says the same.
    let known = last.reply.complete && earlier.reply.complete;
    (known && repeats::repeats(&last.reply.text, &earlier.reply.text)).then(|| {
        talking::stop(format!(
            "{} repeats itself, so the dialogue makes no progress",
            talking::name(situation, last.side)
        ))
    })
}
