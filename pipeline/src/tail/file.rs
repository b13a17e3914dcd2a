//! One file that is followed: its identity, its position and, while it has something to read or
//! may get it soon, its handle.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tahoe_seams::{Batch, SourceId, Stream};

use super::identity::{
    Fingerprint, GUARD_BYTES_MAX, HEAD_BYTES_MAX, Identity, Past, Stat, VERSION, before,
    read_at_most,
};
use super::split::Following;

/// Generations whose late copies are recognised: a copy appears with the truncation, not days later.
const PAST_MAX: usize = 4;

/// The identity of a file that is read is told this often at most: it costs a stored position.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Place {
    /// At its path.
    Live,
    /// Renamed, deleted or no longer linked to: read to its end, then left.
    Rotated,
    /// Truncated: the rest of the generation is read from its copy.
    Copied(File),
    /// Truncated without a copy: what is in memory is all there is.
    Lost,
    /// A copy of what `source` was or is: not read while that is so.
    CopyOf(SourceId),
    /// Nowhere, since these milliseconds.
    Gone(i64),
}

/// A file and how far it is read.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) source: SourceId,
    pub(super) generation: u32,
    pub(super) set: usize,
    pub(super) path: PathBuf,
    pub(super) real: PathBuf,
    pub(super) stat: Stat,
    pub(super) handle: Option<File>,
    pub(super) place: Place,
    pub(super) stream: Arc<Stream>,
    pub(super) start: u64,
    pub(super) position: u64,
    /// Index of the part that comes next; 0 at a boundary.
    pub(super) part: u32,
    pub(super) context: Vec<u8>,
    pub(super) scanned: usize,
    pub(super) head: Vec<u8>,
    pub(super) guard: Vec<u8>,
    /// From the stored identity, until the head is read again.
    pub(super) fingerprint: Fingerprint,
    pub(super) past: Vec<Past>,
    /// The loop was told of this generation.
    pub(super) begun: bool,
    /// The identity changed since the loop was told.
    pub(super) changed: bool,
    /// The position that the loop was told an identity for, and when.
    pub(super) told: (u64, Duration),
    /// Furthest byte seen, and when there was one more.
    pub(super) furthest: u64,
    pub(super) grown_at: Duration,
    pub(super) caught_up_at: Duration,
    /// At its end when it was read last.
    pub(super) at_end: bool,
    /// What could still follow then.
    pub(super) following: Following,
    pub(super) seen: bool,
    /// It could not be read when it had its turn last.
    pub(super) failed: bool,
}

impl Tracked {
    /// A file to be read from `start` on, not yet announced.
    #[expect(clippy::too_many_arguments, reason = "each is a plain field of the file")]
    pub(super) fn new(
        source: SourceId,
        set: usize,
        path: &Path,
        real: PathBuf,
        stat: Stat,
        stream: Arc<Stream>,
        start: u64,
        now: Duration,
    ) -> Self {
        Self {
            source,
            generation: 0,
            set,
            path: path.to_owned(),
            real,
            stat,
            handle: None,
            place: Place::Live,
            stream,
            start,
            position: start,
            part: 0,
            context: Vec::new(),
            scanned: 0,
            head: Vec::new(),
            guard: Vec::new(),
            fingerprint: Fingerprint::default(),
            past: Vec::new(),
            begun: false,
            changed: true,
            told: (start, now),
            furthest: start,
            grown_at: now,
            caught_up_at: now,
            at_end: false,
            following: Following::Soon,
            seen: false,
            failed: false,
        }
    }

    /// Is what `stat` describes this file?
    pub(super) fn handle_or_stat_is(&self, stat: &Stat) -> bool {
        self.stat.is_same_file(stat)
            && !matches!(self.place, Place::Gone(_) if stat.size < self.position)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        if self.head.is_empty() {
            return self.fingerprint;
        }
        Fingerprint::of(&self.head, &self.guard, self.position)
    }

    pub(super) fn identity(&self) -> serde_json::Value {
        let identity = Identity {
            v: VERSION,
            path: self.path.clone(),
            real: self.real.clone(),
            inode: self.stat.inode,
            birth_ns: self.stat.birth_ns,
            generation: self.generation,
            start: self.start,
            size: self.stat.size,
            fingerprint: self.fingerprint(),
            past: self.past.clone(),
            gone_since_ms: match self.place {
                Place::Gone(since_ms) => Some(since_ms),
                _ => None,
            },
        };
        serde_json::to_value(identity).expect("paths that are not UTF-8 are refused when found")
    }

    /// Tells the loop what it does not know yet. False: the batch holds another generation of this
    /// file, and the two must not meet in one.
    pub(super) fn announce(&mut self, batch: &mut Batch, now: Duration) -> bool {
        if !self.begun {
            let other = |stream: &Arc<Stream>| {
                stream.origin.source == self.source && stream.origin.generation != self.generation
            };
            if batch.streams().iter().any(other) {
                return false;
            }
            let index = batch.stream(&self.stream);
            batch.begin(index, self.position);
            self.begun = true;
            self.changed = true;
        }
        let (position, at) = self.told;
        // The bytes before the position are what a copy elsewhere is known by after a restart.
        self.changed |= position != self.position && now.saturating_sub(at) >= TELL_EVERY;
        if self.changed {
            batch.stream(&self.stream);
            batch.identify(self.source, self.identity());
            self.changed = false;
            self.told = (self.position, now);
        }
        true
    }

    /// Reads head and guard from a file that is known to be this one.
    pub(super) fn learn(&mut self, file: &File) -> io::Result<()> {
        let mut head = vec![0; HEAD_BYTES_MAX];
        let there = read_at_most(file, &mut head, 0)?;
        head.truncate(there);
        self.head = head;
        self.guard = before(file, self.position, GUARD_BYTES_MAX)?;
        Ok(())
    }

    /// Was the file written anew from its beginning? `read` ends at `end` and was read before.
    pub(super) fn is_truncated(&mut self, size: u64, end: u64, read: &[u8]) -> io::Result<bool> {
        let Some(file) = &self.handle else { return Ok(false) };
        if size < end {
            return Ok(true);
        }
        let read = &read[read.len().saturating_sub(GUARD_BYTES_MAX)..];
        if before(file, end, read.len())? != read {
            return Ok(true);
        }
        if self.head.len() < HEAD_BYTES_MAX && size > self.head.len() as u64 {
            let mut head = vec![0; HEAD_BYTES_MAX];
            let there = read_at_most(file, &mut head, 0)?;
            head.truncate(there);
            if !head.starts_with(&self.head) {
                return Ok(true);
            }
            self.changed |= head.len() != self.head.len();
            self.head = head;
        }
        Ok(false)
    }

    /// The position is behind `read` now.
    pub(super) fn advance(&mut self, read: &[u8]) {
        self.position += read.len() as u64;
        self.scanned = 0;
        if read.len() >= GUARD_BYTES_MAX {
            self.guard.clear();
            self.guard.extend_from_slice(&read[read.len() - GUARD_BYTES_MAX..]);
            return;
        }
        let over = (self.guard.len() + read.len()).saturating_sub(GUARD_BYTES_MAX);
        self.guard.drain(..over);
        self.guard.extend_from_slice(read);
    }

    /// The next generation: everything that can be had of this one was read.
    pub(super) fn renew(&mut self, start: u64) {
        self.past.push(Past { read: self.position, fingerprint: self.fingerprint() });
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
        self.generation += 1;
        let origin = &self.stream.origin;
        self.stream = Arc::new(Stream {
            lane: None,
            origin: tahoe_seams::Origin { generation: self.generation, ..origin.clone() },
            topic: self.stream.topic.clone(),
            key: self.stream.key.clone(),
            resumable: true,
        });
        (self.start, self.position, self.furthest) = (start, start, start);
        (self.part, self.scanned) = (0, 0);
        self.context.clear();
        self.head.clear();
        self.guard.clear();
        self.fingerprint = Fingerprint::default();
        self.place = Place::Live;
        (self.begun, self.at_end) = (false, false);
    }

    pub(super) fn is_copy_of(&self, original: SourceId) -> bool {
        matches!(self.place, Place::CopyOf(source) if source == original)
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.place, Place::Gone(_))
    }
}
