//! Times that are more than one text or number.

use super::stamp;
use crate::object::{entries, scalar};
use crate::scan::{Entries, Entry};
use crate::time::Stamp;
use crate::{Event, fields, zone_is_known};

/// log4j2's `{"epochSecond":1772616425,"nanoOfSecond":123456789}`, Google Cloud's
/// `{"seconds":1772616425,"nanos":123456789}`, or PHP's `{"date":"2026-03-04 09:27:05.123456",
/// "timezone_type":3,"timezone":"Europe/Madrid"}`. Says whether it is one and was set.
pub(super) fn set<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let Some(keys) = entries(value, event).filter(|_| !event.has(fields::TIMESTAMP)) else {
        return false;
    };
    let text = |names: &[&[u8]]| text_of(&keys, names, event);
    if let Some(seconds) = text(&[b"epochSecond", b"seconds"]) {
        return set_seconds(seconds, text(&[b"nanoOfSecond", b"nanos"]), event);
    }
    let (date, zone) = (text(&[b"date"]), text(&[b"timezone"]));
    let zone = zone.filter(|zone| zone_is_known(zone));
    let Some((stamp, zone)) = date.and_then(stamp::parse).zip(zone) else { return false };
    event.time_in(zone, stamp);
    true
}

/// Sets Google Cloud's `timestampSeconds` and `timestampNanos`, and takes them out.
pub(super) fn take_split<'a>(keys: &mut Entries<'a>, event: &mut Event<'a>) {
    const NAMES: [&[u8]; 2] = [b"timestampSeconds", b"timestampNanos"];
    let [seconds, nanos] = NAMES.map(|name| text_of(keys, &[name], event));
    if seconds.is_some_and(|seconds| set_seconds(seconds, nanos, event)) {
        keys.retain(|entry| !NAMES.contains(&entry.key));
    }
}

fn text_of<'a>(keys: &[Entry<'a>], names: &[&[u8]], event: &Event<'a>) -> Option<&'a str> {
    let entry = keys.iter().find(|entry| names.contains(&entry.key))?;
    scalar(entry.value, event)
}

/// Says whether they are numbers that make a time.
fn set_seconds(seconds: &str, nanos: Option<&str>, event: &mut Event<'_>) -> bool {
    let (seconds, nanos) = (seconds.parse(), nanos.unwrap_or("0").parse());
    let (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) = (seconds, nanos) else { return false };
    event.time(Stamp::utc(seconds, nanos, 9));
    true
}
