//! One agent judges all answers; whoever gave the best one improves it.

use serde::Deserialize;

use crate::bindings::agent_dispatch::policy::types::{Piece, Reply};
use crate::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, Situation,
};
use crate::round;

const JUDGE: &str = "judge";
const REFINE: &str = "refine";

/// What is used of the judge's reply.
#[derive(Deserialize)]
struct Verdict {
    /// The number of the best answer.
    best: u32,
}

/// Asks the judge when all answers are there, then the winner, in its own
/// conversation; its last word is the answer.
pub(crate) fn step(situation: &Situation) -> Decision {
    if round::running(situation) {
        return Decision::Wait;
    }
    let tagged = |tag: &str| situation.items.iter().find(|item| item.tag == tag);
    let Some(judge) = tagged(JUDGE) else {
        return ask_judge(situation);
    };
    let Some(verdict) = round::success(judge) else {
        return Decision::GiveUp(format!(
            "the answers were not judged ({})",
            round::failure(judge)
        ));
    };
    let Some(winner) = winner(situation, verdict) else {
        return Decision::GiveUp(format!("{} named none of the answers as the best", judge.agent));
    };
    match tagged(REFINE) {
        // The best answer is worth having as it is.
        None if !round::may_ask(situation, 1, 1) => Decision::Answer(Answer::Item(winner.id)),
        None => Decision::Ask(vec![Ask {
            agent: winner.agent.clone(),
            task: "Your answer was judged the best of several. Look at it again, correct what is wrong or \
                   missing, and give the whole improved answer."
                .to_owned(),
            context: vec![round::whole(judge)],
            answer_format: "text".to_owned(),
            continues: Some(winner.id),
            tag: REFINE.to_owned(),
        }]),
        // A refinement that failed does not take the winner's answer away.
        Some(refined) => Decision::Answer(Answer::Item(match round::success(refined) {
            Some(_) => refined.id,
            None => winner.id,
        })),
    }
}

fn ask_judge(situation: &Situation) -> Decision {
    let Some(judge) = &situation.aggregator else {
        return Decision::GiveUp(
            "there is nobody to judge: the caller chose no aggregator".to_owned(),
        );
    };
    if !round::may_ask(situation, 1, 1) {
        return Decision::GiveUp(
            "there is nothing left to have the answers judged with".to_owned(),
        );
    }
    let mut answers = Vec::new();
    for item in round::of_caller(situation).filter(|item| round::success(item).is_some()) {
        answers.push(Piece::Text(format!("## Answer {} ({})\n", item.id, item.agent)));
        answers.push(round::whole(item));
        answers.push(Piece::Text("\n\n".to_owned()));
    }
    if answers.is_empty() {
        return Decision::GiveUp(round::failures(round::of_caller(situation)));
    }
    Decision::Ask(vec![Ask {
        agent: judge.clone(),
        task: "Judge the answers below. Reply with {\"best\": NUMBER, \"lacks\": TEXT}: the number of the best \
               answer, and what it still lacks."
            .to_owned(),
        context: answers,
        answer_format: "json".to_owned(),
        continues: None,
        tag: JUDGE.to_owned(),
    }])
}

/// The item that the verdict means: where no JSON was found, by the first number in
/// its text.
fn winner<'items>(situation: &'items Situation, verdict: &Reply) -> Option<&'items Item> {
    let best = if let Some(json) = &verdict.parsed {
        serde_json::from_str::<Verdict>(json).ok()?.best
    } else {
        let mut numbers = verdict.text.split(|c: char| !c.is_ascii_digit());
        numbers.find(|digits| !digits.is_empty())?.parse().ok()?
    };
    round::of_caller(situation).find(|item| item.id == best && round::success(item).is_some())
}
