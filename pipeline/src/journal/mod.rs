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

mod child;
mod export;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use tahoe_seams::{Batch, BatchEnd, Known, Origin, Record, Source, SourceError, SourceId, Stream};

use crate::retry::Backoff;
use child::{Child, Output};
use export::Cursor;

/// Deaths of journalctl in a row, without an entry in between, after which the loop is told.
const DEATHS_QUIET: u32 = 3;

/// Whether and how the systemd journal is read.
#[derive(Clone, Debug, clap::Args)]
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
            (None, JournalStart::End) => arguments.push("--lines=0".to_owned()),
        }
        arguments
    }

    fn start(&mut self) -> Result<(), SourceError> {
        self.inbox.clear();
        self.at = 0;
        self.rejoining = self.last.is_some();
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

    /// Compares the first entry after a start with the one that was read last; true if it is that.
    fn rejoined(&mut self, found: &Cursor) -> Result<bool, SourceError> {
        let Some(last) = self.last.as_ref().filter(|_| self.rejoining) else { return Ok(false) };
        self.rejoining = false;
        if (last.sequence, last.number) == (found.sequence, found.number) {
            return Ok(true);
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
                Ok(false)
            }
        }
    }

    /// Adds one entry; false if it was read before.
    fn add(&mut self, batch: &mut Batch, end: usize, cursor: Cursor) -> bool {
        let source = SourceId(cursor.sequence);
        let (stream, next) = self.stream(source);
        if cursor.number < next {
            return false;
        }
        self.count += 1;
        let carried = format!("{} {}", self.count, cursor.text);
        let index = batch.stream(&stream);
        let bytes = &self.inbox[self.at..self.at + end];
        let span = (cursor.number, cursor.number + 1);
        batch.push(index, span, bytes, &[], carried.as_bytes(), now_ms(), None);
        if self.identified.insert(source) {
            batch.identify(source, serde_json::json!({ "journal": stream.origin.path }));
        }
        self.streams.insert(source, (stream, cursor.number + 1));
        self.last = Some(cursor);
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
            let Some((count, cursor)) = carried(&position.context) else { continue };
            if count > self.count {
                self.count = count;
                self.last = Some(cursor);
            }
        }
        Ok(())
    }

    fn recover(&mut self, record: &Record<'_>, context: &mut Vec<u8>) {
        if !record.origin.path.starts_with("journal:") {
            return;
        }
        let Some(cursor) = export::cursor(record.bytes) else { return };
        // The record was read after everything that the positions and earlier records speak of.
        self.count = carried(context).map_or(0, |(count, _)| count).max(self.count) + 1;
        *context = format!("{} {}", self.count, cursor.text).into_bytes();
    }

    fn read(&mut self, batch: &mut Batch, mut wait: Duration) -> Result<(), SourceError> {
        while !self.closed && !batch.is_full() {
            let rest = &self.inbox[self.at..];
            let Some(entry) = export::entry(rest) else {
                if !self.fill(wait)? {
                    break;
                }
                continue;
            };
            let cursor = export::cursor(&rest[..entry.text]);
            let Some(cursor) = cursor else {
                let text = "journalctl wrote an entry without a cursor: check --journal-command";
                return Err(SourceError::Stop(text.to_owned(), None));
            };
            if !batch.records().is_empty() && entry.text > batch.room() {
                break;
            }
            self.deaths = 0;
            self.backoff.reset();
            if !self.rejoined(&cursor)? && self.add(batch, entry.text, cursor) {
                wait = Duration::ZERO;
            }
            self.at += entry.end;
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

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
