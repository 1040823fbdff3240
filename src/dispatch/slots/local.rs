//! How many runs of this process go on at once: what is left of the limit where the folder
//! of slots cannot be used.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lock::lock;

/// The limit within this process: first come, first served.
pub(super) struct Local {
    semaphore: Arc<Semaphore>,
    size: Arc<Mutex<Size>>,
}

#[derive(Default)]
struct Size {
    limit: usize,
    /// Permits that are in use beyond a limit that was lowered; they are not given
    /// back when their runs end.
    excess: usize,
}

/// Given back when dropped.
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<Size>>,
}

impl Local {
    pub(super) fn new() -> Self {
        Self { semaphore: Arc::new(Semaphore::new(0)), size: Arc::default() }
    }

    /// Waits for a permit.
    pub(super) async fn acquire(&self) -> Permit {
        // The semaphore is never closed, which is the only way this fails.
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok();
        Permit { permit, size: Arc::clone(&self.size) }
    }

    /// Sets the limit to what the config says now.
    pub(super) fn resize(&self, limit: usize) {
        let mut size = lock(&self.size);
        if limit > size.limit {
            let more = limit - size.limit;
            let paid = more.min(size.excess);
            size.excess -= paid;
            self.semaphore.add_permits(more - paid);
        } else {
            let fewer = size.limit - limit;
            size.excess += fewer - self.semaphore.forget_permits(fewer);
        }
        size.limit = limit;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut size = lock(&self.size);
        if size.excess > 0
            && let Some(permit) = self.permit.take()
        {
            size.excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Local;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_limit_holds_grows_and_shrinks() {
        let local = Local::new();
        local.resize(1);
        let first = local.acquire().await;
        assert!(local.acquire().now_or_never().is_none(), "the limit is 1");
        local.resize(2);
        let second = local.acquire().await;
        local.resize(1);
        assert!(local.acquire().now_or_never().is_none(), "two run, one is allowed");
        drop(first);
        assert!(local.acquire().now_or_never().is_none(), "one runs, one is allowed");
        drop(second);
        assert!(local.acquire().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_lowered_limit_comes_before_those_who_wait() {
        let local = Local::new();
        local.resize(2);
        let (first, second) = (local.acquire().await, local.acquire().await);
        let mut waiting = Box::pin(local.acquire());
        assert!((&mut waiting).now_or_never().is_none());
        local.resize(1);
        drop(first);
        assert!((&mut waiting).now_or_never().is_none(), "one still runs, one is allowed");
        drop(second);
        assert!((&mut waiting).now_or_never().is_some());
    }
}
