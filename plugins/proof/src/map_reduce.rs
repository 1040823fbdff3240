//! Results that are too much for one reading: digests first, then one text.

use crate::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Situation,
};
use crate::round;

/// Below this a piece would hold little but its own heading.
pub(crate) const SMALLEST_BOUND: usize = 200;
const MAP: &str = "map";
const REDUCE: &str = "reduce";

/// Has the newest round's results digested piece by piece until they fit into
/// `bound` bytes, then has them put together; that is the answer.
pub(crate) fn step(bound: usize, situation: &Situation) -> Decision {
    if round::running(situation) {
        return Decision::Wait;
    }
    let Some(aggregator) = &situation.aggregator else {
        return Decision::GiveUp(
            "there is nobody to digest the results: the caller chose no aggregator".to_owned(),
        );
    };
    let newest = situation.items.iter().map(|item| item.round).max().unwrap_or_default();
    let of_round = |round| situation.items.iter().filter(move |item| item.round == round);
    if of_round(newest).all(|item| round::success(item).is_none()) {
        return Decision::GiveUp(match of_round(newest).next() {
            Some(item) if newest > 0 => {
                format!("the results could not be digested ({})", round::failure(item))
            }
            _ => round::failures(situation),
        });
    }
    // Only the last step asks a single `reduce`: a step in between has pieces.
    if let [last] = of_round(newest).collect::<Vec<_>>()[..]
        && last.tag == REDUCE
    {
        return Decision::Answer(Answer::Item(last.id));
    }
    let results = |round| of_round(round).map(result).collect::<String>();
    let text = results(newest);
    if newest > 0 && text.len() >= results(newest - 1).len() {
        return Decision::GiveUp("the digests are no shorter than what they digest".to_owned());
    }
    let pieces = pieces(&text, bound);
    if pieces.len() > situation.left.asks as usize {
        return Decision::GiveUp(format!(
            "the results make {} pieces, but only {} more may be asked; a larger `bound` makes fewer",
            pieces.len(),
            situation.left.asks
        ));
    }
    let (tag, task) = if pieces.len() > 1 && newest == 0 {
        (
            MAP,
            "Digest this part of several results: every finding, conflict and number, as briefly as you can.",
        )
    } else {
        (REDUCE, "Put what is below into one coherent answer. Name conflicts between the results.")
    };
    let ask = |piece: &str| Ask {
        agent: aggregator.clone(),
        task: task.to_owned(),
        context: Some(piece.to_owned()),
        continues: None,
        tag: tag.to_owned(),
    };
    Decision::Ask(pieces.into_iter().map(ask).collect())
}

/// One result as a section; a missing one is named, not passed over.
fn result(item: &crate::bindings::exports::agent_dispatch::policy::aggregate::Item) -> String {
    match round::success(item) {
        Some(reply) => format!("## {}\n{}\n\n", item.agent, reply.text),
        None => format!("## {}\n(nothing: {})\n\n", item.agent, round::failure(item)),
    }
}

/// `text` in pieces of at most `bound` bytes, cut at the end of a line where one
/// lies in the piece's second half, and never inside a character.
fn pieces(mut text: &str, bound: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > bound {
        let end = text.floor_char_boundary(bound);
        let cut = text[..end]
            .rfind('\n')
            .map(|line| line + 1)
            .filter(|&line| line > bound / 2)
            .unwrap_or(end);
        let (piece, rest) = text.split_at(cut);
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}
