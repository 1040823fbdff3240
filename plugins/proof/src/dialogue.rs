//! When a dialogue is over, and what is said as long as it is not.

use std::collections::HashMap;

use crate::bindings::agent_dispatch::policy::types::{Piece, Span};
use crate::bindings::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Situation, Speak, Stop, Turn,
};

const MARKER: &str = "[RESOLVED]";
/// Signs that may follow the marker: emphasis and a full stop.
const DECORATION: [char; 4] = ['*', '_', '`', '.'];

/// Over when a side could not reply, whatever the rule; what it said by then is no
/// message.
pub(crate) fn failure(situation: &Situation) -> Option<Decision> {
    let Turn { side, reply, .. } = situation.turns.last()?;
    (!reply.success).then(|| {
        let why = reply.error.as_deref().unwrap_or("it did not say why");
        stop(format!("{} could not reply: {why}", name(situation, *side)))
    })
}

/// Over when a message ends with the marker. A mention of it is none.
pub(crate) fn marker(situation: &Situation) -> Option<Decision> {
    let reply = &situation.turns.last()?.reply;
    let answer = reply.text.trim_end_matches(is_decoration).strip_suffix(MARKER)?;
    let answer = answer.trim_end_matches(is_decoration);
    // Of a text that was cut the tail is there, so this counts from its end.
    let removed = (reply.text.len() - answer.len()) as u64;
    Some(Decision::Resolved(vec![last_reply(situation, reply.size.saturating_sub(removed))]))
}

fn is_decoration(c: char) -> bool {
    c.is_whitespace() || DECORATION.contains(&c)
}

/// Over when a side says again, to nine words in ten, what it said before. Of what
/// was cut nobody here knows whether it says the same.
pub(crate) fn no_progress(situation: &Situation) -> Option<Decision> {
    let turn = situation.turns.last()?;
    let before = situation.turns.iter().rev().skip(1).find(|earlier| earlier.side == turn.side)?;
    if !(turn.reply.complete && before.reply.complete) {
        return None;
    }
    let mut said: HashMap<String, u32> = HashMap::new();
    for word in words(&before.reply.text) {
        *said.entry(word).or_default() += 1;
    }
    let (mut all, mut same) = (0, 0);
    for word in words(&turn.reply.text) {
        all += 1;
        if let Some(count) = said.get_mut(&word).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    (10 * same >= 9 * all).then(|| {
        stop(format!(
            "{} repeats itself, so the dialogue makes no progress",
            name(situation, turn.side)
        ))
    })
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Over when less than `share` of the money that was granted is left.
pub(crate) fn budget(share: f64, situation: &Situation) -> Option<Decision> {
    let granted = situation.granted.spend_usd?;
    let left = situation.left.spend_usd?;
    (left < share * granted).then(|| {
        stop(format!(
            "of {granted:.2} dollars {left:.2} are left, and a share of {share} is to be kept"
        ))
    })
}

/// The responder speaks first; then each is told what the other said.
pub(crate) fn next_turn(situation: &Situation) -> Decision {
    let Some(Turn { side, .. }) = situation.turns.last() else {
        return speak(
            Side::Responder,
            vec![Piece::Text(format!(
                "The agent '{}' asks for your help and reads your reply. When nothing is left to say, end with {MARKER}.\n\nTopic:\n{}",
                situation.requester.name, situation.topic
            ))],
        );
    };
    let from = name(situation, *side);
    let to = other(*side);
    // The requester has not heard the topic from us before its first turn.
    let topic = match (to, situation.turns.len()) {
        (Side::Requester, 1) => format!("Topic:\n{}\n\n", situation.topic),
        _ => String::new(),
    };
    speak(
        to,
        vec![
            Piece::Text(format!("{topic}The agent '{from}' says:\n\n")),
            last_reply(situation, u64::MAX),
            Piece::Text(format!("\n\nWhen nothing is left to say, end with {MARKER}.")),
        ],
    )
}

/// The last reply up to this byte, also where this policy saw only parts of it.
fn last_reply(situation: &Situation, end: u64) -> Piece {
    let last = situation.turns.len().saturating_sub(1);
    Piece::Reply(Span { reply: u32::try_from(last).unwrap_or(u32::MAX), start: 0, end })
}

fn speak(to: Side, message: Vec<Piece>) -> Decision {
    Decision::Speak(Speak { to, message, tag: String::new() })
}

fn stop(reason: String) -> Decision {
    Decision::Stop(Stop { reason, answer: None })
}

fn name(situation: &Situation, side: Side) -> &str {
    match side {
        Side::Requester => &situation.requester.name,
        Side::Responder => &situation.responder.name,
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Requester => Side::Responder,
        Side::Responder => Side::Requester,
    }
}
