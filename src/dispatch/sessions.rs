//! Conversations with agents: only one run at a time carries one on, whichever server
//! started it, and it is carried on where it began.
//!
//! The lock is a file that is locked and names the run that has it. The kernel lets go
//! of it when the last process that has it open is gone; so the runner keeps it open
//! too, until nothing of the run is left.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::{Duration, Instant};

use lru::LruCache;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::lineage::Lineage;
use crate::agent::{ErrorType, Failure};
use crate::lock::lock;
use crate::private_file;

/// How often a conversation is looked at that another server carries on: the kernel
/// tells nobody that a file was unlocked without holding up a thread.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a file system may take that hangs. Then it is done without a lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is left alone then.
const SILENCE: Duration = Duration::from_mins(1);

/// Of how many conversations it is remembered where they began.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// How old a lock's file is before it is taken for one that a killed server left.
const LEFT_BEHIND: Duration = Duration::from_hours(1);

/// The conversations of a server, and through the file system those of all others.
pub(super) struct Sessions {
    folder: PathBuf,
    swept: Arc<Once>,
    /// Until then the folder is left alone: it does not answer, and each attempt costs a
    /// thread.
    silent_until: Mutex<Option<Instant>>,
    /// One turn a conversation within this server.
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
    homes: Mutex<LruCache<String, Home>>,
}

/// Where a conversation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) agent: String,
    pub(super) directory: PathBuf,
}

/// The right to carry a conversation on.
pub(super) struct Claim {
    /// None where the file system gives no locks: then only the runs of one server
    /// keep out of each other's way.
    lock: Option<LockFile>,
    turn: OwnedMutexGuard<()>,
}

impl Sessions {
    /// Conversations whose locks lie in this folder, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        let homes = Mutex::new(LruCache::new(REMEMBERED));
        let (swept, silent_until) = (Arc::new(Once::new()), Mutex::new(None));
        Self { folder, swept, silent_until, turns: Mutex::default(), homes }
    }

    /// Where a conversation began, if this server has seen it.
    pub(super) fn home(&self, session: &str) -> Option<Home> {
        lock(&self.homes).get(session).cloned()
    }

    /// Remembers where a conversation began, unless that is known.
    pub(super) fn remember(&self, session: &str, home: impl FnOnce() -> Home) {
        lock(&self.homes).get_or_insert(session.to_owned(), home);
    }

    /// Waits until nobody carries this conversation on. A run that waited for one of
    /// those that it is itself part of would wait for ever, and is refused.
    pub(super) async fn wait(&self, session: &str, lineage: &Lineage) -> Result<(), Failure> {
        let _turn = self.turn(session).lock_owned().await;
        while let Attempt::HeldBy(holder) = self.attempt(session, "").await {
            if lineage.descends_from(&holder) {
                return Err(own_ancestor(session));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Claims a conversation for a run, unless somebody else carries it on.
    pub(super) async fn claim(&self, session: &str, run: &str) -> Option<Claim> {
        let turn = self.turn(session).try_lock_owned().ok()?;
        match self.attempt(session, run).await {
            Attempt::Locked(lock) => Some(Claim { lock: Some(lock), turn }),
            Attempt::HeldBy(_) => None,
            Attempt::Failed => Some(Claim { lock: None, turn }),
        }
    }

    fn turn(&self, session: &str) -> Arc<Turn<()>> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(session).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(session.to_owned(), Arc::downgrade(&turn));
        turn
    }

    async fn attempt(&self, session: &str, run: &str) -> Attempt {
        if lock(&self.silent_until).is_some_and(|until| Instant::now() < until) {
            return Attempt::Failed;
        }
        let (folder, run) = (self.folder.clone(), run.to_owned());
        // An id is the caller's text: it names no path.
        let path = folder.join(format!("{:x}.lock", Sha256::digest(session)));
        let swept = Arc::clone(&self.swept);
        let attempt = tokio::task::spawn_blocking(move || {
            swept.call_once(|| sweep(&folder));
            attempt(&folder, &path, &run)
        });
        let attempt = tokio::time::timeout(PATIENCE, attempt).await;
        if attempt.is_err() {
            *lock(&self.silent_until) = Some(Instant::now() + SILENCE);
        }
        attempt.map_err(io::Error::from).and_then(|attempt| attempt?).unwrap_or_else(|error| {
            tracing::warn!(folder = %self.folder.display(), %error,
                "a session cannot be locked: runs of it in several servers are not kept apart");
            Attempt::Failed
        })
    }
}

impl Claim {
    /// What has to stay open as long as anything of the run is left.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.lock.as_ref()?.file.try_clone().ok().map(OwnedFd::from)
    }

    /// Gives it back, which touches the file system.
    pub(super) async fn release(self) {
        let Self { lock, turn } = self;
        // In this order: the next in this server finds the file unlocked.
        let _ = tokio::task::spawn_blocking(move || drop(lock)).await;
        drop(turn);
    }
}

/// Why a run did not begin.
pub(super) fn still_in_use(session: &str, waited: Duration) -> Failure {
    let seconds = waited.as_secs_f64();
    let message = format!("the session {session} was still in use after {seconds} s");
    Failure::new(ErrorType::Timeout, message)
        .hint("Ask again when the other run of it is over, or begin a new session: name none.")
}

fn own_ancestor(session: &str) -> Failure {
    let message = format!(
        "the session {session} is the one from which this dispatch was started, directly or through others; it would wait for itself"
    );
    Failure::new(ErrorType::Recursion, message).hint("Begin a new session: name none.")
}

/// A locked file, gone when dropped.
struct LockFile {
    path: PathBuf,
    file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Removed while it is locked: who locks it next sees that it is not there.
        let _ = std::fs::remove_file(&self.path);
    }
}

enum Attempt {
    Locked(LockFile),
    /// The run that has it, as far as it can be read.
    HeldBy(String),
    /// The file system gives no locks.
    Failed,
}

/// Tries to lock the file and to write into it who has it. Blocks on the file system.
fn attempt(folder: &Path, path: &Path, run: &str) -> io::Result<Attempt> {
    loop {
        let mut file = match private_file::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private_file::create_folder(folder)?;
                private_file::open(path)?
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What cannot be read names nobody.
                let _ = file.read_to_string(&mut holder);
                return Ok(Attempt::HeldBy(holder));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last holder may have removed it after we had opened it.
        if private_file::is_at(&file, path) {
            file.set_len(0)?;
            file.write_all(run.as_bytes())?;
            return Ok(Attempt::Locked(LockFile { path: path.to_owned(), file }));
        }
    }
}

/// Removes the files of locks that killed servers left behind.
fn sweep(folder: &Path) {
    for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        let age = path.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
        if matches!(age, Ok(Ok(age)) if age > LEFT_BEHIND)
            && let Ok(file) = private_file::open(&path)
            && file.try_lock().is_ok()
            && private_file::is_at(&file, &path)
        {
            drop(LockFile { path, file });
        }
    }
}
