//! Locking where a panic elsewhere does no harm.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also what was locked by a thread that panicked. What our mutexes guard is
/// changed in single steps, so it is whole all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
