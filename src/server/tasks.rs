//! Tasks: a dispatch that takes long becomes a task of the client's, which is a job.
//!
//! Clients that declare the extension `io.modelcontextprotocol/tasks` get one; all others
//! have the tools about jobs. The task's id is `<agent>-<job_id>`, and those tools take it too.

use chrono::{DateTime, SecondsFormat, Utc};
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, GetTaskResult, JsonObject, Task, TaskPayload,
    TaskStatus,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::wording::Wording;
use super::{Server, answer, progress};
use crate::dispatch::{GivenAs, Job, JobStatus, Refusal, Request, Within};

/// How often a client may look at a task, in milliseconds.
const POLL_INTERVAL_MS: u64 = 2000;

impl Server {
    /// A dispatch for a client that can be given a task: its reply where that comes soon.
    pub(super) async fn dispatch_or_task(
        &self,
        request: Request,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        // Boxed: every call would have room for it.
        match Box::pin(self.reply_or_task(request, context)).await {
            Ok(response) => response,
            Err(refusal) => answer::refusal(&refusal).into(),
        }
    }

    async fn reply_or_task(
        &self,
        request: Request,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Refusal> {
        let work =
            |listener| async move { self.dispatcher.dispatch_within(request, &listener).await };
        Ok(match Box::pin(progress::report(context, Wording::Dispatch, work)).await? {
            Within::Reply(reply) => {
                answer::answer(&self.dispatcher.deliver(*reply, GivenAs::Reply).await).into()
            }
            Within::Job(job) => CreateTaskResult::new(task(&job)).into(),
        })
    }

    pub(super) async fn task(&self, id: &str) -> Result<GetTaskResult, ErrorData> {
        let job = self.dispatcher.job(id).await.map_err(|refusal| unusable(&refusal))?;
        let task = task(&job);
        let payload = match job.status {
            JobStatus::Pending | JobStatus::Running => TaskPayload::Working,
            JobStatus::Cancelled => TaskPayload::Cancelled,
            // A dispatch that failed is an answer too.
            JobStatus::Done | JobStatus::Failed => {
                let reply = job.into_reply();
                let answer = self.dispatcher.deliver(reply, GivenAs::Reply).await;
                TaskPayload::Completed { result: object(&answer::answer(&answer))? }
            }
        };
        Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
    }

    pub(super) async fn cancel_job_of_task(&self, id: &str) -> Result<(), ErrorData> {
        let cancelled = self.dispatcher.cancel_job(id).await;
        cancelled.map(drop).map_err(|refusal| unusable(&refusal))
    }
}

/// The task that a job is.
fn task(job: &Job) -> Task {
    let (status, message) = match job.status {
        JobStatus::Pending => (TaskStatus::Working, "waits for its turn".to_owned()),
        JobStatus::Running => {
            let progress = job.progress.last().cloned();
            (TaskStatus::Working, progress.unwrap_or_else(|| "its agent works".to_owned()))
        }
        JobStatus::Cancelled => (TaskStatus::Cancelled, "was cancelled".to_owned()),
        JobStatus::Done => (TaskStatus::Completed, "is done".to_owned()),
        JobStatus::Failed => {
            let error = job.error.clone();
            (TaskStatus::Completed, error.unwrap_or_else(|| "failed".to_owned()))
        }
    };
    let changes = [Some(job.created_at), job.started_at, job.progress_updated_at, job.completed_at];
    let updated = changes.into_iter().flatten().fold(job.created_at, f64::max);
    let id = format!("{}-{}", job.agent, job.id);
    Task::new(id, status, time(job.created_at), time(updated))
        .with_status_message(message)
        .with_poll_interval_ms(POLL_INTERVAL_MS)
}

/// Seconds since 1970 in ISO 8601.
fn time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for long")]
    let time = DateTime::<Utc>::from_timestamp_millis((seconds * 1000.0).round() as i64);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn object(result: &impl serde::Serialize) -> Result<JsonObject, ErrorData> {
    let written = serde_json::to_value(result);
    match written {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        _ => Err(ErrorData::internal_error("the result cannot be written as JSON", None)),
    }
}

/// What is wrong with a task: most often its id.
fn unusable(refusal: &Refusal) -> ErrorData {
    let hint = refusal.hint.as_deref().map(|hint| format!(". {hint}")).unwrap_or_default();
    ErrorData::invalid_params(format!("{refusal}{hint}"), None)
}
