//! What the judge and the winner are asked.

use aggregating::bindings::agent_dispatch::policy::types::Piece;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{Ask, Item};
use aggregating::round;

pub(crate) const JUDGE: &str = "judge";
pub(crate) const REVIEW: &str = "review";
pub(crate) const REFINE: &str = "refine";

/// Which of these is the best?
pub(crate) fn judge<'items>(aggregator: &str, answers: impl Iterator<Item = &'items Item>) -> Ask {
    let mut context = Vec::new();
    let mut task = None;
    for item in answers {
        // Mostly all were given the same task: then it stands there once.
        if task != Some(&item.task) {
            context.push(text(&format!("## Task\n{}\n\n", item.task)));
            task = Some(&item.task);
        }
        context.push(text(&format!("## Answer {} ({})\n", item.id, item.agent)));
        context.push(round::whole(item));
        context.push(text("\n\n"));
    }
    Ask {
        agent: aggregator.to_owned(),
        task: "Judge the answers in the context. Reply with {\"best\": NUMBER, \"lacks\": TEXT}: the number of \
               the best answer, and what it still lacks, or \"nothing\"."
            .to_owned(),
        context,
        answer_format: "json".to_owned(),
        continues: None,
        tag: JUDGE.to_owned(),
    }
}

/// What does the improved answer still lack?
pub(crate) fn review(refined: &Item, last_verdict: &Item) -> Ask {
    Ask {
        agent: last_verdict.agent.clone(),
        task: "The context holds the answer you judged the best, as its author has improved it. Judge it again. \
               Reply with {\"lacks\": TEXT}: what it still lacks, or \"nothing\"."
            .to_owned(),
        context: vec![round::whole(refined)],
        answer_format: "json".to_owned(),
        continues: Some(last_verdict.id),
        tag: REVIEW.to_owned(),
    }
}

/// Improve your answer by this verdict.
pub(crate) fn refine(best: &Item, verdict: &Item) -> Ask {
    Ask {
        agent: best.agent.clone(),
        task: "Your answer was judged the best of several; the context says what it still lacks. Look at it again, \
               correct what is wrong or missing, and give the whole improved answer."
            .to_owned(),
        context: vec![round::whole(verdict)],
        answer_format: "text".to_owned(),
        continues: Some(best.id),
        tag: REFINE.to_owned(),
    }
}

pub(crate) fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}
