//! Looking at files of ours in a folder whose file system may hang: off the reactor, and
//! for no longer than a dispatch can do without them.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// How long a file system may take that hangs. Then it is done without.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is left alone then.
const SILENCE: Duration = Duration::from_mins(1);

/// The patience with one folder.
#[derive(Default)]
pub(super) struct Patience {
    /// Until then the folder is left alone: it does not answer, and each attempt costs a
    /// thread.
    silent_until: Mutex<Option<Instant>>,
}

impl Patience {
    /// Does what looks at the folder; none while the folder is left alone.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Option<io::Result<T>> {
        if lock(&self.silent_until).is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let looked = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await;
        if looked.is_err() {
            *lock(&self.silent_until) = Some(Instant::now() + SILENCE);
        }
        Some(looked.map_err(io::Error::from).and_then(|looked| looked?))
    }
}

/// Lets go of what is held in such a folder, and waits until that is done.
pub(super) async fn let_go(held: impl Send + 'static) {
    let letting_go = tokio::task::spawn_blocking(move || drop(held));
    // A file system that does not answer holds up nobody else.
    let _ = tokio::time::timeout(PATIENCE, letting_go).await;
}
