//! The process that keeps a job, from the inside: it takes the job through the one pipeline
//! and writes down what comes of it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cancel::why;
use super::{Keeping, unusable};
use crate::dispatch::Dispatcher;
use crate::dispatch::listener::{Listener, News, summary};
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::{Form, Request};
use crate::store::jobs::{self, Status};
use crate::store::journal::now_ms;
use crate::store::{Owner, StoreError};

/// How many lines of what the agent did are kept.
const LINES: usize = 20;

/// How often they are written at most.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How long one attempt to write may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long what matters is tried again. What cannot be written then is in the spool, and
/// whoever looks next reads it there.
const ATTEMPTS: Duration = Duration::from_mins(2);

/// How long is waited between two attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is to be written of a job that goes on.
enum Note {
    Running,
    Line(String),
    /// It is over.
    End,
}

impl Dispatcher {
    /// Keeps the job with this id to its end; `asked` says that this process is to end, and
    /// `lock` is the job's lock.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it cannot be kept, or its end not be written down: then it is settled
    /// by whoever looks next.
    pub async fn keep_job(
        self: &Arc<Self>,
        id: &str,
        lock: OwnedFd,
        asked: impl Future<Output = ()>,
    ) -> Result<(), Refusal> {
        let folder = self.jobs.folder(id);
        // In this order: who cancels it either finds somebody who listens, or has done it
        // before this looks.
        let unwanted = folder.hear().map_err(unusable)?;
        let Some((job, request)) = self.read_patiently(id).await? else {
            return Ok(());
        };
        if job.status != Status::Pending {
            self.settled(id).await;
            return Ok(());
        }
        let request: Request = serde_json::from_str(&request)
            .map_err(|error| Refusal::new(format!("the request cannot be read: {error}")))?;
        let (name, this) = (id.to_owned(), Owner::this());
        self.journal.store.post(move |connection| jobs::kept_by(connection, &name, this));
        let keeping = Keeping {
            id: id.to_owned(),
            spool: folder.spool(),
            lock: Arc::new(lock),
            is_waited_for: request.form != Form::Job,
        };
        let give_up = CancellationToken::new();
        let reply =
            self.run_job(Request { keeping: Some(keeping), ..request }, &give_up, unwanted, asked);
        let end = end_of(&reply.await);
        let name = id.to_owned();
        self.write_patiently(move |connection| jobs::end(connection, &name, &end)).await?;
        self.settled(id).await;
        Ok(())
    }

    async fn run_job(
        self: &Arc<Self>,
        request: Request,
        give_up: &CancellationToken,
        unwanted: impl Future<Output = ()>,
        asked: impl Future<Output = ()>,
    ) -> Reply {
        let (agent, id) =
            (request.agent.clone(), request.keeping.as_ref().map(|keeping| keeping.id.clone()));
        let id = id.unwrap_or_default();
        let (sender, notes) = unbounded_channel();
        let tells = sender.clone();
        let listener = Listener::new(move |heard| {
            let note = match heard.news {
                News::Running => Some(Note::Running),
                News::Event(event) => summary(event).map(Note::Line),
                News::Waiting | News::Ended(_) => None,
            };
            // It is over once nobody takes them any more.
            note.map(|note| tells.send(note));
        });
        let writing = self.write_notes(&id, notes, give_up);
        let working = async {
            let reply = self.ask(request, &listener, give_up).await;
            let _ = sender.send(Note::End);
            reply.unwrap_or_else(|refusal| Reply::refused(&agent, &refusal))
        };
        let mut work = pin!(async { tokio::join!(working, writing).0 });
        let (mut unwanted, mut asked) = (pin!(unwanted), pin!(asked));
        let (mut is_wanted, mut is_asked) = (true, false);
        loop {
            tokio::select! {
                reply = &mut work => return reply,
                () = &mut unwanted, if is_wanted => {
                    is_wanted = false;
                    give_up.cancel();
                }
                () = &mut asked, if !is_asked => {
                    is_asked = true;
                    give_up.cancel();
                    let name = id.clone();
                    self.journal.store.post(move |connection| {
                        let why = |status| format!("{}: the process that kept it was asked to end", why(status));
                        jobs::cancel(connection, &name, now_ms(), why).map(drop)
                    });
                }
            }
        }
    }

    /// Writes down how far the job is. One that somebody has cancelled is given up, also
    /// where nobody could tell.
    async fn write_notes(
        &self,
        id: &str,
        mut notes: UnboundedReceiver<Note>,
        give_up: &CancellationToken,
    ) {
        let mut lines = VecDeque::new();
        let (mut is_news, mut next) = (false, Instant::now());
        loop {
            let note = tokio::select! {
                note = notes.recv() => note,
                () = sleep_until(next), if is_news => {
                    self.write_lines(id, &lines, give_up).await;
                    (is_news, next) = (false, Instant::now() + WRITE_AGAIN);
                    continue;
                }
            };
            match note {
                Some(Note::Running) => {
                    let (name, at) = (id.to_owned(), now_ms());
                    let begun = move |connection: &mut _| jobs::begin(connection, &name, at);
                    if matches!(self.write_patiently(begun).await, Ok(false)) {
                        give_up.cancel();
                    }
                }
                Some(Note::Line(line)) => {
                    lines.push_back(line);
                    if lines.len() > LINES {
                        lines.pop_front();
                    }
                    is_news = true;
                }
                Some(Note::End) | None => {
                    if is_news {
                        self.write_lines(id, &lines, give_up).await;
                    }
                    return;
                }
            }
        }
    }

    /// What cannot be written is not waited for: the next lines say more.
    async fn write_lines(&self, id: &str, lines: &VecDeque<String>, give_up: &CancellationToken) {
        let (name, lines) = (id.to_owned(), lines.iter().cloned().collect::<Vec<_>>());
        let at = now_ms();
        let telling = move |connection: &mut _| jobs::tell(connection, &name, &lines, at);
        if matches!(self.journal.store.change(ATTEMPT, telling).await, Ok(false)) {
            give_up.cancel();
        }
    }

    async fn read_patiently(&self, id: &str) -> Result<Option<(jobs::Job, String)>, Refusal> {
        let name = id.to_owned();
        self.write_patiently(move |connection| jobs::read(connection, &name)).await
    }

    /// Tries again where the store is busy or fails for a while.
    async fn write_patiently<T: Send + 'static>(
        &self,
        work: impl Fn(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T, Refusal> {
        let (work, deadline) = (Arc::new(work), Instant::now() + ATTEMPTS);
        let mut pause = PAUSE.0;
        loop {
            let once = Arc::clone(&work);
            let attempt = self.journal.store.change(ATTEMPT, move |connection| once(connection));
            match attempt.await {
                Ok(done) => return Ok(done),
                Err(error) if Instant::now() > deadline => return Err(unwritten(error)),
                Err(error) => tracing::info!("{error}"),
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE.1);
        }
    }

    /// All that is in the job's folder is written down elsewhere.
    async fn settled(&self, id: &str) {
        let folder = self.jobs.folder(id);
        // One that stays is removed by whoever looks next.
        let _ = self.look_at_files(move || folder.remove()).await;
    }
}

fn unwritten(error: StoreError) -> Refusal {
    Refusal::new(format!("what came of the job cannot be written down: {error}"))
}

/// What is written down of a job that is over with this reply.
pub(super) fn end_of(reply: &Reply) -> jobs::End {
    jobs::End {
        at_ms: now_ms(),
        success: reply.success,
        cost_usd: reply.cost_usd,
        session_id: reply.session_id.clone(),
        error: reply.error.clone(),
        error_type: reply.error_type.map(|word| word.to_string()),
        was_run: reply.was_run(),
        reply: serde_json::to_string(reply).unwrap_or_default(),
    }
}
