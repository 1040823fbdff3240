//! Writes down what policies are given and decide, where the config wants that. Nobody waits
//! for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Dispatcher;
use super::journal::Journal;
use crate::policy::{Decided, Witness};
use crate::store::decisions::{Decision, keep};
use crate::store::journal::now_ms;

/// How much may wait to be written, in bytes; more is not written.
const WAITING: usize = 64 << 20;

impl Dispatcher {
    /// Who writes down the decisions about these agents in this run or call.
    pub(super) fn recorder<'a>(
        &self,
        wanted: bool,
        agents: impl IntoIterator<Item = &'a str>,
        run: &str,
    ) -> Option<Witness> {
        wanted.then(|| {
            let journal = Arc::clone(&self.journal);
            let agents: Vec<String> = agents.into_iter().map(str::to_owned).collect();
            let run = run.to_owned();
            let record: Witness = Arc::new(move |decided| {
                write(&journal, decided, agents.clone(), run.clone());
            });
            record
        })
    }
}

fn write(journal: &Journal, decided: Decided, agents: Vec<String>, run: String) {
    let Decided { kind, function, policy, digest, input, decision } = decided;
    let of_decision = decision.as_ref().unwrap_or_else(|error| error).len();
    let bytes = input.as_ref().map_or(0, String::len) + of_decision;
    let waiting: Arc<AtomicUsize> = Arc::clone(&journal.undecided);
    if waiting.fetch_add(bytes, Ordering::Relaxed) > WAITING {
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        return;
    }
    let kept = Decision {
        kind: kind.to_owned(),
        function: function.to_owned(),
        policy,
        digest,
        agents,
        run,
        at_ms: now_ms(),
        input,
        decision,
    };
    journal.store.post(move |connection| {
        let written = keep(connection, &kept);
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        written
    });
}
