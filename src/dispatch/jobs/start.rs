//! From a request to a job and its keeper.

use std::fs::File;
use std::io;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use super::record::TASK;
use super::{Job, Jobs, id};
use crate::config::Settings;
use crate::dispatch::Dispatcher;
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::{Conversation, Request};
use crate::store::jobs::{self, Status};
use crate::store::journal::now_ms;

impl Dispatcher {
    /// Starts a job and does not wait for it. It goes on when this process ends, except where
    /// this process belongs to a dispatch: what that led to ends with it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] as [`Dispatcher::dispatch`], and when the job cannot be kept: then nothing
    /// was started. The inner error is the reply of a dispatch that would not be let through.
    pub async fn start_job(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Result<Job, Reply>, Refusal> {
        let request = as_job(request);
        let agent = request.agent.clone();
        let entry = self.journal.entry(&request, &self.lineage);
        let plan = match self.prepare(request.clone()).await? {
            Ok(plan) => plan,
            Err(failure) => {
                return Ok(Err(entry.ended_with(Reply::not_run(&agent, failure))));
            }
        };
        self.begin_job(request, &plan.config.settings).await.map(Ok)
    }

    /// Starts a job for a request that would be let through by these settings.
    pub(super) async fn begin_job(
        self: &Arc<Self>,
        request: Request,
        settings: &Settings,
    ) -> Result<Job, Refusal> {
        let job = self.add_job(&as_job(request), settings.max_queued_jobs).await?;
        self.forget_old_jobs(settings.job_retention_days);
        Ok(job)
    }

    async fn add_job(self: &Arc<Self>, request: &Request, most: u32) -> Result<Job, Refusal> {
        let written = serde_json::to_string(request)
            .map_err(|error| Refusal::new(format!("the request cannot be written: {error}")))?;
        let job = waiting(request);
        let folder = self.jobs.folder(&job.id);
        // What there is of it is nobody's.
        let made = move || folder.make().inspect_err(|_| drop(folder.remove()));
        let lock = self.look_at_files(made).await?;
        let added = match self.write_job(&job, &written, most).await {
            // Some that wait may have been killed.
            Ok(false) if self.settle_lost().await? > 0 => {
                self.write_job(&job, &written, most).await
            }
            added => added,
        };
        let refusal = match added {
            Ok(true) => match self.jobs.keep(&job.id, lock) {
                Ok(()) => return Ok(Job::new(job, &written, None)),
                Err(error) => {
                    let id = job.id.clone();
                    let taking_back = move |connection: &mut _| jobs::take_back(connection, &id);
                    // Where that fails it is settled by whoever looks next.
                    let _ = self.change_jobs(taking_back).await;
                    Refusal::new(format!(
                        "the process that keeps the job cannot be started: {error}"
                    ))
                }
            },
            Ok(false) => {
                let state = if most == 1 { "1 job waits" } else { &format!("{most} jobs wait") };
                Refusal::new(format!("{state} already, and settings.max_queued_jobs allows no more"))
                    .with_hint("Wait until some have begun, or cancel some: 'agent-dispatch jobs --status pending' and the tool dispatch_jobs list them.")
            }
            Err(refusal) => refusal,
        };
        let folder = self.jobs.folder(&job.id);
        let _ = self.look_at_files(move || folder.remove()).await;
        Err(refusal)
    }

    async fn write_job(&self, job: &jobs::Job, request: &str, most: u32) -> Result<bool, Refusal> {
        let (job, request) = (job.clone(), request.to_owned());
        let adding = move |connection: &mut _| jobs::add(connection, &job, &request, most);
        self.change_jobs(adding).await
    }
}

impl Jobs {
    /// Starts the process that keeps the job, and hands it the job's lock.
    fn keep(&self, id: &str, lock: File) -> io::Result<()> {
        let mut command = Command::new(&self.executable);
        // It outlives what is mounted where this process happens to be.
        command.args(["keep-job", id]).current_dir("/");
        // Out of the reach of the terminal's signals, and of those to the group of this
        // process, from its first moment on: the job is promised by then. A session of its
        // own would come later, when it has begun to run.
        command.process_group(0);
        if let Some(config) = &self.config_file {
            command.env(crate::config::CONFIG_VARIABLE, config);
        }
        command.stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = command.spawn()?;
        // Nobody wants to know how it ended; but it is to be reaped.
        tokio::spawn(async move { keeper.wait().await });
        Ok(())
    }
}

/// The request as that of a job, which has a conversation of its own.
fn as_job(request: Request) -> Request {
    let conversation = match request.conversation {
        Conversation::None => Conversation::New,
        given => given,
    };
    Request { conversation, keeping: None, ..request }
}

fn waiting(request: &Request) -> jobs::Job {
    jobs::Job {
        id: id::new(),
        agent: request.agent.clone(),
        status: Status::Pending,
        task: request.task.chars().take(TASK).collect(),
        created_ms: now_ms(),
        started_ms: None,
        completed_ms: None,
        keeper: None,
        success: None,
        cost_usd: None,
        session_id: None,
        error: None,
        error_type: None,
        progress: Vec::new(),
        progress_ms: None,
    }
}
