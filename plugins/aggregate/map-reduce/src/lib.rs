//! The aggregate policy `map-reduce`: results that are too much for one reading. The
//! aggregator writes digests first, then one text.
//!
//! Its config: at most `part_bytes` bytes of results (100000 unless set) are put before
//! the aggregator at once.

mod parts;

use std::num::NonZeroU64;

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Guest, Situation,
};
use aggregating::round;
use serde::Deserialize;

const MAP: &str = "map";
const MAP_TASK: &str = "The context holds parts of several results. Write a digest of them as short as you can \
     that keeps every finding, conflict and number.";
const REDUCE: &str = "reduce";
const REDUCE_TASK: &str = "Put the results in the context, which come from several agents, into one coherent answer, \
     and name conflicts between them.";

struct MapReduce;
aggregating::bindings::export!(MapReduce with_types_in aggregating::bindings);

/// How much is read at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "part_bytes")]
    part_bytes: NonZeroU64,
}

fn part_bytes() -> NonZeroU64 {
    const { NonZeroU64::new(100_000).unwrap() }
}

fn read(config: &str) -> Result<Config, PolicyError> {
    aggregating::config(config, "{part_bytes: 100000}")
}

impl Guest for MapReduce {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(drop)
    }

    fn step(config: String, situation: Situation) -> Result<Decision, PolicyError> {
        Ok(decide(read(&config)?.part_bytes.get(), &situation))
    }
}

/// Has the newest round's results digested part by part until one part holds them,
/// then has them put together; that is the answer.
fn decide(part_bytes: u64, situation: &Situation) -> Decision {
    let Some(aggregator) = &situation.aggregator else {
        return aggregating::no_aggregator();
    };
    if round::running(situation) {
        return Decision::Wait;
    }
    let mut rounds = situation.items.chunk_by(|one, next| one.round == next.round);
    let results = rounds.next_back().unwrap_or_default();
    if results.iter().all(|item| round::success(item).is_none()) {
        return Decision::GiveUp(round::failures(results.iter()));
    }
    if let Some(reduced) = results.iter().find(|item| item.tag == REDUCE) {
        return Decision::Answer(Answer::Item(reduced.id));
    }
    let size = parts::size(results);
    if rounds.next_back().is_some_and(|digested| size >= parts::size(digested)) {
        return Decision::GiveUp("the digests are no shorter than what they digest".to_owned());
    }
    let parts = size.div_ceil(part_bytes).max(1);
    if round::is_spent(situation) {
        return Decision::GiveUp(format!(
            "the budget is used up, and the results make {parts} parts that are not read yet"
        ));
    }
    // Digests are worth nothing unless they can be put together afterwards.
    let (asks, rounds) = if parts > 1 { (parts + 1, 2) } else { (1, 1) };
    if !round::may_ask(situation, asks, rounds) {
        return Decision::GiveUp(format!(
            "the results make {parts} parts, which takes {asks} asks in {rounds} rounds, but only {} in {} \
             are left; a larger `part_bytes` makes fewer parts",
            situation.left.asks, situation.left.rounds
        ));
    }
    let (tag, task) = if parts > 1 { (MAP, MAP_TASK) } else { (REDUCE, REDUCE_TASK) };
    let ask = |context| Ask {
        agent: aggregator.clone(),
        task: task.to_owned(),
        context,
        answer_format: "text".to_owned(),
        continues: None,
        tag: tag.to_owned(),
    };
    Decision::Ask(parts::contexts(results, part_bytes).into_iter().map(ask).collect())
}
