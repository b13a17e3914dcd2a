//! A line with a head begins a record, except in a crash report.

use tahoe_seams::{Beginning, Cut, Framer};

use super::head::Head;
use crate::find::find;
use crate::lines;

/// Bytes at the start of a record in which a crash report says what it is.
const TITLE_BYTES_MAX: usize = 160;
/// Bytes at the end of a crash report in which its last line stands, with the advice that follows.
const END_BYTES_MAX: usize = 2048;

pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        lines::cut(bytes, scanned, ended, &begins, &head)
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        // What follows a crash report is later than its last time, but a head must be first here.
        let line = record.split(|byte| *byte == b'\n').find(|line| has_head(line));
        if let Some(line) = line {
            lines::carry_stamp(line.trim_ascii_end(), context);
        }
    }
}

/// A record without a head may be a crash report, which has one further down.
fn head(record: &[u8]) -> Beginning {
    let line = lines::first(record);
    match has_head(line) {
        true => lines::head(record, Some(line)),
        false => Beginning::Asked { orphan: true },
    }
}

/// Whether a line is one that Redis wrote with a time. The year is only needed for the value.
fn has_head(line: &[u8]) -> bool {
    Head::parse(lines::first(line), 0).is_some()
}

fn begins(before: &[u8], line: &[u8]) -> bool {
    let title = &before[..before.len().min(TITLE_BYTES_MAX)];
    if is_report(title) {
        let tail = &before[before.len().saturating_sub(END_BYTES_MAX)..];
        let ended = find(tail, b" BUG REPORT END").is_some();
        return has_head(line) && (ended || is_start(line));
    }
    has_head(line) || is_logo(line) || line.starts_with(b"*** FATAL CONFIG FILE ERROR")
        // Up to 6.2 the report begins below a head without a message.
        || is_report(line) && !has_no_message(lines::first(before))
}

fn has_no_message(line: &[u8]) -> bool {
    Head::parse(line, 0).is_some_and(|head| line[head.end.min(line.len())..].is_empty())
}

/// The title of a crash report.
pub(super) fn is_report(text: &[u8]) -> bool {
    find(text, b" BUG REPORT START").is_some()
}

/// A server that starts again has ended the report of the one before.
fn is_start(line: &[u8]) -> bool {
    find(line, b"oO0OoO0OoO0Oo").is_some() || find(line, b"Server started, ").is_some()
}

/// The first line of the logo of Redis or Valkey.
fn is_logo(line: &[u8]) -> bool {
    matches!(line.trim_ascii(), b"_._" | b".+^+.")
}
