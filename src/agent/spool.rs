//! A child's standard output in a file: whatever becomes of those who read it, what the
//! child has written is there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The reader's side of such a file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    growth: Growth,
}

impl Spool {
    /// Makes the file, for this user alone, and gives the end that a child writes to. One
    /// that is there already is an error: it is another run's.
    pub(super) fn create(path: &Path) -> io::Result<(OwnedFd, Self)> {
        let child = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        let growth = Growth::of(path);
        Ok((child.into(), Self { file: File::open(path)?, growth }))
    }

    /// Waits for bytes and reads them; never finds an end, as the child may go on.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.file.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.growth.wait().await?;
        }
    }
}

impl AsFd for Spool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(target_os = "linux")]
use inotify::Growth;

/// The kernel tells when a file has grown.
#[cfg(target_os = "linux")]
mod inotify {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use tokio::net::unix::pipe::Receiver;

    /// How often the file is looked at where the kernel tells nothing: a user has but 128
    /// of what it tells through.
    const LOOK_AGAIN: Duration = Duration::from_millis(100);

    /// Events come as bytes, as through a pipe; that there are some is all they say.
    #[derive(Debug)]
    pub(super) struct Growth(Option<Receiver>);

    impl Growth {
        pub(super) fn of(path: &Path) -> Self {
            Self(watch(path).ok())
        }

        /// Waits until the file has been written to since the last call, once or often; it
        /// may also be in vain.
        pub(super) async fn wait(&self) -> io::Result<()> {
            let Some(events) = &self.0 else {
                tokio::time::sleep(LOOK_AGAIN).await;
                return Ok(());
            };
            loop {
                events.readable().await?;
                match events.try_read(&mut [0; 4096]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read.map(drop),
                }
            }
        }
    }

    fn watch(path: &Path) -> io::Result<Receiver> {
        let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        add_watch(&events, path, WatchFlags::MODIFY)?;
        Receiver::from_owned_fd_unchecked(events)
    }
}

/// Elsewhere it is looked at again and again.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Growth;

#[cfg(not(target_os = "linux"))]
impl Growth {
    fn of(_path: &Path) -> Self {
        Self
    }

    async fn wait(&self) -> io::Result<()> {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let (child, mut spool) = Spool::create(&path).unwrap();
        let mut child = File::from(child);
        let mut chunk = [0; 16];
        for text in ["one\n", "two\n", "three\n"] {
            let writing = async { child.write_all(text.as_bytes()).unwrap() };
            let (read, ()) = tokio::join!(spool.read(&mut chunk), writing);
            assert_eq!(&chunk[..read.unwrap()], text.as_bytes());
        }
        drop((child, spool));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        assert!(Spool::create(&path).is_err(), "it is another run's");
    }
}
