//! A lock holds whole values, so that a thread that panicked with it leaves nothing half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock's content, whoever had it before.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
