//! The thread that has the connection, and the handle by which it is given work.
//!
//! Nothing is opened, and no thread started, before the first work. What is posted is done
//! in its order; what is asked waits its turn behind it, but not for long.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::StoreError;
use super::file::{self, Opened};
use crate::lock::lock;

/// How long a dispatch waits for the store, at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long an ending process waits for what is posted.
const FAREWELL: Duration = Duration::from_millis(250);

/// How much may be posted and not done yet; more is lost, and said to be.
const QUEUED: usize = 4096;

/// How long a store that could not be opened is left alone.
const SILENCE: Duration = Duration::from_mins(1);

/// The store of a process. Dropped, it waits a moment for what is posted.
pub struct Store {
    file: PathBuf,
    state: watch::Sender<State>,
    tasks: Mutex<Option<SyncSender<Task>>>,
}

/// What is known of it.
#[derive(Debug, Clone)]
enum State {
    /// Nobody has needed it yet, or there is none yet.
    Unknown,
    /// It is being opened, since then.
    Opening(Instant),
    Open,
    Failed(StoreError),
}

enum Task {
    /// Opens it, and makes it where there is none.
    Open,
    /// Nobody waits for this.
    Post(Write),
    /// Somebody does; there may be no file yet, and it makes none.
    Ask(Read),
    /// Somebody does, and where there is no file one is made.
    Change(Read),
    /// All before this is done.
    End(SyncSender<()>),
}

type Write = Box<dyn FnOnce(&mut Connection) -> rusqlite::Result<()> + Send>;
type Read = Box<dyn FnOnce(Result<Option<&mut Connection>, StoreError>) -> Told + Send>;

/// What the worker learns of the store itself.
type Told = Result<(), StoreError>;

impl Store {
    /// The store in this folder, which need not exist. Touches nothing.
    pub fn new(folder: &Path) -> Self {
        let (state, tasks) = (watch::Sender::new(State::Unknown), Mutex::new(None));
        Self { file: folder.join(file::NAME), state, tasks }
    }

    /// Has it opened, so that what is wrong with it is known when that is asked for.
    pub fn open_ahead(&self) {
        let opening = self.state.send_if_modified(|state| {
            let first = matches!(state, State::Unknown);
            if first {
                *state = State::Opening(Instant::now());
            }
            first
        });
        if opening {
            self.send(Task::Open);
        }
    }

    /// Has something written that nobody waits for. Where it fails that is known from then
    /// on.
    pub fn post(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        self.open_ahead();
        self.send(Task::Post(Box::new(work)));
    }

    /// Has something written, and waits until it is, but no longer than 250 ms: then it is
    /// written later. It comes before all that is asked or posted after this call, whether
    /// or not it is waited for. Where it fails that is known from then on.
    pub fn write<W>(&self, work: W) -> impl Future<Output = ()> + Send + use<W>
    where
        W: FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let (done, is_done) = oneshot::channel();
        self.post(move |connection| {
            work(connection)?;
            let _ = done.send(());
            Ok(())
        });
        async move {
            let _ = timeout(PATIENCE, is_done).await;
        }
    }

    /// Is it known by now that it cannot be written?
    pub fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Failed(_))
    }

    /// Has something read. Where there is no store yet, nothing was ever written.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read, or not within 250 ms.
    pub async fn ask<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask_within(PATIENCE, work).await
    }

    /// The same with more or less patience.
    ///
    /// # Errors
    ///
    /// As [`Store::ask`].
    pub async fn ask_within<T: Default + Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.give(patience, Task::Ask, |connection| connection.map_or(Ok(T::default()), work)).await
    }

    /// Has something changed, and waits until it is. Where there is no store yet one is made.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be changed, or not within `patience`: then it may still
    /// be changed later.
    pub async fn change<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let work = |connection: Option<&mut Connection>| match connection {
            Some(connection) => work(connection),
            // It was opened before.
            None => Err(rusqlite::Error::InvalidQuery),
        };
        self.give(patience, Task::Change, work).await
    }

    async fn give<T: Send + 'static>(
        &self,
        patience: Duration,
        task: impl FnOnce(Read) -> Task,
        work: impl FnOnce(Option<&mut Connection>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let file = self.file.clone();
        self.send(task(Box::new(move |connection| {
            if answer.is_closed() {
                return Ok(());
            }
            let result = connection.and_then(|connection| {
                work(connection).map_err(|error| StoreError::of(&file, &error))
            });
            let told = result.as_ref().map(drop).map_err(Clone::clone);
            let _ = answer.send(result);
            told
        })));
        let silent = || Err(StoreError::silent(&self.file));
        let answered = timeout(patience, answered).await;
        answered.map_or_else(|_| silent(), |answer| answer.unwrap_or_else(|_| silent()))
    }

    /// What is wrong with it. While it is being opened that is waited for, but no longer
    /// than 250 ms from when that began.
    pub async fn trouble(&self) -> Option<StoreError> {
        let mut changes = self.state.subscribe();
        loop {
            let since = match &*changes.borrow_and_update() {
                State::Unknown | State::Open => return None,
                State::Failed(error) => return Some(error.clone()),
                State::Opening(since) => *since,
            };
            if timeout_at(since + PATIENCE, changes.changed()).await.is_err() {
                return Some(StoreError::silent(&self.file));
            }
        }
    }

    fn send(&self, task: Task) {
        let mut tasks = lock(&self.tasks);
        if tasks.is_none() {
            match Worker::start(&self.file, &self.state) {
                Ok(worker) => *tasks = Some(worker),
                Err(error) => {
                    let error = StoreError::io(&self.file, &error);
                    self.state.send_replace(State::Failed(error));
                    return;
                }
            }
        }
        if let Some(Err(TrySendError::Full(_))) = tasks.as_ref().map(|tasks| tasks.try_send(task)) {
            self.state.send_replace(State::Failed(StoreError::silent(&self.file)));
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let tasks = lock(&self.tasks).take();
        let (done, all_done) = sync_channel(1);
        if tasks.is_some_and(|tasks| tasks.try_send(Task::End(done)).is_ok()) {
            let _ = all_done.recv_timeout(FAREWELL);
        }
    }
}

/// What runs on the thread.
struct Worker {
    file: PathBuf,
    state: watch::Sender<State>,
    opened: Option<Opened>,
    /// Why it could not be opened, and until when that is taken to be so.
    failed: Option<(StoreError, Instant)>,
}

impl Worker {
    fn start(file: &Path, state: &watch::Sender<State>) -> std::io::Result<SyncSender<Task>> {
        let (sender, tasks) = sync_channel(QUEUED);
        let worker =
            Self { file: file.to_owned(), state: state.clone(), opened: None, failed: None };
        std::thread::Builder::new().name("store".into()).spawn(move || worker.run(tasks))?;
        Ok(sender)
    }

    fn run(mut self, tasks: Receiver<Task>) {
        for task in tasks {
            let told = match task {
                Task::Open => self.open().map(drop),
                Task::Post(work) => self.write(work),
                Task::Ask(work) => {
                    let was_open = self.opened.is_some();
                    let connection = if self.opened.is_none() && !self.file.exists() {
                        Ok(None)
                    } else {
                        self.open().map(Some)
                    };
                    let told = work(connection);
                    // What can be read need not be one that can be written.
                    if told.is_ok() && was_open && self.has_failed() {
                        continue;
                    }
                    told
                }
                Task::Change(work) => work(self.open().map(Some)),
                Task::End(done) => {
                    self.opened = None;
                    let _ = done.send(());
                    return;
                }
            };
            self.note(told);
        }
    }

    fn write(&mut self, work: Write) -> Told {
        let connection = self.open()?;
        let written = work(connection);
        written.map_err(|error| StoreError::of(&self.file, &error))
    }

    fn open(&mut self) -> Result<&mut Connection, StoreError> {
        // What was moved away is not written on.
        self.opened.take_if(|opened| !opened.is_at(&self.file));
        if self.opened.is_none() {
            if let Some((error, until)) = &self.failed
                && Instant::now() < *until
            {
                return Err(error.clone());
            }
            self.failed = None;
            match Opened::new(&self.file) {
                Ok(opened) => self.opened = Some(opened),
                Err(error) => {
                    self.failed = Some((error.clone(), Instant::now() + SILENCE));
                    return Err(error);
                }
            }
        }
        // It is there by now.
        self.opened
            .as_mut()
            .map(|opened| &mut opened.connection)
            .ok_or(StoreError::silent(&self.file))
    }

    fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Failed(_))
    }

    /// Remembers how it went, for those who want to know.
    fn note(&mut self, told: Told) {
        if let Err(error @ StoreError::Damaged { .. }) = &told {
            // Nothing is written into what is damaged.
            self.opened = None;
            self.failed.get_or_insert((error.clone(), Instant::now() + SILENCE));
        }
        self.state.send_if_modified(|state| match told {
            Ok(()) if self.opened.is_none() => false,
            Ok(()) => {
                let news = !matches!(state, State::Open);
                *state = State::Open;
                news
            }
            Err(error) => {
                if !matches!(state, State::Failed(_)) {
                    tracing::info!("{error}");
                }
                *state = State::Failed(error);
                true
            }
        });
    }
}
