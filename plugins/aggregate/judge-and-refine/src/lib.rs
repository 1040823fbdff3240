//! The aggregate policy `judge-and-refine`: the aggregator judges all answers, and
//! whoever gave the best one improves it.
//!
//! Its config: the best answer is improved `refinements` times (1 unless set), and
//! judged again in between.

mod ask;
mod verdict;

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Decision, Guest, Item, Situation,
};
use aggregating::{blocks, round};
use serde::Deserialize;

struct JudgeAndRefine;
aggregating::bindings::export!(JudgeAndRefine with_types_in aggregating::bindings);

/// How much work is put into the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "once")]
    refinements: usize,
}

fn once() -> usize {
    1
}

fn read(config: &str) -> Result<Config, PolicyError> {
    let config: Config = aggregating::config(config, "{refinements: 2}")?;
    if !(1..=10).contains(&config.refinements) {
        return Err(PolicyError::InvalidConfig(format!(
            "`refinements` is {}, but has to be a number from 1 to 10",
            config.refinements
        )));
    }
    Ok(config)
}

impl Guest for JudgeAndRefine {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(drop)
    }

    fn step(config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(decide(read(&config)?.refinements, &situation))
    }
}

/// The judge is asked when all answers are there, then the winner and the judge in
/// turn, each in its own conversation. The winner's last word is the answer.
fn decide(refinements: usize, situation: &Situation) -> Decision {
    let Some(aggregator) = &situation.aggregator else {
        return aggregating::no_aggregator();
    };
    if round::running(situation) {
        return Decision::Wait;
    }
    let Some(judge) = situation.items.iter().find(|item| item.tag == ask::JUDGE) else {
        return judge_answers(aggregator, situation);
    };
    let Some(verdict) = round::success(judge) else {
        return Decision::GiveUp(format!(
            "the answers were not judged ({}: {})",
            judge.agent,
            round::failure(judge)
        ));
    };
    let best = verdict::best(verdict);
    let Some(winner) = answers(situation).find(|item| Some(item.id) == best) else {
        return Decision::GiveUp(format!("{} named none of the answers as the best", judge.agent));
    };
    improve(refinements, situation, judge, winner)
}

/// The caller's items that can win.
fn answers(situation: &Situation) -> impl Iterator<Item = &Item> {
    round::of_caller(situation).filter(|item| round::success(item).is_some())
}

fn judge_answers(aggregator: &str, situation: &Situation) -> Decision {
    if answers(situation).next().is_none() {
        return Decision::GiveUp(round::failures(round::of_caller(situation)));
    }
    if !round::may_ask(situation, 1, 1) {
        let mut text = vec![ask::text("Nothing was left to have these answers judged with.\n\n")];
        text.extend(blocks::of_caller(situation));
        return Decision::Answer(Answer::Text(text));
    }
    Decision::Ask(vec![ask::judge(aggregator, answers(situation))])
}

/// What follows the newest item, which is a verdict or a refinement.
fn improve(refinements: usize, situation: &Situation, judge: &Item, winner: &Item) -> Decision {
    let items = || situation.items.iter();
    let refined = || items().filter(|item| item.tag == ask::REFINE);
    let verdict = items().rfind(|item| item.tag == ask::REVIEW).unwrap_or(judge);
    // A refinement that failed does not take away what there was before it.
    let best = refined().rfind(|item| round::success(item).is_some()).unwrap_or(winner);
    let newest = items().next_back().map(|item| item.id);
    let next = if newest == Some(verdict.id) {
        let lacks = round::success(verdict).is_some_and(verdict::lacks_something);
        (lacks && round::may_ask(situation, 1, 1)).then(|| ask::refine(best, verdict))
    } else if newest == Some(best.id) {
        // A review is worth nothing unless a refinement can follow.
        let more = refined().count() < refinements && round::may_ask(situation, 2, 2);
        more.then(|| ask::review(best, verdict))
    } else {
        None
    };
    match next {
        Some(ask) => Decision::Ask(vec![ask]),
        None => Decision::Answer(Answer::Item(best.id)),
    }
}
