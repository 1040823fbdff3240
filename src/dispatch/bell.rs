//! Files that are locked by whoever has what they stand for, and that ring when it is given
//! back, however that comes about.
//!
//! On Linux such a file is a FIFO. Whoever has it keeps it open for writing, and locked;
//! whoever waits for it has it open for reading, and the reactor hears of the hang-up when
//! the last of its writers is gone. Nobody writes anything. Of what could tell that a lock
//! was let go of, by a kill too, this was chosen because:
//!
//! - A blocking `flock` takes a thread for each slot, which nothing ends when its waiter is
//!   cancelled.
//! - inotify tells of the close before the kernel lets go of the lock (`__fput` does it in
//!   this order), so a look at the event may come too early, and no other event follows.
//!   It also tells of everybody's closing who only looked, and a user has but 128 instances.
//! - A pidfd tells of the end of the runner, which goes on when one of its runs ends.
//! - The hang-up of a FIFO comes after the lock is gone, costs a descriptor for each slot
//!   that is watched, and no thread.
//!
//! Elsewhere FIFOs cannot be locked. There it is a plain file, and looked at again and again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use futures::future::select_all;
use rustix::fs::{FlockOperation, flock};

use crate::private_file;

/// How often a file is opened that somebody removes again at once, before something else
/// must be wrong.
const ATTEMPTS: usize = 100;

/// Locks the file, which need not exist; none where somebody else has it. It is given back
/// when the last who has this open is gone.
pub(super) fn claim(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..ATTEMPTS {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                continue;
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) if private_file::is_at(&file, path) => return Ok(Some(file)),
            // It was removed after we had opened it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} does not stay where it is made", path.display())))
}

fn make(path: &Path) -> io::Result<()> {
    match make_in_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), private_file::create_folder)
        }
        made => made,
    }
}

/// What rings when a file is given back.
pub(super) struct Bell(Inner);

impl Bell {
    /// The bell of a file; none where there is none. To be called on a thread of the
    /// runtime. Whoever looks afterwards whether somebody has the file misses nothing.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match listen(path) {
            Ok(inner) => Ok(Some(Self(inner))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does nobody have the file? Then nobody gets it as long as this bell is there.
    pub(super) fn keeps_from_all(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits until one of them rings. It may ring for nothing: look again.
pub(super) async fn any(bells: &[Bell]) {
    if bells.is_empty() {
        return std::future::pending().await;
    }
    select_all(bells.iter().map(|bell| Box::pin(rings(&bell.0)))).await;
}

#[cfg(target_os = "linux")]
use fifo::{Inner, listen, make_in_folder, rings};
#[cfg(not(target_os = "linux"))]
use plain::{Inner, listen, make_in_folder, rings};

#[cfg(target_os = "linux")]
mod fifo {
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, mkfifoat};
    use tokio::net::unix::pipe::{OpenOptions, Receiver};

    pub(super) type Inner = Receiver;

    pub(super) fn make_in_folder(path: &Path) -> io::Result<()> {
        Ok(mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?)
    }

    pub(super) fn listen(path: &Path) -> io::Result<Receiver> {
        OpenOptions::new().open_receiver(path)
    }

    pub(super) async fn rings(bell: &Receiver) {
        // An error is no reason not to look again.
        let _ = bell.readable().await;
    }
}

#[cfg(not(target_os = "linux"))]
mod plain {
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    pub(super) type Inner = File;

    const LOOK_AGAIN: Duration = Duration::from_millis(100);

    pub(super) fn make_in_folder(path: &Path) -> io::Result<()> {
        crate::private_file::open(path).map(drop)
    }

    pub(super) fn listen(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(super) async fn rings(_: &File) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
