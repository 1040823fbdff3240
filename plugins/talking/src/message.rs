//! What each side is told as long as a dialogue goes on.

use crate::bindings::agent_dispatch::policy::types::Piece;
use crate::bindings::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Situation, Speak, Turn,
};
use crate::marker::MARKER;

/// The responder is spoken to first; then each side is told what the other one said.
pub fn next_turn(situation: &Situation) -> Decision {
    let (to, message) = match situation.turns.split_last() {
        None => (Side::Responder, vec![Piece::Text(opening(situation))]),
        Some((Turn { side: Side::Responder, .. }, before)) => {
            // Nobody has told the requester the topic before its first turn.
            let topic = if before.is_empty() { topic(situation) + "\n\n" } else { String::new() };
            (Side::Requester, quote(&topic, &situation.responder.name, before.len()))
        }
        Some((Turn { side: Side::Requester, .. }, before)) => {
            (Side::Responder, quote("", &situation.requester.name, before.len()))
        }
    };
    Decision::Speak(Speak { to, message, tag: String::new() })
}

fn opening(situation: &Situation) -> String {
    format!(
        "The agent '{}' wants to settle the topic below with you and reads what you reply. \
         Give your view, and ask what you need to know. {}\n\n{}",
        situation.requester.name,
        how_to_end(),
        topic(situation)
    )
}

/// The reply of the turn at this place, passed on whole.
fn quote(topic: &str, speaker: &str, turn: usize) -> Vec<Piece> {
    vec![
        Piece::Text(format!("{topic}The agent '{speaker}' says:\n\n")),
        crate::reply(turn, u64::MAX),
        Piece::Text(format!("\n\nReply to it. {}", how_to_end())),
    ]
}

fn topic(situation: &Situation) -> String {
    format!("Topic:\n{}", situation.topic)
}

fn how_to_end() -> String {
    format!("When your answer is complete and no question is open, end your reply with {MARKER}.")
}
