//! The systemd journal as a source: a cursor is the position.
//!
//! journald has no stable format for others to read, so `journalctl --follow` is run as a child and
//! restarted where it stopped. A record is one entry in the Journal Export Format
//! (<https://systemd.io/JOURNAL_EXPORT_FORMATS/>) as journalctl wrote it, without the empty line
//! after it: `FIELD=text` lines, and for binary values the field's name, its length in eight bytes
//! (little endian) and the bytes. Its JSON would be handier, but prints the fields of one entry in
//! another order each time (systemd 252), so the same entry would not have the same bytes, and
//! binary values as lists of numbers.
//!
//! A cursor names the sequence of the journal that the entry was written in (`s=`) and its number
//! there (`i=`). The first is the stream's identity and the second its position, so an entry has
//! the same identity whoever reads it and wherever reading began. The whole cursor is carried, with
//! a running number in front: where several sequences are interleaved (a journal that was begun
//! anew), the highest says where reading stopped.
//!
//! Anyone may log an entry of hundreds of MiB, so one over a MiB is given in parts as it comes. The
//! position is therefore the entry's number and, below it, the part's.

mod child;
mod export;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tahoe_seams::{
    Batch, BatchEnd, Known, Origin, Part, Record, Source, SourceError, SourceId, Stream,
};

use crate::clock::now_ms;
use crate::retry::Backoff;
use child::{Child, Output};
use export::{Cursor, Scan};

/// Deaths of journalctl in a row, without an entry in between, after which the loop is told.
const DEATHS_QUIET: u32 = 3;

/// Bytes of a part; as with files, what is longer is split.
const PART_BYTES: usize = 1 << 20;
/// Positions of one entry: journald takes at most 1 GiB, with its field names and lengths.
const PARTS_MAX: u64 = 2048;

/// Whether and how the systemd journal is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Syslog")]
pub struct JournalArgs {
    /// Read the systemd journal (which naming files or a folder of it does as well)
    #[arg(long, env = "TAHOE_JOURNAL")]
    pub journal: bool,

    /// Journal files to read instead of the machine's own; repeatable
    #[arg(long, env = "TAHOE_JOURNAL_FILE", value_name = "FILE", value_delimiter = ',')]
    pub journal_file: Vec<PathBuf>,

    /// Folder of journal files to read instead of the machine's own
    #[arg(
        long,
        env = "TAHOE_JOURNAL_DIRECTORY",
        value_name = "FOLDER",
        conflicts_with = "journal_file"
    )]
    pub journal_directory: Option<PathBuf>,

    /// Where reading begins if the journal was never read
    #[arg(long, env = "TAHOE_JOURNAL_START_AT", value_name = "WHERE", default_value = "end")]
    pub journal_start_at: JournalStart,

    /// What to do when the entry that was read last has been vacuumed away
    #[arg(long, env = "TAHOE_JOURNAL_LOST_CURSOR", value_name = "WHAT", default_value = "stop")]
    pub journal_lost_cursor: LostCursor,

    /// The journalctl program
    #[arg(
        long,
        env = "TAHOE_JOURNAL_COMMAND",
        value_name = "PROGRAM",
        default_value = "journalctl"
    )]
    pub journal_command: PathBuf,
}

impl JournalArgs {
    /// True if a journal is to be read.
    pub fn is_asked_for(&self) -> bool {
        self.journal || !self.is_own()
    }

    /// True if it is the machine's own.
    pub fn is_own(&self) -> bool {
        self.journal_file.is_empty() && self.journal_directory.is_none()
    }

    /// `journal:` and what is read: a folder, the first file, nothing for the machine's own.
    pub fn path(&self) -> String {
        let named = match (&self.journal_directory, self.journal_file.first()) {
            (Some(folder), _) => folder.display().to_string(),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => String::new(),
        };
        format!("journal:{named}")
    }
}

/// Where reading begins if the journal was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JournalStart {
    /// With the oldest entry.
    Beginning,
    /// With what is written from now on.
    End,
}

/// What to do when the entry that was read last is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LostCursor {
    /// Stop, because entries may be missing.
    Stop,
    /// Say so and go on with the oldest entry after it.
    Skip,
}

/// The reader of one journal.
pub struct Journal {
    args: JournalArgs,
    template: Stream,
    child: Option<Child>,
    /// Bytes of entries that are not whole yet.
    inbox: Vec<u8>,
    at: usize,
    scan: Scan,
    /// The entry that the inbox is in, and the part that comes next of it.
    current: Option<(Cursor, u32)>,
    /// Reading begins behind what was logged before these microseconds, by an entry not yet seen.
    begin_after_us: Option<i64>,
    streams: HashMap<SourceId, (Arc<Stream>, u64)>,
    identified: HashSet<SourceId>,
    last: Option<Cursor>,
    /// Entries read, over all runs.
    count: u64,
    /// The next entry is the one at the last cursor, if that still exists.
    rejoining: bool,
    backoff: Backoff,
    restart_at: Option<Instant>,
    deaths: u32,
    closed: bool,
}

impl Journal {
    /// A reader that starts with [`Source::resume`]. The stream takes topic, dataset, namespace,
    /// host, zone, labels and tags from `template`.
    pub fn new(args: &JournalArgs, template: Stream) -> Self {
        Self {
            args: args.clone(),
            template,
            child: None,
            inbox: Vec::new(),
            at: 0,
            scan: Scan::default(),
            current: None,
            begin_after_us: None,
            streams: HashMap::new(),
            identified: HashSet::new(),
            last: None,
            count: 0,
            rejoining: false,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            restart_at: None,
            deaths: 0,
            closed: false,
        }
    }

    fn stream(&mut self, source: SourceId) -> (Arc<Stream>, u64) {
        if let Some((stream, next)) = self.streams.get(&source) {
            return (Arc::clone(stream), *next);
        }
        let path = self.args.path();
        let stream = Arc::new(Stream {
            lane: None,
            key: format!("{} {path}", self.template.origin.host).into_bytes(),
            origin: Origin { source, path, ..self.template.origin.clone() },
            topic: self.template.topic.clone(),
            resumable: true,
        });
        self.streams.insert(source, (Arc::clone(&stream), 0));
        (stream, 0)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--output=export", "--follow", "--quiet", "--no-pager"].map(str::to_owned).to_vec();
        arguments.extend(self.args.journal_file.iter().map(|f| format!("--file={}", f.display())));
        let folder = self.args.journal_directory.iter();
        arguments.extend(folder.map(|folder| format!("--directory={}", folder.display())));
        match (&self.last, self.args.journal_start_at) {
            // Not `--after-cursor`, which passes over an entry if the one at the cursor is gone.
            (Some(cursor), _) => {
                arguments.push("--no-tail".to_owned());
                arguments.push(format!("--cursor={}", cursor.text));
            }
            (None, JournalStart::Beginning) => arguments.push("--no-tail".to_owned()),
            // The last entry is not read, but says where to go on if we die before the next one.
            (None, JournalStart::End) => arguments.push("--lines=1".to_owned()),
        }
        arguments
    }

    fn start(&mut self) -> Result<(), SourceError> {
        self.inbox.clear();
        self.at = 0;
        (self.scan, self.current) = (Scan::default(), None);
        self.rejoining = self.last.is_some();
        let at_end = !self.rejoining && self.args.journal_start_at == JournalStart::End;
        self.begin_after_us = at_end.then(|| now_ms() * 1000);
        let command = &self.args.journal_command;
        let child = Child::start(command, &self.arguments()).map_err(|error| {
            let text = format!("--journal-command: cannot run {}: {error}", command.display());
            SourceError::Stop(format!("{text}: install systemd, or name journalctl"), None)
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// Reads more output into the inbox; false if there is none within `wait`.
    fn fill(&mut self, wait: Duration) -> Result<bool, SourceError> {
        if self.child.is_none() {
            let due = self.restart_at.map(|at| at.saturating_duration_since(Instant::now()));
            if let Some(due) = due.filter(|due| !due.is_zero()) {
                std::thread::sleep(due.min(wait));
                return Ok(false);
            }
            self.start()?;
        }
        let Some(child) = &self.child else { return Ok(false) };
        match child.output(wait) {
            Output::Bytes(bytes) => {
                self.inbox.drain(..self.at);
                self.at = 0;
                self.inbox.extend_from_slice(&bytes);
                Ok(true)
            }
            Output::Nothing => Ok(false),
            Output::Ended => self.ended().map(|()| false),
        }
    }

    fn ended(&mut self) -> Result<(), SourceError> {
        let reason = self.child.take().map(Child::end).unwrap_or_default();
        self.restart_at = Some(Instant::now() + self.backoff.pause());
        self.deaths += 1;
        if self.deaths < DEATHS_QUIET {
            tracing::warn!(reason, "journalctl ended: it is started again");
            return Ok(());
        }
        let text = format!("journalctl ended {} times in a row: {reason}", self.deaths);
        let advice = "check --journal-file and --journal-directory, and that this user may read \
                      the journal (group systemd-journal)";
        Err(SourceError::Retry(format!("{text}: {advice}"), None))
    }

    /// Compares the first entry after a start with the one that was read last.
    fn rejoin(&mut self, found: &Cursor) -> Result<(), SourceError> {
        let Some(last) = self.last.as_ref().filter(|_| self.rejoining) else { return Ok(()) };
        self.rejoining = false;
        if (last.sequence, last.number) == (found.sequence, found.number) {
            return Ok(());
        }
        let text =
            format!("the journal no longer holds the entry that was read last ({})", last.text);
        match self.args.journal_lost_cursor {
            LostCursor::Stop => {
                self.rejoining = true;
                let advice = "entries may be missing; --journal-lost-cursor skip goes on with the \
                              oldest entry after it";
                Err(SourceError::Stop(format!("{text}: {advice}"), None))
            }
            LostCursor::Skip => {
                tracing::warn!("{text}: going on with {}", found.text);
                Ok(())
            }
        }
    }

    /// The cursor and the part's number of what is at the start of `rest`, an entry or, after its
    /// first part, more of it.
    fn place(&mut self, batch: &mut Batch, text: usize) -> Result<(Cursor, u32), SourceError> {
        if let Some(current) = self.current.take() {
            return Ok(current);
        }
        let entry = &self.inbox[self.at..self.at + text];
        let Some(cursor) = export::cursor(entry) else {
            let text = "journalctl wrote an entry without a cursor: check --journal-command";
            return Err(SourceError::Stop(text.to_owned(), None));
        };
        let logged_us = export::realtime_us(entry);
        self.deaths = 0;
        self.backoff.reset();
        self.rejoin(&cursor)?;
        if self.begin_after_us.take().is_some_and(|began| logged_us < Some(began)) {
            self.begin_behind(batch, &cursor);
        }
        Ok((cursor, 0))
    }

    /// Keeps where reading begins, before there is anything to read.
    fn begin_behind(&mut self, batch: &mut Batch, cursor: &Cursor) {
        let source = SourceId(cursor.sequence);
        let (stream, _) = self.stream(source);
        let next = (cursor.number + 1) * PARTS_MAX;
        let index = batch.stream(&stream);
        batch.begin(index, next);
        let path = &stream.origin.path;
        batch.identify(source, serde_json::json!({ "journal": path, "cursor": cursor.text }));
        self.identified.insert(source);
        self.streams.insert(source, (stream, next));
        self.last = Some(cursor.clone());
    }

    /// Adds an entry or a part of one; false if it was read before.
    fn add(&mut self, batch: &mut Batch, text: usize, cursor: &Cursor, part: Option<Part>) -> bool {
        let source = SourceId(cursor.sequence);
        let (stream, next) = self.stream(source);
        let index = part.map_or(0, |part| u64::from(part.index));
        let start = cursor.number * PARTS_MAX + index;
        if start < next {
            return false;
        }
        self.count += u64::from(index == 0);
        let is_last = part.is_none_or(|part| part.last);
        let end = if is_last { (cursor.number + 1) * PARTS_MAX } else { start + 1 };
        let carried = format!("{} {}", self.count, cursor.text);
        let index = batch.stream(&stream);
        let bytes = &self.inbox[self.at..self.at + text];
        batch.push(index, (start, end), bytes, &[], carried.as_bytes(), now_ms(), part);
        if self.identified.insert(source) {
            batch.identify(source, serde_json::json!({ "journal": stream.origin.path }));
        }
        self.streams.insert(source, (stream, end));
        self.last = Some(cursor.clone());
        true
    }
}

impl Source for Journal {
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        let path = self.args.path();
        for position in known {
            if position.identity.get("journal").and_then(|path| path.as_str()) != Some(&path) {
                continue;
            }
            let (stream, _) = self.stream(position.source);
            self.streams.insert(position.source, (stream, position.next));
            let begun = position.identity.get("cursor").and_then(|cursor| cursor.as_str());
            let begun = || begun.and_then(Cursor::parse).map(|cursor| (0, cursor));
            let Some((count, cursor)) = carried(&position.context).or_else(begun) else { continue };
            if count > self.count || self.last.is_none() {
                self.count = count;
                self.last = Some(cursor);
            }
        }
        Ok(())
    }

    fn recover(&mut self, record: &Record<'_>, context: &mut Vec<u8>) {
        // Later parts of an entry hold what its sender wrote, which may look like a cursor.
        let later = record.part.is_some_and(|part| part.index > 0);
        if later || !record.origin.path.starts_with("journal:") {
            return;
        }
        let Some(cursor) = export::cursor(record.bytes) else { return };
        // The record was read after everything that the positions and earlier records speak of.
        self.count = carried(context).map_or(0, |(count, _)| count).max(self.count) + 1;
        *context = format!("{} {}", self.count, cursor.text).into_bytes();
    }

    fn read(&mut self, batch: &mut Batch, mut wait: Duration) -> Result<(), SourceError> {
        while !self.closed && !batch.is_full() {
            // An entry's text ends before its last line end and the empty line.
            let end = self.scan.end(&self.inbox[self.at..]);
            let (text, end, last) = match end {
                Some(end) if end <= PART_BYTES + 2 => (end.saturating_sub(2), end, true),
                None if self.scan.seen() <= PART_BYTES + 2 => {
                    if !self.fill(wait)? {
                        break;
                    }
                    continue;
                }
                _ => (PART_BYTES, PART_BYTES, false),
            };
            if !batch.records().is_empty() && text > batch.room() {
                break;
            }
            let (cursor, index) = self.place(batch, text)?;
            let part = (index > 0 || !last).then_some(Part { index, last });
            if self.add(batch, text, &cursor, part) {
                wait = Duration::ZERO;
            }
            self.current = (!last).then_some((cursor, index + 1));
            self.at += end;
            self.scan.consume(end);
        }
        Ok(())
    }

    fn release(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }

    /// The journal gives the rest again after the next start.
    fn close(&mut self) -> Result<(), SourceError> {
        self.closed = true;
        self.child = None;
        Ok(())
    }
}

/// The running number and the cursor of a carried context.
fn carried(context: &[u8]) -> Option<(u64, Cursor)> {
    let (count, cursor) = std::str::from_utf8(context).ok()?.split_once(' ')?;
    Some((count.parse().ok()?, Cursor::parse(cursor)?))
}
