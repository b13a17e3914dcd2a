//! Files as a source: rotation renames or truncates, so a position is an identity and a byte.
//!
//! - A file is followed by what it is (inode, birth, leading bytes), not by its name: renamed, it is
//!   read to its end, under the path that it was opened by.
//! - Truncated, it begins a new generation; what was not read before is read from the copy, if
//!   copytruncate made one. A copy in another folder that the settings also name (logrotate's
//!   `olddir`, another file system) is known by a whole head and the bytes before the position; a
//!   shorter file there is taken for a file of its own, and what is compressed is never read.
//! - Boundaries depend on the bytes alone, except that a quiet time closes an open record. A
//!   boundary once given stands: reading goes on behind it, also after a restart. A record that is
//!   open at shutdown is not given, and is read again.
//! - Memory: one read buffer for all files, a kilobyte for each, never a whole line.

mod clock;
mod file;
#[cfg(test)]
pub(crate) mod framers;
mod glob;
mod identity;
mod read;
mod resume;
mod scan;
mod settings;
mod split;
#[cfg(test)]
mod tests;
mod watch;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tahoe_seams::{
    Batch, BatchEnd, Known, Lag, Origin, Record, Source, SourceError, SourceId, Stream,
};

pub use clock::{Clock, SystemClock};
pub(crate) use glob::check_pattern;
pub use settings::{PathSet, StartAt, TailArgs, TailSettings};

use file::{Place, Tracked};
use glob::Pattern;
use watch::Watch;
use window::Window;

/// Scans that hints ask for are this far apart at least: a new file is found soon, and a busy
/// folder is not listed for every line.
const HINTED_SCAN_INTERVAL: Duration = Duration::from_millis(50);

/// Reads that hints ask for are this far apart at least, so that lines written one by one come in
/// batches.
const HINTED_READ_INTERVAL: Duration = Duration::from_millis(5);

/// Follows files.
pub struct Tail {
    host: String,
    sets: Vec<Set>,
    settings: TailSettings,
    clock: Box<dyn Clock>,
    watch: Option<Watch>,
    files: Vec<Tracked>,
    forgotten: Vec<SourceId>,
    window: Window,
    /// The file whose turn is next.
    next: usize,
    /// Time of the last scan.
    scanned_at: Option<Duration>,
    scan_wanted: bool,
    /// What cannot be read, and why; each is said once.
    problems: BTreeMap<PathBuf, String>,
    /// Files that may be copies in progress: their size, and since when they have it.
    undecided: HashMap<PathBuf, (u64, Duration)>,
    lag: Vec<Lag>,
    carried: Vec<u8>,
    closed: bool,
}

struct Set {
    paths: PathSet,
    patterns: Vec<Pattern>,
    /// No position is known for any of its files: `start_at` decides, once.
    is_new: bool,
}

impl Tail {
    /// A tail of `sets` on the machine's clocks. `host` is part of every file's identity.
    ///
    /// # Errors
    /// [`SourceError::Stop`] names a pattern or a setting that cannot be.
    pub fn new(
        host: &str,
        sets: Vec<PathSet>,
        settings: TailSettings,
    ) -> Result<Self, SourceError> {
        Self::with_clock(host, sets, settings, Box::new(SystemClock::default()))
    }

    /// The same on a given clock.
    ///
    /// # Errors
    /// As [`Tail::new`].
    pub fn with_clock(
        host: &str,
        sets: Vec<PathSet>,
        settings: TailSettings,
        clock: Box<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let stop = |text: String| SourceError::Stop(text, None);
        if settings.record_bytes_max < 1024 {
            return Err(stop("--record-bytes-max is less than 1024: raise it".into()));
        }
        let compiled = sets.into_iter().map(|paths| {
            let patterns = paths.patterns.iter().map(|text| Pattern::new(text));
            let patterns: Result<Vec<_>, String> = patterns.collect();
            patterns.map(|patterns| Set { paths, patterns, is_new: true }).map_err(stop)
        });
        Ok(Self {
            host: host.to_owned(),
            sets: compiled.collect::<Result<_, _>>()?,
            watch: settings.inotify.then(Watch::new),
            settings,
            clock,
            files: Vec::new(),
            forgotten: Vec::new(),
            window: Window::default(),
            next: 0,
            scanned_at: None,
            scan_wanted: false,
            problems: BTreeMap::new(),
            undecided: HashMap::new(),
            lag: Vec::new(),
            carried: Vec::new(),
            closed: false,
        })
    }

    /// What it will read, and what it cannot read and why: one line each, for start-up logs.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for set in &self.sets {
            for pattern in &set.patterns {
                let mut found = glob::Found::default();
                pattern.expand(&mut found);
                let there = found.paths.iter().filter(|path| path.exists());
                let (text, dataset) = (pattern.text(), &set.paths.dataset);
                match there.count() {
                    0 => lines.push(format!("{text} ({dataset}): no such file yet")),
                    files => lines.push(format!("{text} ({dataset}): {files} file(s)")),
                }
                let unreadable = found.paths.iter().filter_map(|path| {
                    let error = std::fs::File::open(path).err()?;
                    (error.kind() != std::io::ErrorKind::NotFound).then_some((path, error))
                });
                let folders = found.problems.iter().map(|(path, error)| (path, error.to_string()));
                let all = unreadable.map(|(path, error)| (path, error.to_string())).chain(folders);
                lines.extend(all.map(|(path, error)| unreadable_text(path, &error, text)));
            }
        }
        lines
    }

    fn stream(&self, source: SourceId, generation: u32, set: usize, path: &Path) -> Arc<Stream> {
        let paths = &self.sets[set].paths;
        let path = path.to_string_lossy().into_owned();
        let key = format!("{}{path}", self.host).into_bytes();
        let origin = Origin {
            source,
            generation,
            dataset: paths.dataset.clone(),
            namespace: paths.namespace.clone(),
            host: self.host.clone(),
            path,
            peer: String::new(),
            time_zone: paths.time_zone.clone(),
            labels: paths.labels.clone(),
            tags: paths.tags.clone(),
        };
        Arc::new(Stream { origin, topic: paths.topic.clone(), key, lane: None, resumable: true })
    }

    fn set_of(&self, path: &Path) -> Option<usize> {
        let fits = |set: &Set| set.patterns.iter().any(|pattern| pattern.is_match(path));
        self.sets.iter().position(fits)
    }

    /// Scans if it is time to.
    fn scan_if_due(&mut self) {
        let now = self.clock.now();
        let since = self.scanned_at.map(|at| now.saturating_sub(at));
        let due = match since {
            None => true,
            Some(since) if self.scan_wanted => {
                since >= HINTED_SCAN_INTERVAL.min(self.settings.scan_interval)
            }
            Some(since) => since >= self.settings.scan_interval,
        };
        if due {
            self.scan_wanted = false;
            self.scanned_at = Some(now);
            self.scan(now);
        }
    }

    /// Time until the first open record is closed by quiet. Bytes that quiet did not close, such as
    /// half a line, are not waited for.
    fn quiet_in(&self) -> Option<Duration> {
        let now = self.clock.now();
        let open = self.files.iter().filter(|file| file.at_end && file.furthest > file.position);
        let ends = open.map(|file| file.grown_at + self.settings.quiet_time);
        ends.filter(|end| *end > now).min().map(|end| end - now)
    }

    /// Waits for a hint, the next scan or the next quiet time; takes the hint.
    fn wait(&mut self, left: Duration) {
        let next_scan =
            if self.scan_wanted { HINTED_SCAN_INTERVAL } else { self.settings.scan_interval };
        let pause = left.min(next_scan).min(self.quiet_in().unwrap_or(Duration::MAX));
        match &self.watch {
            None => std::thread::sleep(pause),
            Some(watch) => {
                if watch.hint.wait(pause) {
                    std::thread::sleep(HINTED_READ_INTERVAL.min(left));
                    watch.hint.take();
                    self.scan_wanted = true;
                }
            }
        }
    }
}

fn unreadable_text(path: &Path, error: &str, setting: &str) -> String {
    format!(
        "cannot read {}: {error}; let this user read it, or take {setting} out of the settings",
        path.display()
    )
}

impl Source for Tail {
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        known.into_iter().try_for_each(|known| self.resume_one(&known))
    }

    fn recover(&mut self, record: &Record<'_>, kept: &mut Vec<u8>) {
        let set = self.set_of(Path::new(&record.origin.path));
        let Some(set) = set.map(|index| &self.sets[index]) else { return };
        let mut context = split::decode_context(kept).1.to_vec();
        set.paths.begin(&mut context);
        if record.part.is_none_or(|part| part.index == 0) {
            set.paths.framer.carry(record.bytes, &mut context);
        }
        let next = record.part.filter(|part| !part.last).map_or(0, |part| part.index + 1);
        split::encode_context(next, &context, kept);
    }

    fn read(&mut self, batch: &mut Batch, wait: Duration) -> Result<(), SourceError> {
        let until = Instant::now() + wait;
        while !self.closed {
            self.scan_if_due();
            self.round(batch);
            let left = until.saturating_duration_since(Instant::now());
            if !batch.is_empty() || left.is_zero() {
                return Ok(());
            }
            self.wait(left);
        }
        Ok(())
    }

    /// Nothing to acknowledge: a file keeps its bytes.
    fn release(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.settings.once
            && self.scanned_at.is_some()
            && self.undecided.is_empty()
            && self.files.iter().all(|file| match file.place {
                Place::Gone(_) | Place::CopyOf(_) => true,
                Place::Live | Place::Rotated => file.begun && file.at_end,
                Place::Copied(_) | Place::Lost => false,
            })
    }

    fn lag(&self) -> Vec<Lag> {
        self.lag.clone()
    }

    /// The rest of a file can be read after the next start.
    fn close(&mut self) -> Result<(), SourceError> {
        self.closed = true;
        Ok(())
    }
}
