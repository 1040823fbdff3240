//! The tools about jobs, with the Python tool's parameters and JSON.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use serde::Serialize;
use serde_json::json;

use super::arguments::Arguments;
use super::wording::Wording;
use super::{Server, answer, outcome, progress, requests};
use crate::dispatch::{Job, JobFilter, JobStatus, Refusal, Waited};

/// How long a call waits that does not say how long, in seconds.
const WAIT: u64 = 60;

/// The least and the most that one may wait.
const WAITS: (u64, u64) = (1, 3600);

/// How many jobs are listed for one who does not say how many.
const LIMIT: u64 = 50;

/// How long a job that is over is kept by one who does not say how long, in days.
const DAYS: f64 = 7.0;

/// A job, and whether the call has ended before it.
#[derive(Serialize)]
struct WaitedFor {
    #[serde(flatten)]
    job: Job,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    timed_out_waiting: bool,
}

/// The answer, or what is wrong with the arguments.
type Called = Result<CallToolResult, String>;

impl Server {
    pub(super) async fn dispatch_async(&self, arguments: &Arguments) -> Called {
        let started = self.dispatcher.start_job(requests::job(arguments)?).await;
        Ok(match started {
            Ok(Ok(job)) => answer::answer(&json!({
                "job_id": job.id,
                "status": job.status.as_str(),
                "agent": job.agent,
            })),
            Ok(Err(reply)) => answer::answer(&reply),
            Err(refusal) => answer::refusal(&refusal),
        })
    }

    pub(super) async fn dispatch_status(&self, arguments: &Arguments) -> Called {
        let job = self.dispatcher.job(&arguments.required("job_id")?).await;
        Ok(match job {
            Ok(job) => answer::answer(&self.dispatcher.deliver_job(job).await),
            Err(refusal) => answer::refusal(&refusal),
        })
    }

    pub(super) async fn dispatch_wait(
        &self,
        arguments: &Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Called {
        let id = arguments.required("job_id")?;
        let given = arguments.given("timeout_seconds").map(|_| arguments.count("timeout_seconds"));
        let seconds = given.transpose()?.unwrap_or(WAIT).clamp(WAITS.0, WAITS.1);
        let work = |_| async {
            let Waited { job, timed_out } =
                self.dispatcher.wait_job(&id, Duration::from_secs(seconds)).await?;
            Ok(Waited { job: self.dispatcher.deliver_job(job).await, timed_out })
        };
        let waited = progress::report(context, Wording::Job, work).await;
        let shown = |Waited { job, timed_out }| WaitedFor { job, timed_out_waiting: timed_out };
        Ok(outcome(waited.map(shown)))
    }

    pub(super) async fn dispatch_cancel(&self, arguments: &Arguments) -> Called {
        Ok(outcome(self.dispatcher.cancel_job(&arguments.required("job_id")?).await))
    }

    pub(super) async fn dispatch_jobs(&self, arguments: &Arguments) -> Called {
        let status = match arguments.name("status")? {
            Some(word) => match JobStatus::parse(&word.to_lowercase()) {
                Some(status) => Some(status),
                None => return Ok(answer::refusal(&no_status(&word))),
            },
            None => None,
        };
        let given = arguments.given("limit").map(|_| arguments.count("limit"));
        let limit = given.transpose()?.unwrap_or(LIMIT).clamp(1, 1000);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let wanted = JobFilter { status, agent: arguments.name("agent")?, limit };
        Ok(outcome(self.dispatcher.jobs(wanted).await))
    }

    pub(super) async fn dispatch_gc(&self, arguments: &Arguments) -> Called {
        let days = arguments.number("max_age_days")?.unwrap_or(DAYS);
        let dry_run = arguments.flag("dry_run")?;
        let age = match age(days) {
            Ok(age) => age,
            Err(refusal) => return Ok(answer::refusal(&refusal)),
        };
        let forgotten = self.dispatcher.gc_jobs(Some(age), dry_run).await;
        Ok(outcome(forgotten.map(|ids| {
            if dry_run {
                json!({
                    "dry_run": true,
                    "purged": 0,
                    "would_purge": ids.len(),
                    "job_ids": ids,
                    "max_age_days": days,
                })
            } else {
                json!({"purged": ids.len(), "max_age_days": days})
            }
        })))
    }
}

/// So many days, if they are some.
fn age(days: f64) -> Result<Duration, Refusal> {
    if days <= 0.0 || days.is_nan() {
        return Err(Refusal::new("max_age_days has to be more than 0"));
    }
    Duration::try_from_secs_f64(days * 86400.0)
        .map_err(|_| Refusal::new("max_age_days is too large: no job is that old"))
}

fn no_status(word: &str) -> Refusal {
    let words = JobStatus::ALL.map(JobStatus::as_str).join(", ");
    Refusal::new(format!("no job has the status {word:?}; there are {words}, or empty for all"))
}
