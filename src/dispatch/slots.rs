//! How many runs go on at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The concurrency limit: first come, first served. A slot belongs to the run,
/// not to the one who waits for its reply.
pub(super) struct Slots {
    semaphore: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// The right to run one agent; given back when dropped.
pub(super) struct Slot(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

impl Slots {
    pub(super) fn new() -> Self {
        Self { semaphore: Arc::new(Semaphore::new(0)), limit: Mutex::new(0) }
    }

    /// Waits for a slot under the limit that the config names now. A lowered
    /// limit takes effect as runs end.
    pub(super) async fn acquire(&self, limit: usize) -> Slot {
        self.resize(limit);
        let permit = Arc::clone(&self.semaphore).acquire_owned().await;
        // The semaphore is never closed, which is the only way this fails.
        Slot(permit.unwrap_or_else(|_| unreachable!("the semaphore is never closed")))
    }

    fn resize(&self, wanted: usize) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted > *limit {
            self.semaphore.add_permits(wanted - *limit);
            *limit = wanted;
        } else {
            *limit -= self.semaphore.forget_permits(*limit - wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_limit_holds_grows_and_shrinks() {
        let slots = Slots::new();
        let first = slots.acquire(1).await;
        assert!(slots.acquire(1).now_or_never().is_none(), "the limit is 1");
        let second = slots.acquire(2).await;
        assert!(slots.acquire(1).now_or_never().is_none(), "two run, one is allowed");
        drop(first);
        assert!(slots.acquire(1).now_or_never().is_none(), "one runs, one is allowed");
        drop(second);
        assert!(slots.acquire(1).now_or_never().is_some());
    }
}
