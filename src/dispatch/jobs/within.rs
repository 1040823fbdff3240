//! A dispatch that goes on as a job where it takes longer than its caller waits.

use std::sync::Arc;
use std::time::Duration;

use super::Job;
use crate::agent::{ErrorType, Failure};
use crate::dispatch::Dispatcher;
use crate::dispatch::listener::{Listener, News};
use crate::dispatch::plan::Shareable;
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::Request;
use crate::dispatch::shared::Shared;

/// What came of a dispatch within its caller's patience.
#[derive(Debug)]
pub enum Within {
    /// It is over.
    Reply(Box<Reply>),
    /// It goes on.
    Job(Box<Job>),
}

impl Dispatcher {
    /// Serves a request as a job from its start, so that what comes of it survives this
    /// process, and waits for it as long as `settings.task_after_seconds` says. Dropping the
    /// future is leaving: a job that nobody was told of is cancelled. Where the setting is
    /// off, or there is no store, it is a dispatch like any other.
    ///
    /// # Errors
    ///
    /// As [`Dispatcher::dispatch`].
    pub async fn dispatch_within(
        self: &Arc<Self>,
        request: Request,
        listener: &Listener,
    ) -> Result<Within, Refusal> {
        let agent = request.agent.clone();
        let entry = self.journal.entry(&request, &self.lineage);
        let plan = match self.prepare(request.clone()).await? {
            Ok(plan) => plan,
            Err(failure) => return Ok(over(entry.ended_with(Reply::not_run(&agent, failure)))),
        };
        let Some(patience) = plan.config.settings.task_after_seconds else {
            drop(entry);
            return self.dispatch(request, listener).await.map(over);
        };
        let (mut question, mut kept_as) = (None, None);
        if let Some(Shareable { key, .. }) = plan.shareable {
            let at_hand = match self.look_up(key, plan.cache, request.fresh).await {
                Shared::Answer(reply, age) => Some((*reply, age)),
                Shared::Open(open) => {
                    question = Some(open);
                    None
                }
                Shared::Alone => {
                    kept_as = Some((key, plan.cache));
                    self.flights.answer(&key, plan.cache, request.fresh)
                }
            };
            if let Some((reply, age)) = at_hand {
                return Ok(over(entry.ended_with(reply.kept_for(age))));
            }
        }
        drop(entry);
        let job = match self.begin_job(request.clone(), &plan.config.settings).await {
            Ok(job) => job,
            Err(_) if self.journal.store.has_failed() => {
                return self.dispatch(request, listener).await.map(over);
            }
            Err(refusal) => return Err(refusal),
        };
        listener.tell(&agent, News::Running);
        let mut unheard = Unheard { dispatcher: self, id: Some(job.id.clone()) };
        let waiting = self.wait_job(&job.id, Duration::from_secs(patience.into()));
        let Some(waited) = self.ending.run_until_cancelled(waiting).await else {
            return Ok(over(Reply::not_run(&agent, Failure::cancelled_before_end())));
        };
        let waited = waited?;
        unheard.id = None;
        if waited.timed_out {
            return Ok(Within::Job(Box::new(waited.job)));
        }
        let reply = Arc::new(waited.job.into_reply());
        if let Some(question) = question {
            self.publish(&question, &reply).await;
            self.answered(question).await;
        } else if let Some((key, settings)) = kept_as.filter(|_| reply.is_clean()) {
            self.flights.keep(key, &reply, settings);
        }
        Ok(over(Arc::unwrap_or_clone(reply)))
    }
}

fn over(reply: Reply) -> Within {
    Within::Reply(Box::new(reply))
}

impl Job {
    /// The reply of a job that is over; one without, which nobody wrote down, says why.
    pub fn into_reply(self) -> Reply {
        let Self { agent, result, error, .. } = self;
        result.unwrap_or_else(|| {
            let message = error.unwrap_or_else(|| "its result was not written down".to_owned());
            Reply::not_run(&agent, Failure::new(ErrorType::Cancelled, message))
        })
    }
}

/// A job whose id nobody knows yet. Dropped, it is cancelled.
struct Unheard<'d> {
    dispatcher: &'d Arc<Dispatcher>,
    id: Option<String>,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let dispatcher = Arc::clone(self.dispatcher);
            let cancelling = async move {
                if let Err(refusal) = dispatcher.cancel_job(&id).await {
                    tracing::warn!(
                        "the job {id} that nobody waits for is not cancelled: {refusal}"
                    );
                }
            };
            self.dispatcher.runs.spawn(cancelling);
        }
    }
}
