//! Results that are too much for one reading: digests first, then one text.

use std::num::NonZeroU64;

use crate::bindings::agent_dispatch::policy::types::{Piece, Span};
use crate::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, Situation,
};
use crate::round;

const MAP: &str = "map";
const REDUCE: &str = "reduce";

/// Has the newest round's results digested part by part until `bound` bytes hold
/// them, then has them put together; that is the answer.
///
/// Parts are named, not copied, so that a result of any size is read whole.
pub(crate) fn step(bound: NonZeroU64, situation: &Situation) -> Decision {
    if round::running(situation) {
        return Decision::Wait;
    }
    let Some(aggregator) = &situation.aggregator else {
        return Decision::GiveUp(
            "there is nobody to digest the results: the caller chose no aggregator".to_owned(),
        );
    };
    let mut rounds = situation.items.chunk_by(|one, next| one.round == next.round);
    let results = rounds.next_back().unwrap_or_default();
    if results.iter().all(|item| round::success(item).is_none()) {
        return Decision::GiveUp(round::failures(results.iter()));
    }
    if let Some(reduced) = results.iter().find(|item| item.tag == REDUCE) {
        return Decision::Answer(Answer::Item(reduced.id));
    }
    if rounds.next_back().is_some_and(|digested| size(results) >= size(digested)) {
        return Decision::GiveUp("the digests are no shorter than what they digest".to_owned());
    }
    let parts = size(results).div_ceil(bound.get()).max(1);
    // Digests are worth nothing unless they can be put together afterwards.
    let (asks, rounds) = if parts > 1 { (parts + 1, 2) } else { (1, 1) };
    if !round::may_ask(situation, asks, rounds) {
        return Decision::GiveUp(format!(
            "the results make {parts} parts, which takes {asks} asks in {rounds} rounds, but only {} in {} \
             are left; a larger `bound` makes fewer parts",
            situation.left.asks, situation.left.rounds
        ));
    }
    let (tag, task) = if parts > 1 {
        (
            MAP,
            "Digest these parts of several results: every finding, conflict and number, as briefly as you can.",
        )
    } else {
        (REDUCE, "Put what is below into one coherent answer. Name conflicts between the results.")
    };
    let ask = |context| Ask {
        agent: aggregator.clone(),
        task: task.to_owned(),
        context,
        answer_format: "text".to_owned(),
        continues: None,
        tag: tag.to_owned(),
    };
    Decision::Ask(contexts(results, bound.get()).into_iter().map(ask).collect())
}

/// How many bytes the replies have in all.
fn size(items: &[Item]) -> u64 {
    items.iter().filter_map(round::success).map(|reply| reply.size).sum()
}

/// The replies under headings, `bound` bytes of them in each context. A missing one
/// is named, not passed over.
fn contexts(items: &[Item], bound: u64) -> Vec<Vec<Piece>> {
    let mut contexts = Vec::new();
    let mut context = Vec::new();
    let mut room = bound;
    for item in items {
        let Some(reply) = round::success(item) else {
            context.push(Piece::Text(format!("## Nothing from {}\n\n", round::failure(item))));
            continue;
        };
        let mut start = 0;
        loop {
            if room == 0 && start < reply.size {
                contexts.push(std::mem::take(&mut context));
                room = bound;
            }
            let end = reply.size.min(start + room);
            context.push(Piece::Text(format!("## {}, from byte {start}\n", item.agent)));
            context.push(Piece::Reply(Span { reply: item.id, start, end }));
            context.push(Piece::Text("\n\n".to_owned()));
            room -= end - start;
            start = end;
            if start == reply.size {
                break;
            }
        }
    }
    contexts.push(context);
    contexts
}
