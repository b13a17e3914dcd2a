//! Which kind of entry a line is.

use std::net::IpAddr;

use tahoe_seams::{Record, Rejection};

use super::columns::Columns;
use super::entry;
use crate::time::{self, Stamp};
use crate::{Event, Parser, fields};

/// Bytes in which the first columns with the time are.
const HEAD_BYTES_MAX: usize = 128;
/// The column that holds the time is one of the first three.
const STAMP_COLUMN_MAX: usize = 3;

pub(super) struct Entry;

impl Parser for Entry {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let line = event.text(record.bytes).trim();
        event.set(fields::cloud::PROVIDER, "aws");
        let mut columns = Columns::new(line);
        let whole = parse(line, &mut columns, event).is_some() && columns.all_read();
        if !whole {
            event.set(fields::MESSAGE, line);
        }
        if !event.has(fields::TIMESTAMP) {
            match stamp_text(line.as_bytes()).and_then(stamp) {
                Some(stamp) => set_time(stamp, event),
                None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
            }
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        stamp(context)
    }
}

/// Sets what the columns say; `None` if the line ends before those that every entry has.
fn parse<'a>(line: &'a str, columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    let mut ahead = Columns::new(line);
    let (first, second, third) = (ahead.next()?, ahead.next()?, ahead.next()?);
    if let Some(time) = stamp(first.as_bytes()) {
        columns.next();
        set_time(time, event);
        if second.parse::<IpAddr>().is_ok() {
            return entry::connection(columns, event);
        }
        return entry::classic(columns, event);
    }
    if let Some(time) = stamp(second.as_bytes()) {
        event.set(fields::aws::elb::TYPE, first);
        columns.nth(1);
        set_time(time, event);
        if entry::is_health(line) {
            return entry::health(columns, event);
        }
        return entry::application(time, columns, event);
    }
    let time = stamp(third.as_bytes())?;
    event.set(fields::aws::elb::TYPE, first);
    columns.nth(2);
    set_time(time, event);
    entry::network(columns, event)
}

/// `@timestamp` and `event.end`. Network load balancers leave the zone out, which is UTC.
fn set_time(stamp: Stamp, event: &mut Event<'_>) {
    event.use_time_zone("UTC");
    event.time(stamp);
    if let Some(time) = event.get(fields::TIMESTAMP) {
        event.set(fields::event::END, time);
    }
}

/// A column that is a time and nothing else.
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    time::parse_iso(text).filter(|(_, used)| *used == text.len()).map(|(stamp, _)| stamp)
}

/// The text of an entry's time.
pub(super) fn stamp_text(line: &[u8]) -> Option<&[u8]> {
    let head = &line[..line.len().min(HEAD_BYTES_MAX)];
    head.split(|byte| *byte == b' ').take(STAMP_COLUMN_MAX).find(|word| stamp(word).is_some())
}
