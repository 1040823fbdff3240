//! Who dispatched the one that dispatches: the depth that ends endless chains.
//!
//! The depth travels in the environment and alone decides. The chain of names is
//! there for people to read. Calling back the agent that asked is legitimate. For the
//! journal there is which dispatch asked.

use std::num::{IntErrorKind, ParseIntError};

use super::traceparent::{self, Traceparent};
use crate::agent::{ErrorType, Failure, RUN_MARK};

const DEPTH: &str = "AGENT_DISPATCH_DEPTH";
const CHAIN: &str = "AGENT_DISPATCH_CHAIN";

/// Where this process stands in a chain of dispatches.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// How many dispatches lie above this process.
    pub depth: u32,
    /// The agents' names, outermost first, joined by `>`.
    chain: String,
    /// The ids of the runs that this process is part of, outermost first, divided by `/`.
    runs: String,
    /// The dispatch whose agent this process belongs to.
    above: Option<Traceparent>,
}

impl Lineage {
    /// Reads the lineage that the dispatch above left in the environment. A depth
    /// that is no number counts as 0, one that is too large as the largest.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let depth = variable(DEPTH);
        let depth = depth.parse().unwrap_or_else(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => u32::MAX,
            _ => 0,
        });
        let above = Traceparent::parse(&variable(traceparent::VARIABLE));
        Self { depth, chain: variable(CHAIN), runs: variable(RUN_MARK), above }
    }

    /// What a call that begins here is part of: all that the same one led to.
    pub(super) fn trace(&self) -> String {
        let above = self.above.as_ref().map(|above| above.trace.clone());
        above.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string())
    }

    /// The span of the dispatch whose agent asks.
    pub(super) fn parent(&self) -> Option<&str> {
        self.above.as_ref().map(|above| above.span.as_str())
    }

    /// Is this process part of that run, so that waiting for its end would never end?
    pub(super) fn descends_from(&self, run: &str) -> bool {
        !run.is_empty() && self.runs.split('/').any(|above| above == run)
    }

    /// Lets a dispatch to `agent` through, or says why the chain ends here.
    pub(super) fn admit(&self, agent: &str, max_depth: u32) -> Result<(), Failure> {
        if self.depth < max_depth {
            return Ok(());
        }
        let chain = self.extended(agent);
        let message = format!(
            "this dispatch would be number {} in a chain ({}), and at most {max_depth} are allowed",
            u64::from(self.depth) + 1,
            chain.replace('>', " > "),
        );
        Err(Failure::new(ErrorType::Recursion, message).hint(
            "Answer from what is at hand instead of asking further. If chains of this length are meant to be, raise settings.max_dispatch_depth.",
        ))
    }

    /// What a run of `agent` gets into its environment.
    pub(super) fn environment(&self, agent: &str) -> Vec<(String, String)> {
        vec![
            (DEPTH.to_owned(), self.depth.saturating_add(1).to_string()),
            (CHAIN.to_owned(), self.extended(agent)),
        ]
    }

    /// What the run with this id is told of itself.
    pub(super) fn ids(trace: &str, run: &str) -> Vec<(String, String)> {
        vec![(traceparent::VARIABLE.to_owned(), Traceparent::of(trace, run).to_string())]
    }

    fn extended(&self, agent: &str) -> String {
        if self.chain.is_empty() { agent.to_owned() } else { format!("{}>{agent}", self.chain) }
    }
}
