//! What is there now: finds new files, and what became of those that are followed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tahoe_seams::{Lag, SourceId};

use super::file::{Place, Tracked};
use super::glob::{self, Found};
use super::identity::{
    Fingerprint, HEAD_BYTES_MAX, Likeness, Stat, draw_source, is_sibling_copy, read_at_most,
    whole_head,
};
use super::{StartAt, Tail, unreadable_text};

/// A copy that does not grow for this long is whole: `cp` pauses for a busy disk at most.
const COPY_TIME: Duration = Duration::from_secs(1);

/// What a new file is.
enum Kind {
    New,
    /// Of a file that is there: not read while that is so.
    CopyOf(SourceId),
    /// Of something that is read up to here.
    Continues(u64),
    Undecided,
}

impl Tail {
    pub(super) fn scan(&mut self, now: Duration) {
        self.files.iter_mut().for_each(|file| file.seen = false);
        let mut still_undecided = Vec::new();
        for set in 0..self.sets.len() {
            let mut found = Found::default();
            self.sets[set].patterns.iter().for_each(|pattern| pattern.expand(&mut found));
            for folder in &found.folders {
                self.watch_folder(folder);
            }
            for (path, error) in std::mem::take(&mut found.problems) {
                self.unreadable(path, &error, set);
            }
            for path in found.paths {
                match self.look_at(&path, set, now) {
                    Ok(true) => {}
                    Ok(false) => still_undecided.push(path),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.problems.remove(&path);
                    }
                    Err(error) => self.unreadable(path, &error, set),
                }
            }
            self.sets[set].is_new = false;
        }
        self.undecided.retain(|path, _| still_undecided.contains(path));
        for index in 0..self.files.len() {
            if !self.files[index].seen {
                self.look_for(index);
            }
        }
        self.forget();
        self.report_lag(now);
    }

    fn watch_folder(&mut self, folder: &Path) {
        if let Some(watch) = &mut self.watch {
            watch.prune();
            watch.add(folder);
        }
    }

    fn unreadable(&mut self, path: PathBuf, error: &io::Error, set: usize) {
        let setting = self.sets[set].paths.patterns.join(",");
        let text = unreadable_text(&path, &error.to_string(), &setting);
        self.problem(path, text);
    }

    /// Warns, once until it is mended.
    pub(super) fn problem(&mut self, path: PathBuf, text: String) {
        if self.problems.get(&path) != Some(&text) {
            tracing::warn!("{text}");
            self.problems.insert(path, text);
        }
    }

    /// Takes note of what is at `path`. False: it cannot be said yet what it is.
    fn look_at(&mut self, path: &Path, set: usize, now: Duration) -> io::Result<bool> {
        let stat = Stat::of_path(path)?;
        if !stat.is_file {
            return Ok(true);
        }
        if path.to_str().is_none() {
            return Err(io::Error::other("its name is not UTF-8"));
        }
        if let Some(index) = self.files.iter().position(|file| file.handle_or_stat_is(&stat)) {
            self.meet(index, path, stat);
            return Ok(true);
        }
        let file = File::open(path)?;
        let stat = Stat::of_file(&file)?;
        let real = std::fs::canonicalize(path)?;
        self.problems.remove(path);
        let kind = match self.kind(path, &real, set, &file)? {
            Kind::Undecided if !self.is_settled(path, stat.size, now) => return Ok(false),
            Kind::Undecided => Kind::New,
            kind => kind,
        };
        if let Some(folder) = real.parent() {
            self.watch_folder(folder);
        }
        self.follow(path, real, set, &file, stat, kind, now)?;
        Ok(true)
    }

    /// A file that is followed was found at `path`.
    fn meet(&mut self, index: usize, path: &Path, stat: Stat) {
        let original_size = match self.files[index].place {
            Place::CopyOf(source) => {
                self.files.iter().find(|file| file.source == source).map(|file| file.stat.size)
            }
            _ => None,
        };
        let file = &mut self.files[index];
        if file.seen {
            return;
        }
        file.seen = true;
        if let Ok(real) = std::fs::canonicalize(path) {
            file.changed |= file.real != real;
            file.real = real;
        }
        file.stat = stat;
        match file.place {
            Place::Live | Place::Rotated | Place::Gone(_) => {
                file.changed |= file.is_gone();
                let rotated = path != file.path;
                // Lines may have come between the last read and the rename.
                file.at_end &= !(rotated && matches!(file.place, Place::Live));
                file.place = if rotated { Place::Rotated } else { Place::Live };
            }
            Place::CopyOf(_) if original_size.is_none_or(|size| stat.size <= size) => {
                (file.position, file.furthest) = (stat.size, stat.size);
            }
            Place::CopyOf(_) | Place::Copied(_) | Place::Lost => {}
        }
    }

    fn kind(&self, path: &Path, real: &Path, set: usize, file: &File) -> io::Result<Kind> {
        let mut kind = Kind::New;
        let head = whole_head(file)?;
        for other in self.files.iter().filter(|other| is_sibling_copy(&other.path, path)) {
            let near = other.real.parent() == real.parent() || other.path.parent() == path.parent();
            if !near {
                match head.filter(|_| other.set == set).map(|head| elsewhere(file, other, head)) {
                    Some(Ok(Some(kind))) => return Ok(kind),
                    Some(Err(error)) => return Err(error),
                    Some(Ok(None)) | None => continue,
                }
            }
            match likeness(file, other, &other.fingerprint())? {
                Likeness::Same if other.is_gone() || other.path == path => {
                    return Ok(Kind::Continues(other.position));
                }
                Likeness::Same => return Ok(Kind::CopyOf(other.source)),
                Likeness::TooShort if other.path != path => kind = Kind::Undecided,
                Likeness::TooShort | Likeness::Other => {}
            }
            for past in &other.past {
                match past.fingerprint.compare(file)? {
                    Likeness::Same => return Ok(Kind::Continues(past.read)),
                    Likeness::TooShort if other.path != path => kind = Kind::Undecided,
                    Likeness::TooShort | Likeness::Other => {}
                }
            }
        }
        Ok(kind)
    }

    /// A copy grows without a pause; what is still too short after a while is none.
    fn is_settled(&mut self, path: &Path, size: u64, now: Duration) -> bool {
        let since = self.undecided.entry(path.to_owned()).or_insert((size, now));
        if since.0 != size {
            *since = (size, now);
        }
        now.saturating_sub(since.1) >= COPY_TIME
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a new file")]
    fn follow(
        &mut self,
        path: &Path,
        real: PathBuf,
        set: usize,
        file: &File,
        stat: Stat,
        kind: Kind,
        now: Duration,
    ) -> io::Result<()> {
        let mut head = vec![0; HEAD_BYTES_MAX];
        let there = read_at_most(file, &mut head, 0)?;
        head.truncate(there);
        let from_end = self.sets[set].is_new && self.settings.start_at == StartAt::End;
        let start = match kind {
            Kind::CopyOf(_) => stat.size,
            Kind::Continues(read) => read.min(stat.size),
            _ if from_end => last_line_end(file, stat.size, self.settings.record_bytes_max)?,
            _ => 0,
        };
        let source = draw_source(&self.host, path, &stat, &head);
        let place = match kind {
            Kind::CopyOf(original) => Place::CopyOf(original),
            _ => Place::Live,
        };
        let stream = self.stream(source, 0, set, path);
        tracing::info!(path = %path.display(), start, size = stat.size, "file found");
        let mut tracked = Tracked::new(source, set, path, real, stat, stream, start, now);
        tracked.place = place;
        tracked.learn(file)?;
        self.files.push(tracked);
        Ok(())
    }

    /// A followed file is at no path of the settings any more.
    fn look_for(&mut self, index: usize) {
        let file = &self.files[index];
        if file.is_gone() || matches!(file.place, Place::Copied(_) | Place::Lost) {
            return;
        }
        let real = Stat::of_path(&file.real).ok().filter(|stat| file.handle_or_stat_is(stat));
        let found = match real {
            Some(stat) => Some((file.real.clone(), stat)),
            None => glob::siblings(&file.real).into_iter().find_map(|path| {
                let stat = Stat::of_path(&path).ok()?;
                file.handle_or_stat_is(&stat).then_some((path, stat))
            }),
        };
        let wall_ms = self.clock.wall_ms();
        let file = &mut self.files[index];
        match found {
            Some((path, stat)) => {
                file.changed |= file.real != path;
                (file.real, file.stat) = (path, stat);
                if matches!(file.place, Place::Live) {
                    (file.place, file.at_end) = (Place::Rotated, false);
                }
            }
            // Deleted or moved away, but still open: it is read to its end.
            None if file.handle.is_some() => file.place = Place::Rotated,
            None => {
                file.place = Place::Gone(wall_ms);
                file.changed = true;
            }
        }
    }

    /// Drops files that are gone for long.
    fn forget(&mut self) {
        let wall_ms = self.clock.wall_ms();
        let after = i64::try_from(self.settings.forget_after.as_millis()).unwrap_or(i64::MAX);
        let forgotten = &mut self.forgotten;
        self.files.retain(|file| match file.place {
            Place::Gone(since) if wall_ms.saturating_sub(since) >= after => {
                forgotten.push(file.source);
                false
            }
            _ => true,
        });
    }

    fn report_lag(&mut self, now: Duration) {
        let followed = self.files.iter().filter(|file| !file.is_gone());
        let lag = followed.map(|file| {
            let bytes = file.stat.size.saturating_sub(file.position);
            let behind = now.saturating_sub(file.caught_up_at).as_secs_f64();
            let seconds = if bytes == 0 { 0.0 } else { behind };
            Lag { of: file.path.display().to_string(), bytes, seconds }
        });
        self.lag = lag.collect();
    }
}

/// What a file in another folder is of `other`, if it holds what was read of it: a rotation's
/// folder for old files, on another file system perhaps.
fn elsewhere(file: &File, other: &Tracked, head: u64) -> io::Result<Option<Kind>> {
    if other.fingerprint().is_held_by(file, head)? {
        return Ok(Some(match other.place {
            Place::Gone(_) | Place::Lost => Kind::Continues(other.position),
            _ => Kind::CopyOf(other.source),
        }));
    }
    for past in &other.past {
        if past.fingerprint.is_held_by(file, head)? {
            return Ok(Some(Kind::Continues(past.read)));
        }
    }
    Ok(None)
}

/// As [`Fingerprint::compare`]; a short file is told apart by the head that is in memory.
fn likeness(file: &File, other: &Tracked, print: &Fingerprint) -> io::Result<Likeness> {
    let likeness = print.compare(file)?;
    if likeness == Likeness::TooShort && !other.head.is_empty() {
        let mut head = vec![0; other.head.len()];
        let there = read_at_most(file, &mut head, 0)?;
        if head[..there] != other.head[..there] {
            return Ok(Likeness::Other);
        }
    }
    Ok(likeness)
}

/// Behind the last line end of the file, looked for in its last `max` bytes: a line that is being
/// written is read whole.
fn last_line_end(file: &File, size: u64, max: usize) -> io::Result<u64> {
    let last = super::identity::before(file, size, max)?;
    let open = memchr::memrchr(b'\n', &last).map_or(0, |at| last.len() - at - 1);
    let whole_file = last.len() as u64 == size && !last.contains(&b'\n');
    Ok(if whole_file { 0 } else { size - open as u64 })
}
