//! Jobs as callers see them, with the keys of the Python tool; what is unknown is absent.

use serde::Serialize;

use crate::dispatch::reply::Reply;
use crate::dispatch::request::Request;
use crate::store::jobs::{self, Status};

/// How much of a task a summary has, in characters.
pub(super) const TASK: usize = 120;

/// A job and what came of it. Times are in seconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The agent's name.
    pub agent: String,
    /// What it is to do.
    pub task: String,
    /// Material to work with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Who asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// `pending`, `running`, `done`, `failed` or `cancelled`.
    pub status: Status,
    /// When it was asked for.
    pub created_at: f64,
    /// When its agent was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<f64>,
    /// The reply, once it is over; of a cancelled one what its agent had said by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Reply>,
    /// Why it is over without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// What its agent did last, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<String>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_updated_at: Option<f64>,
}

/// A job in a few words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobSummary {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The agent's name.
    pub agent: String,
    /// `pending`, `running`, `done`, `failed` or `cancelled`.
    pub status: Status,
    /// The beginning of what it is to do.
    pub task: String,
    /// When it was asked for, in seconds since 1970, as the others.
    pub created_at: f64,
    /// When its agent was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<f64>,
    /// Did its agent finish?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// What it cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// What its agent did last, while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_progress: Option<String>,
    /// Why it is over without success, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
}

impl Job {
    pub(super) fn new(job: jobs::Job, request: &str, result: Option<Reply>) -> Self {
        let request = serde_json::from_str::<Request>(request);
        // A later version may have written one that this one cannot read.
        let Request { task, context, caller, goal, .. } =
            request.unwrap_or_else(|_| Request { task: job.task, ..Request::default() });
        Self {
            id: job.id,
            agent: job.agent,
            task,
            context,
            caller,
            goal,
            status: job.status,
            created_at: seconds(job.created_ms),
            started_at: job.started_ms.map(seconds),
            completed_at: job.completed_ms.map(seconds),
            result,
            error: job.error,
            error_type: job.error_type,
            progress: job.progress,
            progress_updated_at: job.progress_ms.map(seconds),
        }
    }
}

impl From<jobs::Job> for JobSummary {
    fn from(mut job: jobs::Job) -> Self {
        Self {
            id: job.id,
            agent: job.agent,
            status: job.status,
            task: job.task,
            created_at: seconds(job.created_ms),
            started_at: job.started_ms.map(seconds),
            completed_at: job.completed_ms.map(seconds),
            success: job.success,
            cost_usd: job.cost_usd,
            last_progress: job.progress.pop().filter(|_| job.status == Status::Running),
            error_type: job.error_type,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for long")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
