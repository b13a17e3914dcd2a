//! How far the tail is behind, for telemetry.

use std::sync::{Arc, Mutex, PoisonError};

/// One file's lag.
#[derive(Clone, Debug, PartialEq)]
pub struct FileLag {
    /// The path as configured.
    pub path: String,
    /// Bytes that are there and not yet read.
    pub bytes: u64,
    /// Seconds since everything was read last.
    pub seconds: f64,
}

/// Lag of all files, readable from any thread; as fresh as the last scan.
#[derive(Clone, Debug, Default)]
pub struct TailLag(Arc<Mutex<Vec<FileLag>>>);

impl TailLag {
    /// The lag now.
    pub fn get(&self) -> Vec<FileLag> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, files: Vec<FileLag>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}
