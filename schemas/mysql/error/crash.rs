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

/// Sets the time of a record that has only its clock, in UTC: on the day of the record before it,
/// or the one after, unless that is still to come, as it is where the source's zone is not known.
pub(super) fn set_time(clock_s: i64, previous: Option<Stamp>, event: &mut Event<'_>) {
    let Some(before) = previous else { return event.time_assumed(None) };
    let before_s = event.resolve(before).ms().div_euclid(1000);
    let mut local_s = before_s - before_s.rem_euclid(SECONDS_PER_DAY) + clock_s;
    let day_after_s = local_s + SECONDS_PER_DAY;
    if local_s < before_s && day_after_s <= event.read_at_ms().div_euclid(1000) {
        local_s = day_after_s;
    }
    event.transformation_of(Transformation::DateAssumed, "previous_record");
    let offset_s = Some(0);
    event.time(Stamp { local_s, nanos: 0, digits: 0, offset_s, year_assumed: false });
}
