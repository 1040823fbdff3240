//! What every policy asks about the items of a situation.

use crate::bindings::agent_dispatch::policy::types::{Piece, Reply, Span};
use crate::bindings::exports::agent_dispatch::policy::aggregate::{Item, ItemState, Situation};

/// The items that the caller asked for, and not a policy.
pub fn of_caller(situation: &Situation) -> impl Iterator<Item = &Item> {
    situation.items.iter().filter(|item| item.round == 0)
}

/// Does any item still run?
pub fn running(situation: &Situation) -> bool {
    situation.items.iter().any(|item| matches!(item.state, ItemState::Running))
}

/// May the policy still ask so often, in so many rounds?
pub fn may_ask(situation: &Situation, asks: u64, rounds: u32) -> bool {
    let left = &situation.left;
    asks <= left.asks.into() && rounds <= left.rounds && !is_spent(situation)
}

/// Is there a budget, and is it used up?
pub fn is_spent(situation: &Situation) -> bool {
    situation.left.spend_usd.is_some_and(|usd| usd <= 0.0)
}

/// The item's reply, if it is a success.
pub fn success(item: &Item) -> Option<&Reply> {
    match &item.state {
        ItemState::Settled(reply) if reply.success => Some(reply),
        _ => None,
    }
}

/// Why the item has no success to show.
pub fn failure(item: &Item) -> &str {
    match &item.state {
        ItemState::Running => "still running",
        ItemState::Cancelled => "cancelled",
        ItemState::Settled(reply) => reply.error.as_deref().unwrap_or("failed without saying why"),
    }
}

/// Why none of the items came to anything.
pub fn failures<'items>(items: impl Iterator<Item = &'items Item>) -> String {
    let failures: Vec<_> = items
        .filter(|item| success(item).is_none())
        .map(|item| format!("{}: {}", item.agent, failure(item)))
        .collect();
    format!("no agent succeeded ({})", failures.join("; "))
}

/// The item's reply from end to end, also where this policy saw only parts of it.
pub fn whole(item: &Item) -> Piece {
    Piece::Reply(Span { reply: item.id, start: 0, end: u64::MAX })
}
