//! What each side is told as long as the two do not agree.

use crate::agreement::ASKED;
use crate::bindings::agent_dispatch::policy::types::{Piece, Span};
use crate::bindings::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Situation, Speak,
};
use crate::name;

/// The responder is spoken to first; then each side reads what the other one has said.
pub(crate) fn next(situation: &Situation) -> Decision {
    let topic = &situation.topic;
    let Some((last, before)) = situation.turns.split_last() else {
        let other = &situation.requester.name;
        let text =
            format!("You and the agent '{other}' are to agree on this:\n\n{topic}\n\n{ASKED}");
        return speak(Side::Responder, vec![Piece::Text(text)]);
    };
    let speaker = name(situation, last.side);
    // The requester has heard nothing before its first turn.
    let opening = match before {
        [] => format!(
            "You and the agent '{speaker}' are to agree on this:\n\n{topic}\n\nIt says:\n\n"
        ),
        _ => format!("The agent '{speaker}' says:\n\n"),
    };
    let to = match last.side {
        Side::Requester => Side::Responder,
        Side::Responder => Side::Requester,
    };
    // Named and not copied: the other side reads all of it, also where it was cut here.
    let reply = u32::try_from(before.len()).unwrap_or(u32::MAX);
    let said = Piece::Reply(Span { reply, start: 0, end: u64::MAX });
    speak(to, vec![Piece::Text(opening), said, Piece::Text(format!("\n\n{ASKED}"))])
}

fn speak(to: Side, message: Vec<Piece>) -> Decision {
    Decision::Speak(Speak { to, message, tag: String::new() })
}
