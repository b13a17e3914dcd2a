//! The databases of networks are files that an operator replaces while the process runs.
//!
//! They are in memory, since a file that is written over under its reader's eyes would be read
//! torn. Every two seconds it is looked whether one is another now; it is taken once it stays the
//! same from one look to the next and while it is read, and all of it is sound. Until then, and if
//! it never is, the one from before is asked.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tahoe_schemas::enrich::{Database, Networks};

/// A look costs a system call per file, and a database is new once a week.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// By what a file is recognised as the same: device, number, length, seconds and nanoseconds of its
/// last change.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp(metadata: &Metadata) -> Stamp {
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    (metadata.dev(), metadata.ino(), metadata.len(), changed.0, changed.1)
}

/// One file.
#[derive(Debug)]
struct File {
    path: PathBuf,
    database: Arc<Database>,
    /// Of the file that was read last, whether it was taken or not.
    read: Stamp,
    /// At the last look; none if it could not be looked at.
    seen: Option<Stamp>,
}

/// The files of an operator, and what was read from them last.
#[derive(Debug)]
pub struct GeoFiles {
    files: Mutex<Vec<File>>,
    /// Grows when another database is asked.
    version: AtomicU64,
}

impl GeoFiles {
    /// Reads all of them.
    ///
    /// # Errors
    /// One cannot be read or is damaged; names it and the setting.
    pub fn open(paths: &[PathBuf]) -> Result<Arc<Self>, String> {
        let open = |path: &PathBuf| {
            let (database, read) = read(path)?;
            tell(path, &database);
            let database = Arc::new(database);
            Ok(File { path: path.clone(), database, read, seen: Some(read) })
        };
        let files = paths.iter().map(open).collect::<Result<Vec<_>, String>>()?;
        Ok(Arc::new(Self { files: Mutex::new(files), version: AtomicU64::new(0) }))
    }

    /// Grows whenever [`GeoFiles::networks`] gives others.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is asked now.
    pub fn networks(&self) -> Networks {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Networks::new(files.iter().map(|file| Arc::clone(&file.database)))
    }

    /// Looks once whether a file is another now, and takes it if it is sound.
    pub fn look(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files.iter_mut() {
            if file.look() {
                self.version.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Looks again and again, on a thread that ends when nobody has `self` any more.
    pub fn watch(self: &Arc<Self>) {
        let files = Arc::downgrade(self);
        let look = move || {
            while let Some(files) = Weak::upgrade(&files) {
                files.look();
                drop(files);
                std::thread::park_timeout(BETWEEN_LOOKS);
            }
        };
        let began = std::thread::Builder::new().name("geoip".to_owned()).spawn(look);
        if let Err(error) = began {
            tracing::warn!(%error, "--geoip: changed files are not noticed");
        }
    }
}

impl File {
    /// Says whether another database is asked from now on.
    fn look(&mut self) -> bool {
        let now = match fs::metadata(&self.path) {
            Ok(metadata) => Some(stamp(&metadata)),
            Err(error) => {
                if self.seen.is_some() {
                    let file = self.path.display();
                    tracing::warn!(%file, %error, "--geoip: the database read before stays in use");
                }
                None
            }
        };
        let is_still = now == std::mem::replace(&mut self.seen, now);
        let Some(now) = now.filter(|now| is_still && *now != self.read) else { return false };
        self.read = now;
        match read(&self.path) {
            // Written again while it was read: the next look sees that.
            Ok((_, read)) if read != now => false,
            Ok((database, _)) => {
                tell(&self.path, &database);
                self.database = Arc::new(database);
                true
            }
            Err(error) => {
                tracing::warn!(error, "the database read before stays in use");
                false
            }
        }
    }
}

/// The database and what its file was while it was read.
fn read(path: &Path) -> Result<(Database, Stamp), String> {
    let file = path.display();
    let of = |error: String| format!("--geoip {file}: {error}");
    let look = || fs::metadata(path).map(|metadata| stamp(&metadata));
    let before = look().map_err(|error| of(error.to_string()))?;
    let bytes = fs::read(path).map_err(|error| of(error.to_string()))?;
    let after = look().map_err(|error| of(error.to_string()))?;
    if before != after {
        return Err(of("it was written while it was read".to_owned()));
    }
    Ok((Database::read(bytes).map_err(of)?, before))
}

fn tell(path: &Path, database: &Database) {
    let (file, kind) = (path.display(), database.kind());
    let (built_s, bytes) = (database.built_s(), database.bytes());
    tracing::info!(%file, kind, built_s, bytes, "database of networks read");
}
