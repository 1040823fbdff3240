//! When a dialogue is resolved.

use crate::bindings::exports::agent_dispatch::policy::dialogue::{Decision, Situation};

/// What a message ends with when nothing is left to say.
pub(crate) const MARKER: &str = "[RESOLVED]";

/// Signs of emphasis, which agents like to put around the marker.
const EMPHASIS: [char; 3] = ['*', '_', '`'];

/// Over when the last message ends with the marker. A mention of it is none.
///
/// The answer is the message without it. Where the message is nothing but the marker, it
/// agrees with what the other side said last, and that is the answer.
pub fn resolved(situation: &Situation) -> Option<Decision> {
    let (last, before) = situation.turns.split_last()?;
    let reply = &last.reply;
    let answer = before_marker(&reply.text)?;
    if !answer.trim_end_matches(is_decoration).is_empty() {
        // Of a text that was cut the tail is there, so this counts from its end.
        let removed = (reply.text.len() - answer.len()) as u64;
        let end = reply.size.saturating_sub(removed);
        return Some(Decision::Resolved(vec![crate::reply(before.len(), end)]));
    }
    let other = before.iter().rposition(|turn| turn.side != last.side);
    Some(match other {
        Some(turn) => Decision::Resolved(vec![crate::reply(turn, u64::MAX)]),
        None => crate::stop(format!(
            "{} ended the dialogue with its first message and gave no answer",
            crate::name(situation, last.side)
        )),
    })
}

/// The message before the marker that it ends with, trimmed at its end.
///
/// Only emphasis that touches the marker is its own: what stands further before it, a
/// full stop or the end of a code block, belongs to the message.
fn before_marker(message: &str) -> Option<&str> {
    let message = message.trim_end_matches(is_decoration).strip_suffix(MARKER)?;
    Some(message.trim_end_matches(EMPHASIS).trim_end())
}

fn is_decoration(c: char) -> bool {
    c.is_whitespace() || c == '.' || EMPHASIS.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::before_marker;

    #[test]
    fn the_marker_and_its_emphasis_are_taken_off() {
        for (message, answer) in [
            ("Use a cache.\n\n[RESOLVED]", "Use a cache."),
            ("Use a cache. **[RESOLVED]**.\n", "Use a cache."),
            ("Use a cache `[RESOLVED]` _", "Use a cache"),
            ("**Use a cache.**\n***[RESOLVED].***", "**Use a cache.**"),
            ("```\ncache\n```\n[RESOLVED]", "```\ncache\n```"),
            ("No [RESOLVED] yet. Now: [RESOLVED]", "No [RESOLVED] yet. Now:"),
            ("Grüße 🦀[RESOLVED]", "Grüße 🦀"),
            ("[RESOLVED]", ""),
        ] {
            assert_eq!(before_marker(message), Some(answer), "{message:?}");
        }
    }

    #[test]
    fn a_mention_is_none() {
        for message in [
            "",
            "I will not say [RESOLVED] yet",
            "[RESOLVED] is what you want to hear?",
            "[resolved]",
            "[RESOLVED]?",
            "[RESOLVED]!",
            "RESOLVED",
            "[RESOLVED",
            "\"[RESOLVED]\"",
            "[RESOLVED](https://example.org)",
        ] {
            assert_eq!(before_marker(message), None, "{message:?}");
        }
    }
}
