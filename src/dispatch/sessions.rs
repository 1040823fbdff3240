//! Conversations with agents: only one run at a time carries one on, whichever server
//! started it, and it is carried on where it began.
//!
//! The lock is a file that is locked and names the run that has it. The kernel lets go
//! of it when the last process that has it open is gone; so the runner keeps it open
//! too, until nothing of the run is left.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use lru::LruCache;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::by_name::ByName;
use super::left_behind;
use super::lineage::Lineage;
use super::patience::{self, Patience};
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
    swept: Arc<Once>,
    patience: Patience,
    /// One turn a conversation within this server.
    turns: ByName<Turn<()>>,
    homes: Mutex<LruCache<String, Home>>,
}

/// Where a conversation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) agent: String,
    pub(super) directory: PathBuf,
    /// The program that carried it on, and its first arguments, as configured.
    pub(super) command: Vec<String>,
}

/// The lock of a conversation. It has no file where the file system gives no locks: then
/// only the runs of one server keep out of each other's way.
pub(super) struct Lock {
    file: Option<LockFile>,
}

impl Sessions {
    /// Conversations whose locks lie in this folder, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        let homes = Mutex::new(LruCache::new(REMEMBERED));
        let (swept, patience) = (Arc::new(Once::new()), Patience::default());
        Self { folder, swept, patience, turns: ByName::new(), homes }
    }

    /// Where a conversation began, if this server has seen it.
    pub(super) fn home(&self, session: &str) -> Option<Home> {
        lock(&self.homes).get(session).cloned()
    }

    /// Remembers where a conversation began, unless that is known.
    pub(super) fn remember(&self, session: &str, home: impl FnOnce() -> Home) {
        lock(&self.homes).get_or_insert(session.to_owned(), home);
    }

    /// Waits for the turn of a run of this conversation among those of this server. Who
    /// has it may wait for a slot: who has a slot waits for no turn.
    pub(super) async fn turn(&self, session: &str) -> OwnedMutexGuard<()> {
        self.turns.get(session, Turn::default).lock_owned().await
    }

    /// Waits until no other server carries this conversation on. A run that waited for one
    /// of those that it is itself part of would wait for ever, and is refused.
    pub(super) async fn wait(&self, session: &str, lineage: &Lineage) -> Result<(), Failure> {
        while let Some(Some(holder)) = self.look(session, |_, path| holder(path)).await {
            if lineage.descends_from(&holder) {
                return Err(own_ancestor(session));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Claims a conversation for a run, unless another server carries it on.
    pub(super) async fn claim(&self, session: &str, run: &str) -> Option<Lock> {
        let run = run.to_owned();
        match self.look(session, move |folder, path| acquire(folder, path, &run)).await {
            Some(Some(file)) => Some(Lock { file: Some(file) }),
            Some(None) => None,
            None => Some(Lock { file: None }),
        }
    }

    /// Looks at the file of a conversation's lock on another thread; none where the file
    /// system fails or does not answer.
    async fn look<T: Send + 'static>(
        &self,
        session: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Option<T> {
        let folder = self.folder.clone();
        // An id is the caller's text: it names no path.
        let path = folder.join(format!("{:x}.lock", Sha256::digest(session)));
        let swept = Arc::clone(&self.swept);
        let looking = move || {
            swept.call_once(|| sweep(&folder));
            work(&folder, &path)
        };
        let looked = self.patience.look(looking).await?;
        let complain = |error: &io::Error| {
            tracing::warn!(folder = %self.folder.display(), %error,
                "a session cannot be locked: runs of it in several servers are not kept apart");
        };
        looked.inspect_err(complain).ok()
    }
}

impl Lock {
    /// What has to stay open as long as anything of the run is left.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.file.as_ref()?.file.as_ref()?.try_clone().ok().map(OwnedFd::from)
    }

    /// Gives it back, and waits until that is done.
    pub(super) async fn release(mut self) {
        patience::let_go(self.file.take()).await;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not on this thread, which may be the reactor's.
        if let Some(file) = self.file.take() {
            // Where there are no more threads it is dropped here after all.
            let _ = std::thread::Builder::new().spawn(move || drop(file));
        }
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

/// A locked file, gone when dropped unless somebody else keeps it locked.
struct LockFile {
    path: PathBuf,
    file: Option<File>,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // The runner may keep it open until the last of the run is gone: then it stays.
        self.file = None;
        if let Ok(file) = File::open(&self.path)
            && file.try_lock().is_ok()
            && private_file::is_at(&file, &self.path)
        {
            // Removed while it is locked: who locks it next sees that it is not there.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The run that has this lock, as far as it can be read; none where nobody has it.
fn holder(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // What cannot be read names nobody.
            let _ = file.read_to_string(&mut holder);
            Ok(Some(holder))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks the file and writes into it who has it; none where somebody else has.
fn acquire(folder: &Path, path: &Path, run: &str) -> io::Result<Option<LockFile>> {
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
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last holder may have removed it after we had opened it.
        if private_file::is_at(&file, path) {
            file.set_len(0)?;
            file.write_all(run.as_bytes())?;
            return Ok(Some(LockFile { path: path.to_owned(), file: Some(file) }));
        }
    }
}

/// Removes the files of locks that killed servers left behind.
fn sweep(folder: &Path) {
    for path in left_behind::in_folder(folder) {
        drop(LockFile { path, file: None });
    }
}
