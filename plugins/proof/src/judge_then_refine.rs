//! One agent judges all answers; whoever gave the best one improves it.

use std::fmt::Write;

use crate::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, Situation,
};
use crate::round;

const JUDGE: &str = "judge";
const REFINE: &str = "refine";

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
    let Some(winner) = winner(situation, judge) else {
        return Decision::GiveUp(match round::success(judge) {
            Some(_) => format!("{} named none of the answers as the best", judge.agent),
            None => format!("the answers were not judged ({})", round::failure(judge)),
        });
    };
    match tagged(REFINE) {
        None => Decision::Ask(vec![Ask {
            agent: winner.agent.clone(),
            task: "Your answer was judged the best of several. Look at it again, correct what is wrong or \
                   missing, and give the whole improved answer."
                .to_owned(),
            context: round::success(judge).map(|verdict| verdict.text.clone()),
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
    let mut answers = String::new();
    for item in round::of_caller(situation) {
        if let Some(reply) = round::success(item) {
            // Writing to a string cannot fail.
            let _ = write!(answers, "## Answer {} ({})\n{}\n\n", item.id, item.agent, reply.text);
        }
    }
    if answers.is_empty() {
        return Decision::GiveUp(round::failures(situation));
    }
    Decision::Ask(vec![Ask {
        agent: judge.clone(),
        task: "Judge the answers below. Begin your reply with the number of the best one; then say what it \
               still lacks."
            .to_owned(),
        context: Some(answers),
        continues: None,
        tag: JUDGE.to_owned(),
    }])
}

/// The item that the judge's first number means.
fn winner<'items>(situation: &'items Situation, judge: &Item) -> Option<&'items Item> {
    let number = round::success(judge)?
        .text
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| !digits.is_empty())?
        .parse::<u32>()
        .ok()?;
    round::of_caller(situation).find(|item| item.id == number && round::success(item).is_some())
}
