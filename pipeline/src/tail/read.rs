//! Reading in turns: every file gives at most a MiB before the next one has its turn, so that a
//! busy one does not keep the others waiting.

use std::fs::File;
use std::io;
use std::time::Duration;

use tahoe_seams::{Batch, Beginning, Part};

use super::file::{Place, Tracked};
use super::identity::{Likeness, Stat, is_sibling_copy};
use super::split::{Following, Step, encode_context, step};
use super::{PathSet, Tail, glob, unreadable_text};

/// Bytes of one turn.
const TURN_BYTES: usize = 1 << 20;

/// Why a turn is over.
enum Turn {
    /// Nothing more now.
    AtEnd,
    /// There is more; others first.
    More,
}

impl Tail {
    /// Gives every file its turn, again and again, until the batch is full or all are at their end.
    pub(super) fn round(&mut self, batch: &mut Batch) {
        for source in self.forgotten.drain(..) {
            batch.forget(source);
        }
        let mut at_end = 0;
        while at_end < self.files.len() && !batch.is_full() {
            let index = self.next % self.files.len();
            match self.turn(index, batch) {
                Ok(Turn::AtEnd) => at_end += 1,
                Ok(Turn::More) => at_end = 0,
                Err(error) => {
                    self.fail(index, &error);
                    at_end += 1;
                }
            }
            // A file that the batch was too small for goes on first in the next one.
            if !batch.is_full() {
                self.next = (index + 1) % self.files.len();
            }
        }
    }

    fn fail(&mut self, index: usize, error: &io::Error) {
        let file = &mut self.files[index];
        let path = file.real.clone();
        (file.handle, file.failed) = (None, true);
        if error.kind() == io::ErrorKind::NotFound {
            // Renamed or deleted since the scan: the next one finds out.
            self.scan_wanted = true;
            return;
        }
        let set = &self.sets[file.set].paths;
        let text = unreadable_text(&path, &error.to_string(), &set.patterns.join(","));
        self.problem(path, text);
    }

    /// The file at the same path before it has not been read to its end yet. One that cannot be
    /// read holds up nothing: it is tried at each turn, and read when it can be.
    fn must_wait(&self, index: usize) -> bool {
        let file = &self.files[index];
        file.position == file.start
            && self.files.iter().any(|other| {
                matches!(other.place, Place::Rotated)
                    && !other.at_end
                    && !other.failed
                    && other.path == file.path
                    && other.source != file.source
            })
    }

    fn turn(&mut self, index: usize, batch: &mut Batch) -> io::Result<Turn> {
        let now = self.clock.now();
        if matches!(self.files[index].place, Place::Live) && self.must_wait(index) {
            return Ok(Turn::AtEnd);
        }
        if !self.files[index].announce(batch, now) {
            return Ok(Turn::AtEnd);
        }
        if matches!(self.files[index].place, Place::CopyOf(_) | Place::Gone(_)) {
            return Ok(Turn::AtEnd);
        }
        if !self.open(index)? {
            return Ok(Turn::AtEnd);
        }
        let read_at_ms = self.clock.wall_ms();
        let began = self.files[index].position;
        let (mut read, mut at_end) = (0, false);
        self.files[index].at_end = false;
        let file = &self.files[index];
        self.window.own((file.source, file.generation), file.position);
        while !batch.is_full() {
            let file = &mut self.files[index];
            let following =
                if at_end { following(file, &self.settings, now) } else { Following::Soon };
            let paths = &self.sets[file.set].paths;
            let max = self.settings.record_bytes_max;
            let bytes = self.window.bytes();
            match step(paths.framer, bytes, file.scanned, file.part, max, following) {
                Step::Push { text, end, head, part } => {
                    let span = (&bytes[..text], &bytes[..end]);
                    push(file, paths, batch, span, head, part, read_at_ms, &mut self.carried);
                    self.window.advance(end);
                }
                Step::Skip(end) => {
                    file.advance(&bytes[..end]);
                    self.window.advance(end);
                }
                Step::Wait { scanned } => {
                    file.scanned = scanned;
                    if at_end {
                        return Ok(self.finish(index, following, now));
                    }
                    if read >= TURN_BYTES && self.files[index].position > began {
                        return Ok(Turn::More);
                    }
                    let came = self.fill(index, now)?;
                    read += came;
                    at_end = came == 0;
                }
            }
        }
        Ok(Turn::More)
    }

    /// Reads on; finds out first whether the file was truncated. 0 at the end of what there is.
    fn fill(&mut self, index: usize, now: Duration) -> io::Result<usize> {
        let file = &mut self.files[index];
        if let (Place::Live | Place::Rotated, Some(handle)) = (&file.place, &file.handle) {
            let size = handle.metadata()?.len();
            let end = self.window.end();
            let guard = file.guard.clone();
            let held = self.window.bytes();
            if file.is_truncated(size, end, if held.is_empty() { &guard } else { held })? {
                self.truncated(index)?;
            }
        }
        let file = &mut self.files[index];
        let came = match (&file.place, &file.handle) {
            (Place::Copied(copy), _) => self.window.fill(copy)?,
            (Place::Live | Place::Rotated, Some(handle)) => self.window.fill(handle)?,
            _ => 0,
        };
        if self.window.end() > file.furthest {
            file.furthest = self.window.end();
            file.grown_at = now;
        }
        Ok(came)
    }

    /// The file has other bytes than were read: looks for the copy that has the rest.
    fn truncated(&mut self, index: usize) -> io::Result<()> {
        let file = &self.files[index];
        let print = file.fingerprint();
        let mut found: Option<(std::time::SystemTime, File)> = None;
        let copies = self.files.iter().filter(|other| other.is_copy_of(file.source));
        let copies: Vec<_> = copies.map(|copy| copy.real.clone()).collect();
        for path in glob::siblings(&file.real).into_iter().chain(copies) {
            let tracked = Stat::of_path(&path)
                .ok()
                .and_then(|stat| self.files.iter().find(|other| other.handle_or_stat_is(&stat)));
            let foreign = tracked.is_some_and(|other| !other.is_copy_of(file.source));
            if foreign || !is_sibling_copy(&file.real, &path) {
                continue;
            }
            let Ok(copy) = File::open(&path) else { continue };
            let Ok(metadata) = copy.metadata() else { continue };
            if metadata.is_file()
                && metadata.len() >= file.position
                && print.compare(&copy)? == Likeness::Same
            {
                let modified = metadata.modified()?;
                if found.as_ref().is_none_or(|(newest, _)| *newest < modified) {
                    found = Some((modified, copy));
                }
            }
        }
        let file = &mut self.files[index];
        tracing::info!(
            path = %file.path.display(), read = file.position, copy = found.is_some(),
            "file was truncated"
        );
        file.place = found.map_or(Place::Lost, |(_, copy)| Place::Copied(copy));
        file.scanned = 0;
        Ok(())
    }

    /// At the end of what there is now; a new generation has its turn at once.
    fn finish(&mut self, index: usize, following: Following, now: Duration) -> Turn {
        let file = &mut self.files[index];
        match &file.place {
            Place::Copied(_) | Place::Lost => {
                let start = file.handle.as_ref().map_or(0, first_data);
                file.renew(start);
                let source = file.source;
                self.release_copies(source);
                return Turn::More;
            }
            Place::Rotated if following == Following::Never => file.handle = None,
            _ => {}
        }
        file.stat.size = file.furthest;
        (file.at_end, file.following, file.caught_up_at) = (true, following, now);
        Turn::AtEnd
    }

    /// What is written to a copy from now on is its own.
    fn release_copies(&mut self, original: tahoe_seams::SourceId) {
        for file in &mut self.files {
            if file.is_copy_of(original) {
                let size = Stat::of_path(&file.real).map_or(file.stat.size, |stat| stat.size);
                (file.start, file.position, file.furthest) = (size, size, size);
                file.place = Place::Live;
                file.begun = false;
            }
        }
    }

    /// Opens the file if it has something to read and is not open; false if it has not.
    fn open(&mut self, index: usize) -> io::Result<bool> {
        let file = &self.files[index];
        if file.handle.is_some() || matches!(file.place, Place::Copied(_) | Place::Lost) {
            return Ok(true);
        }
        // What is open at its end is looked at once more when less can follow it than before.
        let open = file.furthest > file.position
            && following(file, &self.settings, self.clock.now()) > file.following;
        if file.at_end && file.stat.size == file.furthest && !open {
            return Ok(false);
        }
        self.close_idle();
        let file = &mut self.files[index];
        let handle = File::open(&file.real)?;
        if std::mem::take(&mut file.failed) {
            self.problems.remove(&file.real);
        }
        let stat = Stat::of_file(&handle)?;
        if !file.stat.is_same_file(&stat) {
            // Renamed since the scan: the next one finds it.
            self.scan_wanted = true;
            return Ok(false);
        }
        if file.head.is_empty() && stat.size >= file.position {
            file.learn(&handle)?;
        }
        file.handle = Some(handle);
        Ok(true)
    }

    /// Keeps the number of open files below the limit: those at their end for longest close first.
    fn close_idle(&mut self) {
        if self.files.iter().filter(|file| file.handle.is_some()).count()
            < self.settings.handles_max
        {
            return;
        }
        let idle = self.files.iter_mut().filter(|file| file.handle.is_some() && file.at_end);
        if let Some(file) = idle.min_by_key(|file| file.grown_at) {
            file.handle = None;
        }
    }
}

fn following(file: &Tracked, settings: &super::TailSettings, now: Duration) -> Following {
    let quiet = now.saturating_sub(file.grown_at);
    match file.place {
        Place::Copied(_) | Place::Lost => Following::Never,
        Place::Rotated if quiet >= settings.rotated_wait => Following::Never,
        _ if settings.once => Following::Never,
        _ if quiet >= settings.quiet_time => Following::Quiet,
        _ => Following::Soon,
    }
}

/// First byte that was written: a writer that goes on at its old place after a truncation leaves a
/// hole, which is no text.
fn first_data(file: &File) -> u64 {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0)).unwrap_or(0)
}

#[expect(clippy::too_many_arguments, reason = "the hot path takes the tail apart into its fields")]
fn push(
    file: &mut Tracked,
    paths: &PathSet,
    batch: &mut Batch,
    (text, span): (&[u8], &[u8]),
    head: Beginning,
    part: Option<Part>,
    read_at_ms: i64,
    scratch: &mut Vec<u8>,
) {
    let first = part.is_none_or(|part| part.index == 0);
    paths.begin(&mut file.context);
    // The context as it was before the record; `scratch` holds it behind the part's four bytes.
    let needs_context = head.is_missing() || !first || paths.framer.continues(&file.context);
    encode_context(1, if needs_context { &file.context } else { &[] }, scratch);
    let context_len = scratch.len();
    if first {
        head.leave_by(paths.framer, text, &mut file.context);
    }
    let next = part.filter(|part| !part.last).map_or(0, |part| part.index + 1);
    if next > 0 || !file.context.is_empty() {
        scratch.extend_from_slice(&next.to_le_bytes());
        scratch.extend_from_slice(&file.context);
    }
    let (context, carried) = scratch.split_at(context_len);
    let index = batch.stream(&file.stream);
    let start = file.position;
    let end = start + span.len() as u64;
    batch.push(index, (start, end), text, &context[4..], carried, read_at_ms, part);
    file.part = next;
    file.advance(span);
}
