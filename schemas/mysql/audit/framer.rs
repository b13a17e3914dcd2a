//! Objects of JSON and elements of XML end where they close, whatever lines they are on; what
//! stands between them (`[`, `,`, `]`, `<AUDIT>`) is no record. The other forms are lines.

use memchr::memchr2;
use tahoe_seams::{Beginning, Cut, Framer};

use super::{filter, mariadb, percona};
use crate::PART_BYTES_MAX;
use crate::datasets::mysql::{lines, stamp, syslog};
use crate::datasets::system_syslog::envelope;
use crate::find::find;
use crate::scan::{Flaw, Scan};
use crate::time::Stamp;

/// Bytes of a record in which a key that names the time is looked for.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Bytes between that key and the time's first digit.
const KEY_BYTES_MAX: usize = 16;

const OPENING: &[u8] = b"<AUDIT_RECORD";
const CLOSING: &[u8] = b"</AUDIT_RECORD>";

pub(super) struct AuditFramer;

impl Framer for AuditFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let between = between_records(bytes, ended);
        if between > 0 {
            return Cut::Blank { end: between };
        }
        let found = match bytes {
            [b'{', ..] => object(bytes),
            [b'<', ..] if bytes.starts_with(OPENING) => element(bytes, scanned),
            [b'"', ..] => percona::row_length(bytes).map_or(Length::Unknown, Length::Known),
            [b'<', ..] if OPENING.starts_with(bytes) => Length::Unknown,
            _ => Length::None,
        };
        match found {
            Length::Known(text) => {
                Cut::Record { text, end: text, head: Beginning::Asked { orphan: false } }
            }
            Length::Unknown if !ended && bytes.len() <= PART_BYTES_MAX => Cut::Partial,
            Length::Unknown | Length::None => {
                let in_syslog = is_in_syslog(lines::first(bytes));
                let begins = |_: &[u8], line: &[u8]| match line.first() {
                    Some(first) if in_syslog => !first.is_ascii_whitespace(),
                    _ => begins(line),
                };
                // While it might have been of a form with an end, nobody looked at its lines.
                let seen = if matches!(bytes, [b'{' | b'<' | b'"', ..]) { 0 } else { scanned };
                lines::cut(bytes, seen, ended, &begins, &head_of)
            }
        }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        let Some(stamp) = stamp_of(record) else { return };
        lines::carry_stamp(stamp, context);
        if is_in_utc(record, stamp) {
            context.push(b'Z');
        }
    }
}

fn head_of(record: &[u8]) -> Beginning {
    match stamp_of(record) {
        Some(stamp) if is_in_utc(record, stamp) => Beginning::Asked { orphan: false },
        stamp => lines::head(record, stamp),
    }
}

enum Length {
    Known(usize),
    /// The end is not there yet.
    Unknown,
    /// It is not of a form that has one.
    None,
}

/// Bytes that belong to no record: white space, the marks of an array, the outer element.
fn between_records(bytes: &[u8], ended: bool) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        at += match rest {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
            [b'[' | b']' | b',', ..] => 1,
            _ if rest.starts_with(b"<?xml") || is_outer(rest) => match memchr2(b'>', b'\n', rest) {
                Some(end) if rest[end] == b'>' => end + 1,
                None if ended => rest.len(),
                _ => return at,
            },
            _ => return at,
        };
    }
}

fn is_outer(rest: &[u8]) -> bool {
    rest.starts_with(b"<AUDIT>") || rest.starts_with(b"</AUDIT>")
}

fn object(bytes: &[u8]) -> Length {
    match Scan::without_entries(bytes).run() {
        Ok(length) => Length::Known(length),
        Err(Flaw::Unfinished) => Length::Unknown,
        Err(Flaw::At(_)) => Length::None,
    }
}

/// An element with a closing tag, or, as the old form is, with attributes alone: `/>` is escaped in
/// both, and so is the `<` of the next element, before which one ends that a crash cut off.
fn element(bytes: &[u8], scanned: usize) -> Length {
    let closing = match bytes.get(OPENING.len()) {
        None => return Length::Unknown,
        Some(b'>') => CLOSING,
        Some(byte) if byte.is_ascii_whitespace() => b"/>",
        Some(_) => return Length::None,
    };
    let from = scanned.saturating_sub(CLOSING.len()).max(OPENING.len());
    let rest = &bytes[from..];
    let end = find(rest, closing).map(|at| at + closing.len());
    let next = find(&rest[..end.unwrap_or(rest.len())], OPENING);
    match next.or(end) {
        Some(length) => Length::Known(bytes[..from + length].trim_ascii_end().len()),
        None => Length::Unknown,
    }
}

fn begins(line: &[u8]) -> bool {
    match line {
        [b'{' | b'[' | b']', ..] => true,
        _ if line.starts_with(OPENING) || is_outer(line) || line.starts_with(b"<?xml") => true,
        [b'"', ..] => percona::begins_row(line),
        [b'0'..=b'9', ..] if mariadb::stamp(line).is_some() => true,
        _ => is_in_syslog(line),
    }
}

/// Whether a line begins as syslog's do. The plugins' identifiers are settings, so that of RFC
/// 3339's stamps, which are also those of other logs, any program counts that has a record.
pub(super) fn is_in_syslog(line: &[u8]) -> bool {
    if !line.first().is_some_and(u8::is_ascii_digit) {
        return syslog::is_stamped(line);
    }
    let of_plugin = |(program, message): (&[u8], &[u8])| {
        syslog::is_server(program)
            || message.starts_with(b"{\"")
            || message.starts_with(OPENING)
            || percona::begins_row(message)
            || mariadb::begins_row(message)
    };
    syslog::program_and_message(line).is_some_and(of_plugin)
}

/// The time that a record has somewhere, though it is of no form.
pub(super) fn time_of(record: &[u8]) -> Option<Stamp> {
    let text = stamp_of(record)?;
    let (mut stamp, _) = mariadb::stamp(text).or_else(|| stamp::parse(text))?;
    if is_in_utc(record, text) {
        stamp.offset_s = Some(0);
    }
    Some(stamp)
}

/// Times in JSON are in UTC and do not say so, but for those of Percona's filter.
fn is_in_utc(record: &[u8], stamp: &[u8]) -> bool {
    let names_no_zone = stamp.get(4) == Some(&b'-') && stamp.last().is_some_and(u8::is_ascii_digit);
    record.starts_with(b"{") && names_no_zone && !filter::wrote(record)
}

/// The text of the record's own time.
fn stamp_of(record: &[u8]) -> Option<&[u8]> {
    if let Some((_, length)) = mariadb::stamp(record) {
        return Some(&record[..length]);
    }
    if is_in_syslog(lines::first(record)) {
        return envelope::stamp_text(lines::first(record));
    }
    let head = &record[..record.len().min(HEAD_BYTES_MAX)];
    let key = find(head, b"timestamp").or_else(|| find(head, b"TIMESTAMP"))?;
    let rest = &head[key..];
    let head = &rest[..rest.len().min(KEY_BYTES_MAX)];
    let from = head.iter().position(u8::is_ascii_digit)?;
    let (_, length) = stamp::parse(&rest[from..])?;
    let (text, after) = rest[from..].split_at(length);
    Some(filter::microseconds(after).filter(|_| record.starts_with(b"{")).unwrap_or(text))
}
