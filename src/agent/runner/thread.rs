//! Threads for what has to be done whatever happens.

use std::sync::{Arc, Mutex};
use std::thread;

use crate::lock::lock;

/// Does `work` on a thread of its own, or on this one where the system gives no more
/// threads: a run that forks without end may have taken them, and has to be ended all
/// the same.
pub(super) fn on_thread(work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let shared = Arc::clone(&work);
    if thread::Builder::new().spawn(move || perform(&shared)).is_err() {
        perform(&work);
    }
}

fn perform(work: &Mutex<Option<impl FnOnce()>>) {
    // Not locked while it works.
    let work = lock(work).take();
    if let Some(work) = work {
        work();
    }
}
