//! The stage where a question meets all other servers of the user, where the config wants
//! that: one of them may have its answer, or be about to.
//!
//! Answers lie in the store, and only there: what one server forgets is forgotten for all.
//! Where the store does not work there is the cache of this process, as for those who do not
//! share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Dispatcher;
use super::cache::ttl;
use super::claims::{Claim, Turn};
use super::flights::Flight;
use super::key::Key;
use super::listener::{Listener, News};
use super::plan::Plan;
use super::reply::Reply;
use crate::agent::{ErrorType, Failure};
use crate::config::CacheSettings;
use crate::store::answers::{self, BYTES, Bounds, Looked, New, Position};
use crate::store::journal::now_ms;

/// A question that is asked in all servers.
pub(super) struct Question {
    key: Key,
    settings: CacheSettings,
    asked_ms: i64,
    /// Where the store stood when it was looked up last.
    position: Position,
    /// It wants a run of its own.
    fresh: bool,
    /// Others who ask it wait for as long as this one has it.
    pub(super) claim: Option<Claim>,
}

/// What there is for a question.
pub(super) enum Shared {
    /// An answer, and its age.
    Answer(Box<Reply>, Duration),
    /// None yet.
    Open(Question),
    /// Nobody else is asked.
    Alone,
}

/// Who answers it.
pub(super) enum Answered {
    /// A run of this server; with a claim the others wait for it.
    Here(Option<Claim>),
    /// Another server has.
    There(Box<Reply>),
}

impl Dispatcher {
    /// Looks for an answer in the store.
    pub(super) async fn look_up(&self, key: Key, settings: CacheSettings, fresh: bool) -> Shared {
        let store = &self.journal.store;
        if !settings.shared || store.has_failed() {
            return Shared::Alone;
        }
        let asked_ms = now_ms();
        if fresh {
            // Whatever comes of the new run, the old answer was not good enough. It goes
            // before the question is looked up, or else some time.
            drop(store.write(move |connection| answers::forget(connection, key.as_bytes())));
        }
        let looking = store.ask(move |connection| {
            let Looked { position, latest } = answers::look(connection, key.as_bytes())?;
            let young = latest.and_then(|latest| Some((latest.age(ttl(settings))?, latest)));
            // What was written by a version that says more is no answer.
            let answer = young.and_then(|(age, latest)| Some((read(&latest.json)?, age)));
            Ok((position, answer))
        });
        let Ok((position, answer)) = looking.await else { return Shared::Alone };
        self.flights.count(answer.is_some());
        match answer {
            Some((reply, age)) => Shared::Answer(reply, age),
            None => {
                Shared::Open(Question { key, settings, asked_ms, position, fresh, claim: None })
            }
        }
    }

    /// Finds out who answers a question: the first server that is asked it, or if that one
    /// is gone or was left by its caller, another.
    pub(super) async fn who_answers(
        &self,
        question: &mut Question,
        plan: &Plan,
        flight: &Flight,
        listener: &Listener,
    ) -> Result<Answered, Failure> {
        // Who has waited for as long as the run may take does without: the server that has
        // it was stopped, or waits for a slot itself.
        let deadline = Instant::now() + plan.run.timeout;
        let mut waits = false;
        loop {
            let turn = self.claims.claim(&question.key, &plan.run.run).await;
            let claim = match turn {
                Some(Turn::Theirs(run, _)) if self.lineage.descends_from(&run) => {
                    return Err(own_ancestor());
                }
                Some(Turn::Theirs(_, bell)) if !question.fresh => {
                    if !std::mem::replace(&mut waits, true) {
                        flight.set_running();
                        listener.tell(&plan.seen.agent.name, News::Running);
                    }
                    if timeout_at(deadline, bell.rings()).await.is_err() {
                        return Ok(Answered::Here(None));
                    }
                    None
                }
                Some(Turn::Ours(claim)) => Some(claim),
                None | Some(Turn::Theirs(..)) => return Ok(Answered::Here(None)),
            };
            // Whoever had it has written the reply before giving it back.
            if !question.fresh
                && let Some(reply) = self.reply_since(question).await
            {
                return Ok(Answered::There(reply));
            }
            if claim.is_some() {
                return Ok(Answered::Here(claim));
            }
        }
    }

    /// The reply that another server got to a question since this one looked it up.
    async fn reply_since(&self, question: &mut Question) -> Option<Box<Reply>> {
        let (key, seen) = (question.key, question.position);
        let looking = self.journal.store.ask(move |connection| {
            let Looked { position, latest } = answers::look(connection, key.as_bytes())?;
            let latest = latest.filter(|latest| latest.is_after(seen));
            Ok((position, latest.and_then(|latest| read(&latest.json))))
        });
        let (position, reply) = looking.await.ok()?;
        question.position = position;
        let mut reply = reply?;
        reply.shared = true;
        Some(reply)
    }

    /// Writes a reply for the others: one that is clean for all who ask later, another for
    /// those who wait now. One of a run that was given up answers nobody. It is written
    /// before all that this server asks the store from now on, and there for the others when
    /// what this returns is over.
    pub(super) fn publish(
        &self,
        question: &Question,
        reply: &Arc<Reply>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (reply, bounds) = (Arc::clone(reply), bounds(question.settings));
        let &Question { key, asked_ms, position, .. } = question;
        let answers = reply.error_type != Some(ErrorType::Cancelled);
        let writing = answers.then(|| {
            self.journal.store.write(move |connection| {
                let new = New {
                    key: *key.as_bytes(),
                    agent: reply.agent.clone(),
                    asked_ms,
                    position,
                    clean: reply.is_clean(),
                    json: serde_json::to_string(&*reply)
                        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
                };
                answers::write(connection, &new, bounds)
            })
        });
        async move {
            if let Some(writing) = writing {
                writing.await;
            }
        }
    }

    /// A question is answered, and the reply written: the others may look. What is too old
    /// or too much by now is forgotten, a little at a time.
    pub(super) async fn answered(&self, question: Question) {
        let bounds = bounds(question.settings);
        if let Some(claim) = question.claim {
            claim.release().await;
        }
        let a_few = || self.journal.store.ask(move |connection| answers::trim(connection, bounds));
        while let Ok(true) = a_few().await {}
    }
}

fn bounds(settings: CacheSettings) -> Bounds {
    Bounds { most: settings.max_size, ttl: ttl(settings), bytes: BYTES }
}

fn read(json: &str) -> Option<Box<Reply>> {
    serde_json::from_str(json).ok()
}

fn own_ancestor() -> Failure {
    let message = "this is the question that the dispatch is about from which it was asked, directly or through others; it would wait for itself";
    Failure::new(ErrorType::Recursion, message)
        .hint("Answer from what is at hand instead of asking the same again.")
}
