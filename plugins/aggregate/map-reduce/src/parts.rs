//! Results cut into parts. They are named, not copied, so that a result of any size is
//! read whole.

use aggregating::bindings::agent_dispatch::policy::types::{Piece, Span};
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::Item;
use aggregating::round;

/// How many bytes the replies have in all.
pub(crate) fn size(items: &[Item]) -> u64 {
    items.iter().filter_map(round::success).map(|reply| reply.size).sum()
}

/// The replies under headings, `part_bytes` bytes of them in each context. A missing one
/// is named, not passed over.
pub(crate) fn contexts(items: &[Item], part_bytes: u64) -> Vec<Vec<Piece>> {
    let mut contexts = Vec::new();
    let mut context = Vec::new();
    let mut room = part_bytes;
    for item in items {
        let Some(reply) = round::success(item) else {
            let (agent, why) = (&item.agent, round::failure(item));
            context.push(Piece::Text(format!("## Nothing from {agent}: {why}\n\n")));
            continue;
        };
        let mut start = 0;
        loop {
            if room == 0 && start < reply.size {
                contexts.push(std::mem::take(&mut context));
                room = part_bytes;
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
