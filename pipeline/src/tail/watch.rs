//! Wakes the tail when a folder changes. A hint only: the scan finds everything without it.
//!
//! The watcher's thread waits while a hint is not taken, so that the kernel merges the events of a
//! busy file: a million writes cost a few thousand events.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::lock::lock;

/// The watcher's thread waits so long at most for a hint to be taken, then drops it for the scan.
const HINT_TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Set by the watcher's thread, taken by the reader.
#[derive(Debug, Default)]
pub(super) struct Hint {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: bool,
    closed: bool,
}

impl Hint {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits for a hint; true if there is one.
    pub(super) fn wait(&self, wait: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), wait, |state| !state.pending);
        waited.unwrap_or_else(PoisonError::into_inner).0.pending
    }

    /// Takes the hint.
    pub(super) fn take(&self) -> bool {
        let taken = std::mem::take(&mut self.lock().pending);
        self.changed.notify_all();
        taken
    }

    fn give(&self) {
        let mut state = self.lock();
        state.pending = true;
        self.changed.notify_all();
        let waited = self
            .changed
            .wait_timeout_while(state, HINT_TAKEN_WITHIN, |state| state.pending && !state.closed);
        drop(waited);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Watches folders, as far as the system lets it.
pub(super) struct Watch {
    pub(super) hint: Arc<Hint>,
    watcher: Option<notify::RecommendedWatcher>,
    folders: HashSet<PathBuf>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let hint = Arc::new(Hint::default());
        let giver = Arc::clone(&hint);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Opening and reading, our own included, changes nothing.
            if !matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_))) {
                giver.give();
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "no inotify: files are found by --scan-interval alone");
        });
        Self { hint, watcher: watcher.ok(), folders: HashSet::new() }
    }

    /// Watches `folder` too; tried again at the next scan if it fails.
    pub(super) fn add(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.folders.contains(folder) {
            return;
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder.to_owned());
            }
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "folder is not watched");
            }
        }
    }

    /// Forgets folders that are gone, so that they are watched again when they come back.
    pub(super) fn prune(&mut self) {
        self.folders.retain(|folder| folder.is_dir());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hint.close();
    }
}
