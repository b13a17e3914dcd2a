//! A message begins with a severity and goes on through its further lines and its notes (DETAIL,
//! STATEMENT and so on), which have the same prefix and process. Lines of another session that
//! come between end it: what follows them is an event of its own.

use memchr::{memchr, memrchr};
use tahoe_seams::{Beginning, Cut, Framer};

use super::level::Label;
use super::prefix::{Fit, Kind, LinePrefix, PrefixError};
use super::syslog::{self, Chunk};
use super::{bouncer, context, csv, json, patroni, recognised, stamp};
use crate::datasets::system_syslog::head;
use crate::time::Stamp;
use crate::{LineFramer, lines};

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
    /// A time, and nothing else that is known.
    Timed,
    Other,
}

impl<'l> Start<'l> {
    pub(super) fn of(line: &'l [u8], prefix: Option<&LinePrefix>) -> Self {
        Self::after(clock(line), line, prefix)
    }

    /// The same of a line whose time, if it begins with one of PostgreSQL's, has that length.
    fn after(clock: Option<usize>, line: &'l [u8], prefix: Option<&LinePrefix>) -> Self {
        if json::is_object(line) {
            return Self::Object;
        }
        if let Some(fit) = prefix.and_then(|prefix| prefix.fit(line, None)) {
            return Self::Message(fit);
        }
        if clock.is_some_and(|clock| csv::is_row(line, clock)) {
            return Self::Row;
        }
        if clock.is_none()
            && let Some(chunk) = syslog::parse(line, 0)
        {
            return Self::Chunk(chunk);
        }
        if let Some(fit) = recognised::fit(line, clock, false) {
            return Self::Message(fit);
        }
        if bouncer::Head::parse(line).is_some() {
            Self::Pooler
        } else if own_time(line, 0).is_some() {
            Self::Timed
        } else {
            Self::Other
        }
    }
}

/// The length of the time that a line begins with.
fn clock(line: &[u8]) -> Option<usize> {
    stamp::parse(line).map(|written| written.length)
}

impl Framer for PostgresFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let (line, next) = match LineFramer.cut(bytes, 0, ended) {
            Cut::Record { text, end, .. } => (&bytes[..text], end),
            cut => return cut,
        };
        let clock = clock(line);
        let start = Start::after(clock, line, self.prefix.as_ref());
        let needs = self.prefix.is_some();
        // Whatever a prefix of the list begins with is the time.
        let known = clock.filter(|length| !needs && *length <= STAMP_BYTES_MAX);
        let head = match known {
            Some(to) => Beginning::Stamp { from: 0, to },
            None => Beginning::Asked { orphan: needs },
        };
        let text = line.len();
        match start {
            Start::Object | Start::Pooler => Cut::Record { text, end: next, head },
            Start::Row => match csv::cut(bytes, scanned, ended) {
                Cut::Record { text, end, .. } => Cut::Record { text, end, head },
                other => other,
            },
            Start::Timed | Start::Other => {
                let is_timed = matches!(start, Start::Timed);
                let head = if is_timed { head } else { Beginning::Asked { orphan: true } };
                let traced = is_timed && patroni::begins(line);
                self.lines(bytes, (next, scanned), ended, head, |line| {
                    let goes_on = line.is_empty() || line.starts_with(b"\t");
                    goes_on || traced && self.is_of_traceback(line)
                })
            }
            Start::Chunk(first) => self.lines(bytes, (next, scanned), ended, head, |line| {
                match syslog::parse(line, 0) {
                    Some(chunk) => first.goes_on(&chunk) || self.is_note_in((&first, &chunk)),
                    None => matches!(line.first(), Some(b' ' | b'\t')),
                }
            }),
            Start::Message(fit) => {
                let is_timed = fit.range(Kind::Time).is_some();
                let head = if is_timed { head } else { Beginning::Asked { orphan: true } };
                self.lines(bytes, (next, scanned), ended, head, |next| {
                    self.goes_on((line, &fit), next)
                })
            }
        }
    }

    /// The text of the last stamp.
    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        let line = &record[..memchr(b'\n', record).unwrap_or(record.len())];
        let clock = clock(line);
        if let Some(length) = clock.filter(|_| self.prefix.is_none()) {
            return carry(&line[..length], context);
        }
        let time = match Start::after(clock, line, self.prefix.as_ref()) {
            Start::Object => json::stamp_of(line),
            Start::Row | Start::Pooler => csv::stamp_of(line),
            Start::Message(fit) => {
                fit.bytes(Kind::Time, line).or_else(|| fit.bytes(Kind::Epoch, line))
            }
            Start::Chunk(chunk) => Some(chunk.time),
            Start::Timed => own_time(line, 0).map(|(_, length)| &line[..length]),
            Start::Other => None,
        };
        if let Some(time) = time {
            carry(time, context);
        }
    }
}

fn carry(time: &[u8], context: &mut Vec<u8>) {
    if (1..=STAMP_BYTES_MAX).contains(&time.len()) {
        context::carry(time, context);
    }
}

impl PostgresFramer {
    /// A record of lines: `goes_on` says whether a line after the first belongs to it.
    fn lines(
        &self,
        bytes: &[u8],
        (first_end, scanned): (usize, usize),
        ended: bool,
        head: Beginning,
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
                return Cut::Record { text: lines::trimmed(&bytes[..at]), end: at, head };
            }
            at = bytes.len().min(end + 1);
        }
        let text = lines::trimmed(&bytes[..at]);
        if ended { Cut::Record { text, end: at, head } } else { Cut::Open { text, end: at, head } }
    }

    /// Whether a line may be of a traceback: nothing else begins with it.
    fn is_of_traceback(&self, line: &[u8]) -> bool {
        matches!(Start::of(line, self.prefix.as_ref()), Start::Other)
    }

    /// Whether a chunk without a number is a note of the message that the first one begins.
    fn is_note_in(&self, (first, next): (&Chunk<'_>, &Chunk<'_>)) -> bool {
        let fit = |text| {
            let known = self.prefix.as_ref().and_then(|prefix| prefix.fit(text, None));
            known.or_else(|| recognised::fit_unseen(text, true))
        };
        first.may_have_notes(next)
            && fit(next.text)
                .filter(|fit| matches!(fit.label, Label::Note(_)))
                .zip(fit(first.text))
                .is_some_and(|(note, fit)| is_note_of((first.text, &fit), (next.text, &note)))
    }

    fn goes_on(&self, (first, fit): (&[u8], &Fit), line: &[u8]) -> bool {
        if matches!(line.first(), None | Some(b'\t')) {
            return true;
        }
        match Start::of(line, self.prefix.as_ref()) {
            Start::Message(next) => is_note_of((first, fit), (line, &next)),
            Start::Other => true,
            Start::Object | Start::Row | Start::Chunk(_) | Start::Pooler | Start::Timed => false,
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

/// The time that a line begins with, of PostgreSQL or of syslog, and its length.
pub(super) fn own_time(line: &[u8], read_at_ms: i64) -> Option<(Time<'_>, usize)> {
    if let Some(written) = stamp::parse(line) {
        let length = written.length;
        return Some((Time::Named(written), length));
    }
    let head = head(line, read_at_ms);
    Some((Time::Whole(head.stamp?), head.end))
}

/// The two kinds of stamps.
pub(super) enum Time<'l> {
    Named(stamp::Written<'l>),
    Whole(Stamp),
}

/// The time that a context carries.
pub(super) fn carried(carried: &[u8], read_at_ms: i64) -> Option<Time<'_>> {
    let (_, text) = context::split(carried);
    if let Some((stamp, length)) = stamp::epoch(text)
        && length == text.len()
    {
        return Some(Time::Whole(stamp));
    }
    own_time(text, read_at_ms).map(|(time, _)| time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frames, frame_all};

    const SAMPLES: [&str; 6] = [
        include_str!("samples/interleaved.log"),
        include_str!("samples/heroku.log"),
        include_str!("samples/services.log"),
        include_str!("samples/pgbouncer.log"),
        include_str!("samples/prefix_unlisted.log"),
        include_str!("samples/syslog_unnumbered.log"),
    ];

    fn whole(framer: &PostgresFramer, text: &str) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        frame_all(framer, text.as_bytes(), &mut |frame| {
            let text = String::from_utf8(frame.bytes.to_vec()).expect("the text is UTF-8");
            found.push((text, frame.context.to_vec()));
        });
        found
    }

    #[test]
    fn records_are_the_same_however_the_bytes_arrive() {
        let rows: String = include_str!("samples/csv.log").chars().take(12_000).collect();
        for text in SAMPLES.into_iter().chain([&*rows]) {
            let bytes = text.as_bytes();
            let expected = whole(&PostgresFramer::RECOGNISING, text);
            for step in [1, 7, 64, 1000] {
                let framer = &PostgresFramer::RECOGNISING;
                let (mut frames, mut used, mut found) = (Frames::new(framer), 0, Vec::new());
                for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                    used += frames.feed(&bytes[used..end], end == bytes.len(), &mut |frame| {
                        let text = String::from_utf8_lossy(frame.bytes).into_owned();
                        found.push((text, frame.context.to_vec()));
                    });
                }
                assert_eq!(found, expected, "in steps of {step}");
            }
        }
    }

    #[test]
    fn a_message_without_a_successor_is_open_and_keeps_only_whole_lines() {
        let line = b"2026-11-21 09:00:00 UTC [7] LOG:  statement: SELECT\n\t1\n202";
        let open = Cut::Open { text: 54, end: 55, head: Beginning::Stamp { from: 0, to: 23 } };
        assert_eq!(PostgresFramer::RECOGNISING.cut(line, 0, false), open);
        assert_eq!(PostgresFramer::RECOGNISING.cut(line, 40, false), open);
    }

    #[test]
    fn with_a_prefix_of_its_own_every_record_carries_it() {
        let setting = "%d|%u|%p|%t|";
        let framer = PostgresFramer::with_prefix(setting).expect("its escapes are known");
        let text = "shop|anna|7|2026-11-21 09:00:00 UTC|ERROR:  x\n\
            shop|anna|7|2026-11-21 09:00:00 UTC|STATEMENT:  SELECT 1\n\
            shop|anna|8|2026-11-21 09:00:01 UTC|LOG:  y\n";
        let found = whole(&framer, text);
        assert_eq!(found.len(), 2, "{found:?}");
        let mut context = context::beginning(setting);
        framer.carry(found[0].0.as_bytes(), &mut context);
        assert_eq!(context, b"\x01%d|%u|%p|%t|\x012026-11-21 09:00:00 UTC");
        assert!(PostgresFramer::with_prefix("%y").is_err());
    }
}
