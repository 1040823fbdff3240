//! Jobs: dispatches that outlive the server that was asked for them.
//!
//! A job is kept by a process of its own, which takes it through the one pipeline and writes
//! down what comes of it; `folder` is what lies on disk meanwhile.
//!
//! | file     | what it is about                                               |
//! |----------|----------------------------------------------------------------|
//! | `start`  | from a request to a job and its keeper                         |
//! | `within` | a dispatch that becomes a job where it takes long              |
//! | `keeper` | the process that keeps a job, from the inside                  |
//! | `folder` | the job's lock, its call and its spool                         |
//! | `settle` | jobs whose keeper was killed                                   |
//! | `cancel` | what is not wanted any more                                    |
//! | `forget` | what was over long ago                                         |
//! | `record` | jobs as callers see them                                       |
//! | `id`     | which job is meant                                             |
//!
//! Who looks at a job learns from its lock whether it is kept by anybody; a job that is not
//! over and kept by nobody is brought to its end by whoever looks first.

mod cancel;
mod folder;
mod forget;
mod id;
mod keeper;
mod record;
mod settle;
mod start;
mod within;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::{Instant, timeout_at};

use super::bell::{self, Bell};
use super::reply::Refusal;
use super::{Dispatcher, Reply};
use crate::config::Paths;
use crate::store::jobs::{self, Status};
use crate::store::replies;
use folder::{JobFolder, Keeper};

pub use cancel::{CancelOutcome, Cancelled};
pub(super) use id::session_of;
pub use record::{Job, JobSummary};
pub use within::Within;

/// How long somebody waits for the store who has it told something of a job.
const PATIENCE: Duration = Duration::from_secs(10);

/// The door of calls that look at the folders of jobs; no agent can have this name.
const JOBS: &str = "+jobs";

/// What is needed to start jobs and to look at them.
pub(super) struct Jobs {
    folder: PathBuf,
    executable: PathBuf,
    /// The config file, where the environment named it.
    config_file: Option<PathBuf>,
    /// When old ones were last forgotten.
    forgot: Mutex<Option<Instant>>,
}

/// What a run has from the job that it is: nothing of it ends before the job's lock is free.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The job's id, which its run has too.
    pub(super) id: String,
    /// Where what the agent CLI writes goes.
    pub(super) spool: PathBuf,
    /// What has to stay open as long as anything of the run is left.
    lock: Arc<OwnedFd>,
    /// Somebody waits for it as for any other dispatch.
    pub(super) is_waited_for: bool,
}

impl Keeping {
    /// What has to stay open as long as anything of the run is left.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.lock.try_clone().ok()
    }
}

/// Which jobs are wanted.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Those that stand so.
    pub status: Option<Status>,
    /// Those of this agent.
    pub agent: Option<String>,
    /// So many of the latest.
    pub limit: u32,
}

/// A job that was waited for.
#[derive(Debug, Clone)]
pub struct Waited {
    /// How it stands.
    pub job: Job,
    /// It is not over: the time was.
    pub timed_out: bool,
}

/// A job as the store has it, and what rings when nobody keeps it any more; none where
/// nobody does already.
struct Standing {
    job: jobs::Job,
    request: String,
    kept: Option<Bell>,
}

impl Jobs {
    /// Jobs in these folders. Touches nothing.
    pub(super) fn new(paths: &Paths, executable: &Path) -> Self {
        Self {
            folder: paths.state_folder.join("jobs"),
            executable: executable.to_owned(),
            config_file: paths.is_config_named.then(|| paths.config_file.clone()),
            forgot: Mutex::new(None),
        }
    }

    fn folder(&self, id: &str) -> JobFolder {
        JobFolder::new(self.folder.join(id))
    }
}

impl Dispatcher {
    /// The job that this names: an id, or one with its agent before it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such job, or the store cannot be read.
    pub async fn job(self: &Arc<Self>, id: &str) -> Result<Job, Refusal> {
        let id = id::parse(id)?;
        let standing = self.look_at_job(&id).await?;
        self.job_with_reply(standing).await
    }

    /// The same, or none where there is no such job. The id is one.
    pub(super) async fn job_if_any(self: &Arc<Self>, id: &str) -> Result<Option<Job>, Refusal> {
        if self.read_job(id).await?.is_none() {
            return Ok(None);
        }
        let standing = self.look_at_job(id).await?;
        self.job_with_reply(standing).await.map(Some)
    }

    /// The latest jobs, newest first.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the store cannot be read.
    pub async fn jobs(self: &Arc<Self>, wanted: JobFilter) -> Result<Vec<JobSummary>, Refusal> {
        self.settle_lost().await?;
        let JobFilter { status, agent, limit } = wanted;
        let listed = self
            .read_jobs(move |connection| jobs::list(connection, status, agent.as_deref(), limit));
        Ok(listed.await?.into_iter().map(JobSummary::from).collect())
    }

    /// Waits until a job is over, but no longer than this; says how it stands then.
    ///
    /// # Errors
    ///
    /// As [`Dispatcher::job`].
    pub async fn wait_job(
        self: &Arc<Self>,
        id: &str,
        longest: Duration,
    ) -> Result<Waited, Refusal> {
        let id = id::parse(id)?;
        let deadline = Instant::now() + longest;
        loop {
            let mut standing = self.look_at_job(&id).await?;
            let status = standing.job.status;
            // What a cancelled one has said is there once it is at its end.
            let is_awaited = !status.is_final() || status == Status::Cancelled;
            let rang = match standing.kept.take().filter(|_| is_awaited) {
                Some(kept) => timeout_at(deadline, bell::any(&[kept])).await.is_ok(),
                None => false,
            };
            if !rang {
                let job = self.job_with_reply(standing).await?;
                return Ok(Waited { job, timed_out: !status.is_final() });
            }
        }
    }

    /// How a job stands. One that nobody keeps is settled first.
    async fn look_at_job(self: &Arc<Self>, id: &str) -> Result<Standing, Refusal> {
        loop {
            let Some((job, request)) = self.read_job(id).await? else {
                return Err(id::unknown(id));
            };
            let folder = self.jobs.folder(id);
            let is_cancelled = job.status == Status::Cancelled;
            let keeper = self.look_at_files(move || {
                let keeper = folder.keeper()?;
                if is_cancelled && matches!(keeper, Keeper::Alive(_)) {
                    // Whoever cancelled it may have been killed before this.
                    folder.call()?;
                }
                Ok(keeper)
            });
            let is_final = job.status.is_final();
            match keeper.await? {
                Keeper::Alive(bell) => return Ok(Standing { job, request, kept: Some(bell) }),
                Keeper::Gone if is_final => return Ok(Standing { job, request, kept: None }),
                Keeper::Gone => Box::pin(self.settle(id, None)).await?,
                Keeper::Dead(bell) => Box::pin(self.settle(id, Some(bell))).await?,
            }
        }
    }

    /// Looks at files of jobs, or changes them, on another thread of the runtime.
    async fn look_at_files<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.look(JOBS, move || work().map_err(unusable)).await
    }

    async fn read_job(&self, id: &str) -> Result<Option<(jobs::Job, String)>, Refusal> {
        let wanted = id.to_owned();
        self.read_jobs(move |connection| jobs::read(connection, &wanted)).await
    }

    /// Has something of jobs read.
    async fn read_jobs<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let read = self.journal.read(work).await;
        read.map_err(|error| Refusal::new(format!("the jobs cannot be read: {error}")))
    }

    /// Has something of jobs changed, and waits until it is.
    async fn change_jobs<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let changed = self.journal.store.change(PATIENCE, work).await;
        changed.map_err(|error| Refusal::new(format!("the job cannot be written down: {error}")))
    }

    /// The job with the reply that is kept for it.
    async fn job_with_reply(&self, standing: Standing) -> Result<Job, Refusal> {
        let Standing { job, request, .. } = standing;
        let id = job.id.clone();
        let is_final = job.status.is_final();
        let reply = if is_final {
            self.read_jobs(move |connection| replies::read(connection, &id)).await?
        } else {
            None
        };
        let reply = reply.and_then(|kept| serde_json::from_str::<Reply>(&kept.json).ok());
        // It is kept under the job's own id.
        let reply = reply.map(|reply| reply.of_run(&job.id));
        Ok(Job::new(job, &request, reply))
    }
}

/// A file of a job that cannot be used.
fn unusable(error: io::Error) -> Refusal {
    Refusal::new(format!("the files of the job cannot be used: {error}"))
        .with_hint("They lie below 'agent-dispatch/jobs' in the folder for state.")
}
