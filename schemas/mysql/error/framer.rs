//! A line with a time begins a record; others go on with the one before. InnoDB's monitor is one
//! record from the line above its title to the line below its end, whatever times are in it.

use tahoe_seams::{Cut, Framer};

use super::{crash, json, parser, sst};
use crate::datasets::mysql::{lines, stamp};
use crate::datasets::system_syslog::envelope;
use crate::find::find;

/// `=` in the lines around the monitor's title; some versions write more.
const RULE_BYTES_MIN: usize = 20;
/// The monitor's last two lines, and room for what stands before them.
const END_BYTES_MAX: usize = 160;

pub(super) struct ErrorFramer;

impl Framer for ErrorFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let begins: &dyn Fn(&[u8], &[u8]) -> bool = if json::is_object(lines::first(bytes)) {
            &|_, line| !line.is_empty()
        } else if is_rule(lines::first(bytes)) {
            &ends_monitor
        } else {
            &|_, line| begins(line) || is_rule(line)
        };
        lines::cut(bytes, scanned, ended, begins, &|record| lines::head(record, stamp_of(record)))
    }
}

fn begins(line: &[u8]) -> bool {
    stamp::parse(line).is_some()
        || crash::clock(line).is_some()
        || json::is_object(line)
        || envelope::is_stamped(line)
        || sst::begins(line)
}

fn is_rule(line: &[u8]) -> bool {
    line.len() >= RULE_BYTES_MIN && line.iter().all(|byte| *byte == b'=')
}

/// Whether the next record begins after `before`, which is a monitor or merely begins with a rule.
fn ends_monitor(before: &[u8], line: &[u8]) -> bool {
    let Some(title) = monitor_title(before).or_else(|| title_of(before, line)) else {
        return begins(line);
    };
    let tail = &before[before.len().saturating_sub(END_BYTES_MAX)..];
    let ended = find(tail, b"END OF INNODB MONITOR OUTPUT").is_some();
    // One that was cut off ends where the log goes on.
    title.len() < before.len() && (ended && is_rule(lines::last(before)) || parser::has_level(line))
}

/// The line below the first one, if it is whole and is the monitor's title.
fn monitor_title(record: &[u8]) -> Option<&[u8]> {
    let rule = memchr::memchr(b'\n', record)?;
    title_of(&record[..=rule], lines::first(&record[rule + 1..]))
}

fn title_of<'a>(rule: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let is_first = memchr::memchr(b'\n', rule) == Some(rule.len() - 1);
    (is_first && find(line, b"INNODB MONITOR OUTPUT").is_some()).then_some(line)
}

/// The text of the record's own time.
fn stamp_of(record: &[u8]) -> Option<&[u8]> {
    let line = match monitor_title(record) {
        Some(title) if is_rule(lines::first(record)) => title,
        _ => lines::first(record),
    };
    let line = if sst::begins(line) { line.trim_ascii_start() } else { line };
    if let Some((_, length)) = stamp::parse(line) {
        return Some(&line[..length]);
    }
    if let Some(text) = json::time_text(line) {
        return Some(text);
    }
    envelope::stamp_text(line)
}
