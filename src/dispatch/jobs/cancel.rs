//! Ending what is not wanted any more, whoever started it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::folder::Keeper;
use super::id;
use crate::agent;
use crate::dispatch::Dispatcher;
use crate::dispatch::bell::{self, Bell};
use crate::dispatch::reply::Refusal;
use crate::store::jobs::{self, Status};
use crate::store::journal::now_ms;

/// How long a keeper may take to end its job: an agent that does not obey is killed after two
/// seconds. One that takes longer was stopped itself, and is killed.
const KEEPER: Duration = Duration::from_secs(5);

/// What holds the lock of a job: the commands of its keeper and of that one's runner.
const HOLDERS: [&str; 2] = ["keep-job", "runner"];

/// How long what it leaves behind may take to go.
const RUNNER: Duration = Duration::from_secs(5);

/// What came of cancelling.
#[derive(Debug, Clone, Serialize)]
pub struct Cancelled {
    /// Which job.
    pub job_id: String,
    /// What came of it.
    pub outcome: CancelOutcome,
    /// How the job stands now.
    pub status: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// What came of cancelling a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// It waited, and will not begin.
    Cancelled,
    /// Its agent worked, and was ended.
    CancelledRunning,
    /// There was nothing to cancel.
    AlreadyTerminal,
}

/// Why a job that stood so is over.
pub(super) fn why(status: Status) -> String {
    match status {
        Status::Running => "cancelled while its agent worked; the agent was ended",
        _ => "cancelled before its agent was started",
    }
    .to_owned()
}

impl Dispatcher {
    /// Cancels a job and waits until nothing of it is left. What its agent had said and cost
    /// by then is still kept.
    ///
    /// # Errors
    ///
    /// As [`Dispatcher::job`].
    pub async fn cancel_job(self: &Arc<Self>, id: &str) -> Result<Cancelled, Refusal> {
        let id = id::parse(id)?;
        let standing = self.look_at_job(&id).await?;
        let name = id.clone();
        let cancelling = move |connection: &mut _| jobs::cancel(connection, &name, now_ms(), why);
        let before = self.change_jobs(cancelling).await?;
        // One that was cancelled by somebody who was killed then is brought to its end too.
        if let Some(kept) = standing.kept {
            self.end_keeper(&id, kept).await?;
        }
        let status = self.look_at_job(&id).await?.job.status;
        let (outcome, message) = match before {
            Some(Status::Running) => (
                CancelOutcome::CancelledRunning,
                "Its agent worked and was ended; what it had said by then is kept.".to_owned(),
            ),
            Some(_) => (CancelOutcome::Cancelled, "It had not begun, and will not.".to_owned()),
            None => (
                CancelOutcome::AlreadyTerminal,
                format!("There was nothing to cancel: it is {} already.", status.as_str()),
            ),
        };
        Ok(Cancelled { job_id: id, outcome, status: status.as_str(), message })
    }

    async fn end_keeper(self: &Arc<Self>, id: &str, kept: Bell) -> Result<(), Refusal> {
        let folder = self.jobs.folder(id);
        self.look_at_files(move || folder.call()).await?;
        if timeout(KEEPER, bell::any(&[kept])).await.is_ok() {
            return Ok(());
        }
        let keeper = self.read_job(id).await?.and_then(|(job, _)| job.keeper);
        let folder = self.jobs.folder(id);
        let killed = self.look_at_files(move || {
            let Keeper::Alive(bell) = folder.keeper()? else { return Ok(None) };
            // Its keeper may be dead, and a runner left that was stopped.
            agent::kill_holders(&folder.lock_path(), &HOLDERS, keeper.map(|keeper| keeper.pid));
            Ok(Some(bell))
        });
        if let Some(bell) = killed.await? {
            // What is left is ended by the look that follows.
            let _ = timeout(RUNNER, bell::any(&[bell])).await;
        }
        Ok(())
    }
}
