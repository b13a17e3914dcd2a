//! What the server writes about its own death: `10:32:11 UTC - mysqld got signal 11 ;`, without a
//! date up to MySQL 8.0.19, and then pages of text.

use crate::calendar::SECONDS_PER_DAY;
use crate::datasets::mysql::stamp;
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, Transformation};

/// Seconds of the day that such a line begins with.
pub(super) fn clock(line: &[u8]) -> Option<i64> {
    let seconds = stamp::clock(line)?;
    line[8..].starts_with(b" UTC - ").then_some(seconds)
}

/// Whether a message is one about the server's death.
pub(super) fn is_report(message: &str) -> bool {
    let line = message.split('\n').next().unwrap_or_default();
    line.has("got signal ") || line.has("got exception 0x")
}

/// Sets the time of a record that has only its clock: on the day of the record before it, or the
/// one after, if both are in UTC.
pub(super) fn set_time(clock_s: i64, previous: Option<Stamp>, event: &mut Event<'_>) {
    let Some(before) = previous.filter(|stamp| stamp.offset_s == Some(0)) else {
        return event.time_assumed(previous);
    };
    let day = before.local_s - before.local_s.rem_euclid(SECONDS_PER_DAY);
    let midnight = if day + clock_s < before.local_s { SECONDS_PER_DAY } else { 0 };
    event.transformation_of(Transformation::DateAssumed, "previous_record");
    event.time(Stamp { local_s: day + midnight + clock_s, nanos: 0, digits: 0, ..before });
}
