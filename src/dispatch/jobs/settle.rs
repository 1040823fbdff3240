//! Jobs whose keeper was killed: whoever looks next ends what is left of them, and reads from
//! the spool what came of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::folder::Keeper;
use super::keeper::end_of;
use super::{id, unusable};
use crate::agent::{self, ErrorType, Failure, Outcome};
use crate::dispatch::bell::Bell;
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::{Conversation, Request};
use crate::dispatch::{Dispatcher, journal, prompt};
use crate::store::jobs::{self, Status};
use crate::store::journal::{Record, now_ms};

impl Dispatcher {
    /// Settles all jobs that are not over and that nobody keeps; says of how many that is done.
    pub(super) async fn settle_lost(self: &Arc<Self>) -> Result<usize, Refusal> {
        let open = self.read_jobs(|connection| jobs::not_over(connection)).await?;
        if open.is_empty() {
            return Ok(0);
        }
        let this = Arc::clone(self);
        let lost = self.look_at_files(move || {
            let mut lost = Vec::new();
            for id in open {
                match this.jobs.folder(&id).keeper() {
                    Ok(Keeper::Alive(_)) => {}
                    Ok(Keeper::Dead(bell)) => lost.push((id, Some(bell))),
                    Ok(Keeper::Gone) => lost.push((id, None)),
                    // One that is damaged is to hide no other.
                    Err(error) => tracing::warn!("whether job {id} is kept is unknown: {error}"),
                }
            }
            Ok(lost)
        });
        let settling = lost.await?.into_iter().map(|(id, bell)| async move {
            let settled = self.settle(&id, bell).await;
            if let Err(refusal) = &settled {
                tracing::warn!("job {id} is not brought to its end: {refusal}");
            }
            settled.is_ok()
        });
        Ok(join_all(settling).await.into_iter().filter(|is_settled| *is_settled).count())
    }

    /// Brings a job to its end that nobody keeps; `lock` keeps it so. Of several who do it at
    /// once one alone is heard.
    pub(super) async fn settle(
        self: &Arc<Self>,
        id: &str,
        lock: Option<Bell>,
    ) -> Result<(), Refusal> {
        // Again: its keeper may have ended since it was read.
        let job = self.read_job(id).await?;
        let open = job.filter(|(job, _)| !job.status.is_final() || job.status == Status::Cancelled);
        if let Some((job, request)) = open {
            let request = serde_json::from_str::<Request>(&request).ok();
            let reply = self.reply_of_lost(&job, request).await?;
            let (name, end, record) =
                (id.to_owned(), end_of(&reply), journal::end_of(&reply, true));
            let ending = move |connection: &mut _| {
                jobs::end(connection, &name, &end)?;
                Record::complete(connection, &name, record)
            };
            self.change_jobs(ending).await?;
        }
        let folder = self.jobs.folder(id);
        self.look_at_files(move || folder.remove()).await?;
        drop(lock);
        Ok(())
    }

    async fn reply_of_lost(
        self: &Arc<Self>,
        job: &jobs::Job,
        request: Option<Request>,
    ) -> Result<Reply, Refusal> {
        let session = match request.as_ref().map(|request| &request.conversation) {
            Some(Conversation::Resume(session)) => session.clone(),
            _ => id::session_of(&job.id),
        };
        let (name, spool) = (job.id.clone(), self.jobs.folder(&job.id).spool());
        let since = now_ms().saturating_sub(job.started_ms.unwrap_or(job.created_ms));
        let elapsed = Duration::from_millis(since.max(0).unsigned_abs());
        let cli = self.cli;
        // Not through a door: it may take seconds, and depends on no agent's directory.
        let ended = tokio::task::spawn_blocking(move || {
            agent::end_leftovers(&name);
            agent::read_spool(&cli, &session, &spool, elapsed)
        });
        let outcome = match ended.await.map_err(io::Error::from).map_err(unusable)? {
            Ok(outcome) => outcome,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Reply::not_run(&job.agent, lost_before_start()));
            }
            Err(error) => return Err(unusable(error)),
        };
        let outcome = explained(outcome);
        let mut reply = Reply::of(&job.agent, outcome, None);
        if let Some(request) = request.filter(|_| reply.success) {
            self.interpret_again(request, &mut reply).await;
        }
        Ok(reply)
    }

    /// Has the policy of the agent read the reply, as far as the config still has them;
    /// otherwise it stands as the agent gave it.
    async fn interpret_again(self: &Arc<Self>, request: Request, reply: &mut Reply) {
        if let Ok(Ok(mut plan)) = self.prepare(request).await
            && let Ok(reader) = self.word(&mut plan, false).await
        {
            prompt::interpret(&reader, reply).await;
        }
    }
}

fn lost_before_start() -> Failure {
    let message = "the process that kept the job was killed before its agent was started";
    Failure::new(ErrorType::Lost, message).hint("Nothing was run or spent: start it again.")
}

/// What became of a run that nobody looked after.
fn explained(mut outcome: Outcome) -> Outcome {
    if let Some(failure) =
        outcome.failure.as_mut().filter(|failure| failure.error_type == ErrorType::Lost)
    {
        "the processes that kept the job were killed, and its agent was ended"
            .clone_into(&mut failure.message);
        failure.hint = Some(match &outcome.session_id {
            Some(session) => format!(
                "dispatch_session with session_id {session} goes on with what it had done; or start it again."
            ),
            None => "Start it again.".to_owned(),
        });
    }
    outcome
}
