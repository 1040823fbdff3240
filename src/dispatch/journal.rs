//! The stage that writes down what every dispatch was and came to. It never makes anybody
//! wait: a reply goes out first, and what could not be written is told once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::Connection;

use super::Dispatcher;
use super::lineage::Lineage;
use super::plan::Plan;
use super::prompt::Reader;
use super::reply::{Refusal, Reply};
use super::request::{MOST_SECONDS, Request};
use crate::agent::ErrorType;
use crate::store::family::{self, Family, Named};
use crate::store::journal::{End, Record, Tokens, forget_old, now_ms};
use crate::store::usage::{self, Typical, Usage};
use crate::store::{Owner, Store, StoreError};

/// How long a caller's or a policy's words may be in the journal, in characters.
const WORDS: usize = 200;

/// How many digits of a digest tell which component it was.
const DIGEST: usize = 12;

/// After how many records old ones are looked for again.
const FORGET_EVERY: u32 = 256;

/// How long somebody waits who wants nothing but the journal.
const READER: Duration = Duration::from_secs(10);

/// A suggested timeout is a multiple of this, in seconds, and no less.
const STEP: u64 = 30;

/// The journal of this process's dispatches.
pub(super) struct Journal {
    pub(super) store: Store,
    owner: OnceLock<Owner>,
    written: AtomicU32,
    /// It was told what is wrong with the store.
    told: AtomicBool,
    /// How many bytes of decisions wait to be written.
    pub(super) undecided: Arc<AtomicUsize>,
}

/// The record of a dispatch that is not over. Dropped, what was begun is ended.
pub(super) struct Entry {
    journal: Arc<Journal>,
    /// Boxed: every call has room for it.
    record: Box<Record>,
    keep_days: Option<u32>,
    begun: bool,
}

impl Journal {
    /// A journal in this store, which is not touched yet.
    pub(super) fn new(store: Store) -> Self {
        let (written, told) = (AtomicU32::new(0), AtomicBool::new(false));
        let undecided = Arc::default();
        Self { store, owner: OnceLock::new(), written, told, undecided }
    }

    /// The record of a request that comes in.
    pub(super) fn entry(self: &Arc<Self>, request: &Request, lineage: &Lineage) -> Entry {
        let record = Box::new(Record {
            id: uuid::Uuid::new_v4().simple().to_string(),
            trace: request.trace.clone().unwrap_or_else(|| lineage.trace()),
            parent: lineage.parent().map(str::to_owned),
            agent: request.agent.clone(),
            caller: words(&request.caller),
            form: request.form.as_str().to_owned(),
            depth: lineage.depth,
            policy: None,
            policy_digest: None,
            owner: *self.owner.get_or_init(Owner::this),
            started_ms: now_ms(),
            cached: false,
            shared: false,
            end: None,
        });
        Entry { journal: Arc::clone(self), record, keep_days: None, begun: false }
    }

    /// What is wrong with the store, if that was not told yet.
    pub(super) async fn trouble(&self) -> Option<String> {
        if self.told.load(Ordering::Relaxed) {
            return None;
        }
        let error = self.store.trouble().await?;
        self.tell(|| {
            format!("The journal has gaps, and answers are not shared with other servers: {error}")
        })
    }

    /// What is to be told of the store, if nothing was told yet.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) -> Option<String> {
        let first = !self.told.swap(true, Ordering::Relaxed);
        first.then(what)
    }

    /// Has something read for somebody who wants nothing else.
    pub(super) async fn read<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.ask_within(READER, work).await
    }

    /// What is typical of the agents; of none where the store does not answer.
    pub(super) async fn typical(&self) -> HashMap<String, Typical> {
        self.store.ask(|connection| usage::typical(connection)).await.unwrap_or_default()
    }

    /// Says in the reply of a run that took too long which timeout would have been enough
    /// for most runs of that agent, where it is more than this one.
    pub(super) async fn suggest_timeout(&self, reply: &mut Reply, timeout: Duration) {
        let agent = reply.agent.clone();
        let p90 = self.store.ask(move |connection| usage::p90(connection, &agent)).await;
        let Some(p90) = p90.ok().flatten() else { return };
        let enough = enough(p90);
        if Duration::from_secs(enough) > timeout && enough <= MOST_SECONDS {
            reply.add_hint(&format!(
                "Nine in ten of this agent's latest runs were over within {} s: timeout_seconds = {enough} leaves room for that.",
                p90.as_millis().div_ceil(1000)
            ));
        }
    }

    fn write(&self, record: Box<Record>, keep_days: Option<u32>) {
        let forget = self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(FORGET_EVERY);
        self.store.post(move |connection| {
            record.write(connection)?;
            if forget { forget_old(connection, keep_days) } else { Ok(()) }
        });
    }
}

/// Half as much again as what was measured, in whole steps, as the Python tool has it.
fn enough(p90: Duration) -> u64 {
    let wanted = (p90 * 3 / 2).as_secs() + STEP - 1;
    (wanted / STEP * STEP).max(STEP)
}

impl Entry {
    /// It is planned: which run it is to be, and by which policy.
    pub(super) fn planned(&mut self, plan: &Plan) {
        self.record.id.clone_from(&plan.run.run);
        self.record.policy = words(&plan.policy.source.name);
        let digest = plan.shareable.as_ref().map(|shareable| shareable.policy_digest.as_str());
        self.record.policy_digest = digest.map(first_digits);
        let days = plan.config.settings.job_retention_days;
        self.keep_days = (days > 0).then_some(days);
        // What is wrong with the store is then known before there is a reply.
        self.journal.store.open_ahead();
    }

    /// It has its prompt.
    pub(super) fn worded(&mut self, reader: &Reader) {
        if let Some(stand_in) = reader.stand_in() {
            self.record.policy = Some(stand_in.to_owned());
        }
        self.record.policy_digest = Some(first_digits(reader.policy.digest()));
    }

    /// Its agent is started, or that of the run whose reply it waits for.
    pub(super) fn begin(&mut self) {
        self.begun = true;
        self.record.started_ms = now_ms();
        self.journal.write(self.record.clone(), self.keep_days);
    }

    /// It waits for a run that is on already.
    pub(super) fn share(&mut self) {
        self.record.shared = true;
        self.begin();
    }

    /// It got its reply from another server.
    pub(super) fn shared_elsewhere(&mut self) {
        self.record.shared = true;
    }

    /// The trace that it is part of.
    pub(super) fn trace(&self) -> &str {
        &self.record.trace
    }

    /// It is over with this reply.
    pub(super) fn ended_with(mut self, reply: Reply) -> Reply {
        self.ended(&reply);
        reply
    }

    /// What its end will be; written when the reply has gone out.
    pub(super) fn ended(&mut self, reply: &Reply) {
        self.record.cached = reply.cached;
        self.record.end = Some(end_of(reply, !reply.cached && !self.record.shared));
    }
}

/// What is written down of a dispatch that is over with this reply: what it cost too, where
/// the run was its own.
pub(super) fn end_of(reply: &Reply, own: bool) -> End {
    End {
        at_ms: now_ms(),
        success: reply.success,
        duration_ms: reply.duration_ms.filter(|_| own),
        cost_usd: reply.cost_usd.filter(|_| own),
        turns: reply.num_turns.filter(|_| own),
        tokens: reply.tokens.filter(|_| own).map(|tokens| Tokens {
            input: tokens.input,
            output: tokens.output,
            cache_read: tokens.cache_read,
            cache_creation: tokens.cache_creation,
        }),
        outcome: reply.outcome.as_deref().and_then(words),
        error_type: reply.error_type.map(|word| word.to_string()),
        session_id: reply.session_id.as_deref().and_then(words),
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.record.end.is_none() && self.begun {
            // Whoever waited has left, or the process ends.
            let error_type = Some(ErrorType::Cancelled.to_string());
            self.record.end = Some(End { at_ms: now_ms(), error_type, ..End::default() });
        }
        if self.record.end.is_some() {
            self.journal.write(self.record.clone(), self.keep_days);
        }
    }
}

impl Dispatcher {
    /// What the dispatches of so many days add up to, of one agent where it is named; all
    /// that are known where there are no days.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the journal cannot be read.
    pub async fn usage(&self, days: Option<u32>, agent: Option<String>) -> Result<Usage, Refusal> {
        let read =
            self.journal.read(move |connection| usage::usage(connection, days, agent.as_deref()));
        read.await.map_err(unreadable)
    }

    /// The latest dispatches that came from no other, with all that they led to.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the journal cannot be read.
    pub async fn latest_families(&self, limit: u32) -> Result<Vec<Family>, Refusal> {
        let read = self.journal.read(move |connection| family::latest(connection, limit));
        read.await.map_err(unreadable)
    }

    /// The dispatch or the trace with this id, or the dispatch whose id begins with it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such thing or the journal cannot be read.
    pub async fn family(&self, id: &str) -> Result<Vec<Family>, Refusal> {
        let wanted = id.to_owned();
        let read = self.journal.read(move |connection| family::named(connection, &wanted));
        match read.await.map_err(unreadable)? {
            Named::These(families) => Ok(families),
            Named::Nothing => Err(Refusal::new(format!("no dispatch has the id {id:?}"))
                .with_hint("'agent-dispatch tree' shows the latest with their ids.")),
            Named::Several => {
                Err(Refusal::new(format!("several dispatches have ids that begin with {id}"))
                    .with_hint("Give more of it; 'agent-dispatch tree --json' has the whole ids."))
            }
        }
    }
}

fn unreadable(error: StoreError) -> Refusal {
    Refusal::new(format!("the journal cannot be read: {error}"))
}

fn words(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(WORDS).collect())
}

fn first_digits(digest: &str) -> String {
    digest.chars().take(DIGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_timeout_is_half_as_much_again_in_steps_of_30_seconds() {
        let seconds = [(0, 30), (19, 30), (20, 30), (21, 60), (40, 60), (41, 90), (100, 150)];
        for (p90, expected) in seconds {
            // max(30, floor((1.5 p90 + 29) / 30) * 30)
            assert_eq!(enough(Duration::from_secs(p90)), expected, "{p90}");
        }
    }
}
