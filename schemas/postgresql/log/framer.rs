//! A message begins with a severity and goes on through its further lines and its notes (DETAIL,
//! STATEMENT and so on), which have the same prefix and process. Lines of another session that
//! come between end it: what follows them is an event of its own.

use memchr::{memchr, memrchr};
use tahoe_seams::{Cut, Framer};

use super::level::Label;
use super::prefix::{Fit, Kind, LinePrefix, PrefixError};
use super::syslog::{self, Chunk};
use super::{bouncer, context, csv, json, recognised, stamp};

/// Bytes of a stamp that are carried.
const STAMP_BYTES_MAX: usize = 40;

/// Where records of PostgreSQL's logs begin and end.
#[derive(Default)]
pub struct PostgresFramer {
    prefix: Option<LinePrefix>,
}

impl PostgresFramer {
    /// Recognises the prefix of each line.
    pub(super) const RECOGNISING: Self = Self { prefix: None };

    /// For a server whose `log_line_prefix` is known. The producer must begin the context of every
    /// file with [`super::beginning`] of the same text, so that it reaches the parser; records then
    /// all carry it.
    ///
    /// # Errors
    /// The setting has an unknown escape.
    pub fn with_prefix(setting: &str) -> Result<Self, PrefixError> {
        Ok(Self { prefix: Some(LinePrefix::compile(setting)?) })
    }
}

/// The beginning of a line, if it is one of a record.
pub(super) enum Start<'l> {
    /// One object.
    Object,
    Row,
    Chunk(Chunk<'l>),
    Pooler,
    Message(Fit),
    Other,
}

impl<'l> Start<'l> {
    pub(super) fn of(line: &'l [u8], prefix: Option<&LinePrefix>) -> Self {
        if json::is_object(line) {
            return Self::Object;
        }
        if let Some(fit) = prefix.and_then(|prefix| prefix.fit(line, None)) {
            return Self::Message(fit);
        }
        if csv::begins(line) {
            return Self::Row;
        }
        if let Some(chunk) = syslog::parse(line, 0) {
            return Self::Chunk(chunk);
        }
        if let Some(fit) = recognised::fit(line, false) {
            return Self::Message(fit);
        }
        if bouncer::Head::parse(line).is_some() { Self::Pooler } else { Self::Other }
    }
}

impl Framer for PostgresFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let (line, next) = match memchr(b'\n', bytes) {
            Some(at) => (&bytes[..at], at + 1),
            None if ended && !bytes.is_empty() => (bytes, bytes.len()),
            None => return Cut::Partial,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Cut::Blank { end: next };
        }
        let start = Start::of(line, self.prefix.as_ref());
        let needs = self.prefix.is_some();
        let text = line.len();
        match start {
            Start::Object | Start::Pooler => Cut::Record { text, end: next, orphan: needs },
            Start::Row => match csv::cut(bytes, ended) {
                Cut::Record { text, end, .. } => Cut::Record { text, end, orphan: needs },
                other => other,
            },
            Start::Other => self.lines(bytes, (next, scanned), ended, true, |line| {
                line.is_empty() || line.starts_with(b"\t")
            }),
            Start::Chunk(first) => self.lines(bytes, (next, scanned), ended, needs, |line| {
                match syslog::parse(line, 0) {
                    Some(chunk) => first.goes_on(&chunk),
                    None => matches!(line.first(), Some(b' ' | b'\t')),
                }
            }),
            Start::Message(fit) => {
                let orphan = needs || fit.range(Kind::Time).is_none();
                self.lines(bytes, (next, scanned), ended, orphan, |next| {
                    self.goes_on((line, &fit), next)
                })
            }
        }
    }

    /// The text of the last stamp.
    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        let line = &record[..memchr(b'\n', record).unwrap_or(record.len())];
        let time = match Start::of(line, self.prefix.as_ref()) {
            Start::Object => json::stamp_of(line),
            Start::Row | Start::Pooler => csv::stamp_of(line),
            Start::Message(fit) => {
                fit.bytes(Kind::Time, line).or_else(|| fit.bytes(Kind::Epoch, line))
            }
            Start::Chunk(chunk) => Some(chunk.time),
            Start::Other => None,
        };
        if let Some(time) = time.filter(|time| (1..=STAMP_BYTES_MAX).contains(&time.len())) {
            context::carry(time, context);
        }
    }
}

impl PostgresFramer {
    /// A record of lines: `goes_on` says whether a line after the first belongs to it.
    fn lines(
        &self,
        bytes: &[u8],
        (first_end, scanned): (usize, usize),
        ended: bool,
        orphan: bool,
        goes_on: impl Fn(&[u8]) -> bool,
    ) -> Cut {
        // Lines before that were seen by an earlier call.
        let known = memrchr(b'\n', &bytes[..scanned.min(bytes.len())]).map_or(0, |at| at + 1);
        let mut at = first_end.max(known);
        while at < bytes.len() {
            let end = match memchr(b'\n', &bytes[at..]) {
                Some(length) => at + length,
                None if ended => bytes.len(),
                None => break,
            };
            let line = bytes[at..end].strip_suffix(b"\r").unwrap_or(&bytes[at..end]);
            if !goes_on(line) {
                return Cut::Record { text: trimmed(&bytes[..at]), end: at, orphan };
            }
            at = bytes.len().min(end + 1);
        }
        let text = trimmed(&bytes[..at]);
        if ended {
            Cut::Record { text, end: at, orphan }
        } else {
            Cut::Open { text, end: at, orphan }
        }
    }

    fn goes_on(&self, (first, fit): (&[u8], &Fit), line: &[u8]) -> bool {
        if matches!(line.first(), None | Some(b'\t')) {
            return true;
        }
        match Start::of(line, self.prefix.as_ref()) {
            Start::Message(next) => is_note_of((first, fit), (line, &next)),
            Start::Other => true,
            Start::Object | Start::Row | Start::Chunk(_) | Start::Pooler => false,
        }
    }
}

/// Whether a line is a note of the message that `first` begins: of the same session as far as
/// their prefixes tell.
pub(super) fn is_note_of(first: (&[u8], &Fit), line: (&[u8], &Fit)) -> bool {
    if !matches!((first.1.label, line.1.label), (Label::Level(_), Label::Note(_))) {
        return false;
    }
    let same = |kind| match (first.1.bytes(kind, first.0), line.1.bytes(kind, line.0)) {
        (Some(one), Some(other)) => Some(one == other),
        _ => None,
    };
    let same_time = || same(Kind::Time).unwrap_or(true);
    same(Kind::Session).or_else(|| same(Kind::Pid)).unwrap_or_else(same_time)
}

/// The length without line ends after the text.
fn trimmed(record: &[u8]) -> usize {
    let end = record.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    end.map_or(0, |last| last + 1)
}

/// The time that a context carries.
pub(super) fn carried(carried: &[u8], read_at_ms: i64) -> Option<crate::time::Stamp> {
    let (_, text) = context::split(carried);
    if let Some(written) = stamp::parse(text) {
        return Some(written.stamp);
    }
    if let Some((stamp, length)) = stamp::epoch(text)
        && length == text.len()
    {
        return Some(stamp);
    }
    crate::datasets::system_syslog::head(text, read_at_ms).stamp
}
