//! The dialogue policy `agreement-dialogue`: over when both sides say that they agree, and on
//! what. It stops when they go round in circles.

mod agreement;
mod circles;
mod message;

/// The interface, as wit-bindgen makes it.
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "dialogue-policy" });
}

use bindings::agent_dispatch::policy::types::{Piece, PolicyError};
use bindings::exports::agent_dispatch::policy::dialogue::{
    Decision, Guest, Side, Situation, Stop, Turn,
};
use serde::Deserialize;

struct AgreementDialogue;
bindings::export!(AgreementDialogue with_types_in bindings);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share of its words that a message may have in common with an earlier one of the
    /// same side before it counts as the same again.
    #[serde(default = "most_words")]
    same_words: f64,
}

fn most_words() -> f64 {
    0.9
}

impl Guest for AgreementDialogue {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(|_| ())
    }

    fn step(config: String, situation: Situation) -> Result<Decision, PolicyError> {
        let config = read(&config)?;
        if let Some(summary) = agreement::of_both(&situation.turns) {
            return Ok(Decision::Resolved(vec![Piece::Text(summary.to_owned())]));
        }
        Ok(circle(&config, &situation).unwrap_or_else(|| message::next(&situation)))
    }
}

fn read(config: &str) -> Result<Config, PolicyError> {
    let wrong = |problem: &str| {
        PolicyError::InvalidConfig(format!(
            "{problem}; a config looks like this: {{\"same_words\": 0.8}}"
        ))
    };
    let config: Config = serde_json::from_str(config).map_err(|error| wrong(&error.to_string()))?;
    if (0.5..=1.0).contains(&config.same_words) {
        Ok(config)
    } else {
        Err(wrong("`same_words` has to be from 0.5 to 1"))
    }
}

/// Stops where the last message is one that its side has sent before, however long ago.
fn circle(config: &Config, situation: &Situation) -> Option<Decision> {
    let (last, before) = situation.turns.split_last()?;
    // Of what was cut nobody here knows whether it says the same.
    let same = |turn: &&Turn| {
        turn.side == last.side
            && turn.reply.complete
            && last.reply.complete
            && circles::is_again(&last.reply.text, &turn.reply.text, config.same_words)
    };
    let earlier = before.iter().find(same)?;
    let reason = format!(
        "{} says in round {} what it said in round {}: the two go round in circles",
        name(situation, last.side),
        last.round,
        earlier.round
    );
    Some(Decision::Stop(Stop { reason, answer: None }))
}

/// The name of the agent on this side.
fn name(situation: &Situation, side: Side) -> &str {
    match side {
        Side::Requester => &situation.requester.name,
        Side::Responder => &situation.responder.name,
    }
}
