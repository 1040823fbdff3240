//! How many runs go on at once.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lock::lock;

/// The concurrency limit: first come, first served. A slot belongs to the run,
/// not to the one who waits for its reply.
pub(super) struct Slots {
    semaphore: Arc<Semaphore>,
    size: Arc<Mutex<Size>>,
}

#[derive(Default)]
struct Size {
    limit: usize,
    /// Slots that are in use beyond a limit that was lowered; they are not given
    /// back when their runs end.
    excess: usize,
}

/// The right to run one agent; given back when dropped.
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<Size>>,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { semaphore: Arc::new(Semaphore::new(0)), size: Arc::default() }
    }

    /// Waits for a slot.
    pub(super) async fn acquire(&self) -> Slot {
        // The semaphore is never closed, which is the only way this fails.
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok();
        Slot { permit, size: Arc::clone(&self.size) }
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

impl Drop for Slot {
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
    use super::Slots;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_limit_holds_grows_and_shrinks() {
        let slots = Slots::new();
        slots.resize(1);
        let first = slots.acquire().await;
        assert!(slots.acquire().now_or_never().is_none(), "the limit is 1");
        slots.resize(2);
        let second = slots.acquire().await;
        slots.resize(1);
        assert!(slots.acquire().now_or_never().is_none(), "two run, one is allowed");
        drop(first);
        assert!(slots.acquire().now_or_never().is_none(), "one runs, one is allowed");
        drop(second);
        assert!(slots.acquire().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_lowered_limit_comes_before_those_who_wait() {
        let slots = Slots::new();
        slots.resize(2);
        let (first, second) = (slots.acquire().await, slots.acquire().await);
        let mut waiting = Box::pin(slots.acquire());
        assert!((&mut waiting).now_or_never().is_none());
        slots.resize(1);
        drop(first);
        assert!((&mut waiting).now_or_never().is_none(), "one still runs, one is allowed");
        drop(second);
        assert!((&mut waiting).now_or_never().is_some());
    }
}
