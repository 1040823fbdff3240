//! A dialogue policy: who speaks next, and when a dialogue is over.
//!
//! The functions and what they take are those of wit/dialogue.wit and wit/types.wit.

wit_bindgen::generate!({ path: "wit", world: "dialogue-policy" });

use agent_dispatch::policy::types::{Piece, PolicyError, Span};
use exports::agent_dispatch::policy::dialogue::{Decision, Guest, Side, Situation, Speak};
use serde::Deserialize;

/// What may stand under `config:` of the policy's entry in agents.yaml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The last line of a message that ends the dialogue.
    #[serde(default = "agreed")]
    word: String,
}

fn agreed() -> String {
    "AGREED".to_owned()
}

struct Policy;
export!(Policy);

impl Guest for Policy {
    fn check(config: String) -> Result<(), PolicyError> {
        match read(&config)?.word.trim() {
            "" => Err(PolicyError::InvalidConfig("word has to be a text".to_owned())),
            _ => Ok(()),
        }
    }

    /// Each is told what the other one said, until one agrees.
    fn step(config: String, situation: Situation) -> Result<Decision, PolicyError> {
        let word = read(&config)?.word;
        let ending =
            format!("\n\nOnce you agree and nothing is open, end with a line that is just {word}.");
        let topic = format!("Let us settle this: {}", situation.topic);
        let Some((last, before)) = situation.turns.split_last() else {
            return Ok(speak(Side::Responder, vec![Piece::Text(topic + &ending)]));
        };
        let (number, text) = (before.len(), &last.reply.text);
        let said = text.trim_end();
        // Counted from the end: the beginning may have been cut.
        if said.lines().last() == Some(&word) {
            let removed = text.len() - said.len() + word.len();
            let end = last.reply.size - removed as u64;
            return Ok(Decision::Resolved(vec![quote(number, end)]));
        }
        let to = match last.side {
            Side::Requester => Side::Responder,
            Side::Responder => Side::Requester,
        };
        let opening = if before.is_empty() { topic + "\n\n" } else { String::new() };
        let heading = Piece::Text(opening + "The other side says:\n\n");
        Ok(speak(to, vec![heading, quote(number, last.reply.size), Piece::Text(ending)]))
    }
}

fn speak(to: Side, message: Vec<Piece>) -> Decision {
    Decision::Speak(Speak { to, message, tag: String::new() })
}

/// What a turn's reply says up to this byte, whole even where this policy saw only parts.
fn quote(turn: usize, end: u64) -> Piece {
    Piece::Reply(Span { reply: turn as u32, start: 0, end })
}

/// The config, or an error for the person who wrote it.
fn read(config: &str) -> Result<Config, PolicyError> {
    serde_json::from_str(config).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
}
