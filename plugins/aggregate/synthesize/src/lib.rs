//! The aggregate policy `synthesize`: when all results are there, the aggregator makes
//! one answer of them.

use aggregating::bindings::agent_dispatch::policy::types::PolicyError;
use aggregating::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Guest, Situation,
};
use aggregating::{blocks, round};

const SYNTHESIS: &str = "synthesis";
const TASK: &str = "Put the results in the context, which come from several agents, into one coherent answer: \
     give the main findings first, name conflicts between the agents, and say what to do.";

struct Synthesize;
aggregating::bindings::export!(Synthesize with_types_in aggregating::bindings);

impl Guest for Synthesize {
    fn check(config: String) -> Result<(), PolicyError> {
        aggregating::no_config("synthesize", &config)
    }

    fn step(_config: String, situation: Situation) -> Result<Decision, PolicyError> {
        let Some(aggregator) = &situation.aggregator else {
            return Ok(aggregating::no_aggregator());
        };
        if round::running(&situation) {
            return Ok(Decision::Wait);
        }
        // Where the aggregator failed, its failure is what the caller needs to see. What has
        // no such tag was asked by a policy before this one, which failed.
        if let Some(synthesis) = situation.items.iter().find(|item| item.tag == SYNTHESIS) {
            return Ok(Decision::Answer(Answer::Item(synthesis.id)));
        }
        // It is asked also where every agent failed: the failures may have one cause.
        Ok(Decision::Ask(vec![Ask {
            agent: aggregator.clone(),
            task: TASK.to_owned(),
            context: blocks::of_caller(&situation),
            answer_format: "text".to_owned(),
            continues: None,
            tag: SYNTHESIS.to_owned(),
        }]))
    }
}
