//! What lies on disk while a job is not over.
//!
//! ```text
//! <state folder>/jobs/<id>/     0700
//!     lock                      0600, locked by all who keep the job
//!     call                      0600, through which its keeper hears that it is not wanted
//!     spool                     0600, what the agent CLI has written
//! ```
//!
//! The lock is had by whoever asks for the job before anything says that there is one, then
//! by its keeper, then by the runner too: there is no moment at which a job that is looked
//! after looks lost. The folder goes when all that is in it was written down elsewhere.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::dispatch::bell::{self, Bell};
use crate::private_file;

/// The folder of one job.
pub(super) struct JobFolder(PathBuf);

/// Who keeps a job.
pub(super) enum Keeper {
    /// Somebody does; it rings when nobody does any more.
    Alive(Bell),
    /// Nobody does, and nobody will as long as this is there.
    Dead(Bell),
    /// There is nothing to keep any more.
    Gone,
}

impl JobFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes it, and gives its lock.
    pub(super) fn make(&self) -> io::Result<File> {
        if let Some(parent) = self.0.parent() {
            private_file::create_folder(parent)?;
        }
        DirBuilder::new().mode(0o700).create(&self.0)?;
        call::make(&self.call_path())?;
        bell::claim(&self.lock_path())?.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    /// Where what the agent CLI writes goes.
    pub(super) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Who keeps it. To be called on a thread of the runtime.
    pub(super) fn keeper(&self) -> io::Result<Keeper> {
        let Some(bell) = Bell::at(&self.lock_path())? else { return Ok(Keeper::Gone) };
        Ok(if bell.keeps_from_all()? { Keeper::Dead(bell) } else { Keeper::Alive(bell) })
    }

    /// Tells its keeper that it is not wanted. One that does not listen yet looks first.
    pub(super) fn call(&self) -> io::Result<()> {
        match call::call(&self.call_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            called => called,
        }
    }

    /// For its keeper: waits until it is told that it is not wanted. It listens before the
    /// future is polled. To be called on a thread of the runtime.
    pub(super) fn hear(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        call::hear(&self.call_path())
    }

    /// Removes it with all that is in it. The lock goes last: as long as it is there, whoever
    /// looks sees that something is left, also where the one who removes it is killed.
    pub(super) fn remove(&self) -> io::Result<()> {
        for entry in self.0.read_dir().into_iter().flatten().flatten() {
            if entry.path() != self.lock_path() {
                // What does not go here goes below, or says why not.
                let _ = fs::remove_file(entry.path());
            }
        }
        match fs::remove_dir_all(&self.0) {
            // Somebody else just did.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// What is locked by all who keep the job.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.0.join("lock")
    }

    fn call_path(&self) -> PathBuf {
        self.0.join("call")
    }
}

/// A FIFO: whoever writes into it is heard.
#[cfg(target_os = "linux")]
mod call {
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
    use rustix::io::Errno;
    use tokio::net::unix::pipe::OpenOptions;

    pub(super) fn make(path: &Path) -> io::Result<()> {
        Ok(mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?)
    }

    pub(super) fn call(path: &Path) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(fifo) => match rustix::io::write(fifo, b"x") {
                // It has not heard the last one yet, or does not need to any more.
                Ok(_) | Err(Errno::AGAIN | Errno::PIPE) => Ok(()),
                Err(error) => Err(error.into()),
            },
            // Nobody listens.
            Err(Errno::NXIO) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn hear(path: &Path) -> io::Result<impl Future<Output = ()> + use<>> {
        let fifo = OpenOptions::new().open_receiver(path)?;
        Ok(async move {
            // Readable as soon as there was somebody.
            let _ = fifo.readable().await;
        })
    }
}

/// Elsewhere it is a file that is looked at again and again.
#[cfg(not(target_os = "linux"))]
mod call {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    const LOOK_AGAIN: Duration = Duration::from_millis(100);

    pub(super) fn make(path: &Path) -> io::Result<()> {
        crate::private_file::open(path).map(drop)
    }

    pub(super) fn call(path: &Path) -> io::Result<()> {
        std::fs::OpenOptions::new().write(true).open(path)?.set_len(1)
    }

    pub(super) fn hear(path: &Path) -> io::Result<impl Future<Output = ()> + use<>> {
        let path = path.to_owned();
        Ok(async move {
            while path.metadata().is_ok_and(|data| data.len() == 0) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
    }
}
