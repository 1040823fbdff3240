//! Conversations with agents: only one run at a time carries one on, whichever server
//! started it, and it is carried on where it began.
//!
//! The lock is a file that is locked and names the run that holds it. The kernel lets
//! go of it when its server dies.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use lru::LruCache;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use super::lineage::Lineage;
use crate::agent::{ErrorType, Failure};
use crate::lock::lock;
use crate::private_file;

/// How often a conversation is looked at that another server carries on: the kernel
/// tells nobody that a file was unlocked without holding up a thread.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Of how many conversations it is remembered where they began.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The conversations of a server, and through the file system those of all others.
pub(super) struct Sessions {
    folder: PathBuf,
    /// One turn a conversation within this server, so that those who wait go in order.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    homes: Mutex<LruCache<String, Home>>,
}

/// Where a conversation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) agent: String,
    pub(super) directory: PathBuf,
}

/// The right to carry a conversation on. Given back when dropped.
pub(super) struct Claim {
    // In this order: the next in this server finds the file unlocked.
    _lock: Lock,
    _turn: Option<OwnedMutexGuard<()>>,
}

enum Lock {
    Held {
        _file: LockFile,
    },
    /// It is being taken beside the run: nobody else knows this conversation yet.
    Coming {
        _file: tokio::task::JoinHandle<io::Result<Attempt>>,
    },
    /// The file system gives no locks: only this server's runs keep out of each other's
    /// way.
    Without,
}

impl Sessions {
    /// Conversations whose locks lie in this folder, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        let homes = Mutex::new(LruCache::new(REMEMBERED));
        Self { folder, turns: Mutex::default(), homes }
    }

    /// Where a conversation began, if this server has seen it.
    pub(super) fn home(&self, session: &str) -> Option<Home> {
        lock(&self.homes).get(session).cloned()
    }

    /// Remembers where a conversation began.
    pub(super) fn remember(&self, session: &str, home: Home) {
        lock(&self.homes).put(session.to_owned(), home);
    }

    /// Claims a conversation that begins with this run.
    pub(super) fn begin(&self, session: &str, run: &str) -> Claim {
        let (folder, path) = (self.folder.clone(), self.path(session));
        let run = run.to_owned();
        let file = tokio::task::spawn_blocking(move || attempt(&folder, &path, &run));
        Claim { _lock: Lock::Coming { _file: file }, _turn: None }
    }

    /// Waits until nobody else carries this conversation on. A run that waited for one
    /// of those that it is itself part of would wait for ever, and is refused.
    pub(super) async fn resume(
        &self,
        session: &str,
        run: &str,
        lineage: &Lineage,
    ) -> Result<Claim, Failure> {
        let turn = self.turn(session).lock_owned().await;
        loop {
            let (folder, path) = (self.folder.clone(), self.path(session));
            let own_run = run.to_owned();
            let attempt = tokio::task::spawn_blocking(move || attempt(&folder, &path, &own_run));
            let lock = match attempt.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(Attempt::Locked(file)) => Lock::Held { _file: file },
                Ok(Attempt::HeldBy(holder)) if lineage.descends_from(&holder) => {
                    return Err(own_ancestor(session));
                }
                Ok(Attempt::HeldBy(_)) => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "runs of one session in several servers are not kept apart: its lock cannot be had");
                    Lock::Without
                }
            };
            return Ok(Claim { _lock: lock, _turn: Some(turn) });
        }
    }

    fn turn(&self, session: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(session).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(session.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// An id is the caller's text: it names no path.
    fn path(&self, session: &str) -> PathBuf {
        self.folder.join(format!("{:x}.lock", Sha256::digest(session)))
    }
}

fn own_ancestor(session: &str) -> Failure {
    let message = format!(
        "the session {session} is the one from which this dispatch was started, directly or through others; it would wait for itself"
    );
    Failure::new(ErrorType::Recursion, message).hint("Begin a new session: leave out session_id.")
}

/// A locked file, gone when dropped.
struct LockFile {
    path: PathBuf,
    _file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Removed while it is locked: who locks it next sees that it is not there.
        let _ = std::fs::remove_file(&self.path);
    }
}

enum Attempt {
    Locked(LockFile),
    /// The run that holds it, as far as it can be read.
    HeldBy(String),
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
            return Ok(Attempt::Locked(LockFile { path: path.to_owned(), _file: file }));
        }
    }
}
