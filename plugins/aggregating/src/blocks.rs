//! Results one after the other, each under its agent's name.
//!
//! The format is a promise: people's instructions to their aggregators speak of these
//! headings, so not a byte of them changes.

use crate::bindings::agent_dispatch::policy::types::Piece;
use crate::bindings::exports::agent_dispatch::policy::aggregate::{Item, ItemState, Situation};
use crate::round;

/// The results of the caller's items.
pub fn of_caller(situation: &Situation) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for item in round::of_caller(situation) {
        let gap = if pieces.is_empty() { "" } else { "\n\n" };
        let heading = format!("{gap}## Agent: {} [{}]\n", item.agent, status(item));
        pieces.push(Piece::Text(heading));
        pieces.push(match round::success(item) {
            Some(_) => round::whole(item),
            None => Piece::Text(round::failure(item).to_owned()),
        });
    }
    pieces
}

/// How the item ended, and what its agent says of its work.
fn status(item: &Item) -> String {
    let ended = if round::success(item).is_some() { "OK" } else { "FAILED" };
    let outcome = match &item.state {
        ItemState::Settled(reply) => reply.outcome.as_deref(),
        _ => None,
    };
    let reported = match outcome {
        Some("partial") => ", agent reports PARTIAL",
        Some("blocked") => ", agent reports BLOCKED",
        _ => "",
    };
    format!("{ended}{reported}")
}
