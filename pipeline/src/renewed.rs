//! What an operator's files say, read again when they change.
//!
//! Every two seconds it is looked whether a file is another now; all are read again once they stay
//! the same from one look to the next and while they are read. Until then, and if what they say
//! cannot be, what they said before holds.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tahoe_schemas::rules::Screen;

use crate::lock::lock;

/// The privacy policy of a producer, which may change.
pub type Screens = Renewed<Screen>;

/// A look costs a system call per file.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// By what a file is recognised as the same: device, number, length, seconds and nanoseconds of its
/// last change; none if it is not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamp(path: impl AsRef<Path>) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// Reads the files anew.
type Read<T> = Box<dyn Fn() -> Result<T, String> + Send + Sync>;

/// What some files say now.
pub struct Renewed<T> {
    /// The setting that names them.
    setting: &'static str,
    paths: Vec<PathBuf>,
    read: Read<T>,
    state: Mutex<State<T>>,
    /// Grows with each change.
    version: AtomicU64,
}

struct State<T> {
    now: Arc<T>,
    /// Of the files that were read last, whether what they say was taken or not.
    read: Vec<Stamp>,
    /// At the last look.
    seen: Vec<Stamp>,
}

impl<T> std::fmt::Debug for Renewed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewed({:?})", self.paths)
    }
}

impl<T: Send + Sync + 'static> Renewed<T> {
    /// Reads what `paths` say, which `setting` names.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn open(
        setting: &'static str,
        paths: Vec<PathBuf>,
        read: Read<T>,
    ) -> Result<Arc<Self>, String> {
        let stamps: Vec<_> = paths.iter().map(stamp).collect();
        let state = State { now: Arc::new(read()?), read: stamps.clone(), seen: stamps };
        let version = AtomicU64::new(0);
        Ok(Arc::new(Self { setting, paths, read, state: Mutex::new(state), version }))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// What holds now.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.state().now)
    }

    /// Grows whenever [`Renewed::now`] gives another.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Looks once whether a file is another now, and takes what they say if it can be.
    pub fn look(&self) {
        let mut state = self.state();
        let stamps: Vec<_> = self.paths.iter().map(stamp).collect();
        let is_still = stamps == std::mem::replace(&mut state.seen, stamps.clone());
        if !is_still || stamps == state.read {
            return;
        }
        let read = (self.read)();
        // Written again while it was read: the next look sees that.
        if stamps != self.paths.iter().map(stamp).collect::<Vec<_>>() {
            return;
        }
        state.read = stamps;
        match read {
            Ok(now) => {
                state.now = Arc::new(now);
                self.version.fetch_add(1, Ordering::Release);
                tracing::info!(setting = self.setting, files = ?self.paths, "files read again");
            }
            Err(error) => {
                tracing::warn!(setting = self.setting, error, "what was read before holds still");
            }
        }
    }

    /// Looks again and again, on a thread that ends when nobody has `self` any more.
    pub fn watch(self: &Arc<Self>) {
        let renewed = Arc::downgrade(self);
        let look = move || {
            while let Some(renewed) = Weak::upgrade(&renewed) {
                renewed.look();
                drop(renewed);
                std::thread::park_timeout(BETWEEN_LOOKS);
            }
        };
        let began = std::thread::Builder::new().name("renew".to_owned()).spawn(look);
        if let Err(error) = began {
            tracing::warn!(setting = self.setting, %error, "changed files are not noticed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_counts_once_it_is_still_and_only_if_it_can_be() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("number");
        fs::write(&path, "1").expect("written");
        let read = {
            let path = path.clone();
            move || {
                let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
                text.parse::<u32>().map_err(|error| error.to_string())
            }
        };
        let renewed = Renewed::open("--number", vec![path.clone()], Box::new(read)).expect("a 1");
        renewed.look();
        assert_eq!((*renewed.now(), renewed.version()), (1, 0));
        fs::write(&path, "22").expect("written");
        renewed.look();
        assert_eq!(*renewed.now(), 1, "it may still be written");
        renewed.look();
        assert_eq!((*renewed.now(), renewed.version()), (22, 1));
        for wrong in [Some("not a number"), None] {
            match wrong {
                Some(text) => fs::write(&path, text).expect("written"),
                None => fs::remove_file(&path).expect("removed"),
            }
            renewed.look();
            renewed.look();
            assert_eq!((*renewed.now(), renewed.version()), (22, 1));
        }
    }
}
