//! Firewalls that write pairs of keys and values: FortiGate and FortiAnalyzer, Sophos, SonicWall.
//! The time is one of the pairs, or two.

use super::clock;
use super::device::Device;
use super::stamp::stamp;
use crate::find::find;
use crate::time::{self, Stamp};
use crate::zone::one_meaning;

/// What their records begin with.
const BEGINNINGS: [&[u8]; 7] =
    [b"date=", b"device_name=", b"device=\"", b"id=", b"logver=", b"time=", b"timestamp="];
/// Where the time is, in this order; a date has its clock behind it.
const TIMES: [&[u8]; 3] = [b"date=", b"timestamp=", b"time="];

/// Reads the time, the name and the level; `None` if it is something else.
pub(super) fn pairs(bytes: &[u8], read_at_ms: i64) -> Option<Device<'_>> {
    if !BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        return None;
    }
    let (mut found, stamp_at, stamp_end) =
        TIMES.iter().find_map(|key| timed(bytes, key, read_at_ms))?;
    found.offset_s = found.offset_s.or_else(|| {
        let zone = text(bytes, b"tz=").or_else(|| text(bytes, b"timezone="))?;
        let offset = time::parse_offset(zone).map(|(offset_s, _)| offset_s);
        offset.or_else(|| one_meaning(zone))
    });
    let name = text(bytes, b"devname=").or_else(|| text(bytes, b"device_name="));
    let name = name.filter(|name| !name.is_empty());
    let level = text(bytes, b"level=");
    Some(Device { name, stamp: Some(found), stamp_at, stamp_end, level, ..Device::default() })
}

/// The time that is the value of a key, and where its text begins and ends.
fn timed(bytes: &[u8], key: &[u8], read_at_ms: i64) -> Option<(Stamp, usize, usize)> {
    let at = value(bytes, key)?;
    let at = at + usize::from(bytes.get(at) == Some(&b'"'));
    let rest = &bytes[at..];
    let (stamp, used) = match stamp(rest, read_at_ms) {
        Some(found) if !found.0.year_assumed => found,
        _ => clock::seconds(rest)?,
    };
    Some((stamp, at, at + used))
}

/// Where the value of a key begins.
fn value(bytes: &[u8], key: &[u8]) -> Option<usize> {
    if bytes.starts_with(key) {
        return Some(key.len());
    }
    let mut from = 0;
    loop {
        let at = from + find(&bytes[from..], key)?;
        from = at + key.len();
        if bytes[at - 1] == b' ' {
            return Some(from);
        }
    }
}

/// The value of a key without the quotes around it.
fn text<'a>(bytes: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = &bytes[value(bytes, key)?..];
    let (rest, end) = match rest.strip_prefix(b"\"") {
        Some(inside) => (inside, b'"'),
        None => (rest, b' '),
    };
    Some(rest[..memchr::memchr(end, rest)?].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_pairs_is_found_wherever_it_stands() {
        for (text, stamp, offset_s, name) in [
            (
                "logver=700 timestamp=1795251613 devname=\"f 1\" date=2026-11-21 time=09:00:14 \
                 tz=\"+0100\" x=1",
                "2026-11-21 time=09:00:14",
                Some(3600),
                "f 1",
            ),
            (
                "device=\"SFW\" date=2026-11-21 time=09:00:14 timezone=\"CET\" device_name=\"s\"",
                "2026-11-21 time=09:00:14",
                Some(3600),
                "s",
            ),
            (
                "device_name=\"s\" timestamp=\"2026-11-21T09:00:13+0100\" x=1",
                "2026-11-21T09:00:13+0100",
                Some(3600),
                "s",
            ),
            (
                "id=firewall sn=1 time=\"2026-11-21 09:00:14 UTC\" fw=192.0.2.1",
                "2026-11-21 09:00:14 UTC",
                Some(0),
                "",
            ),
            ("timestamp=1795251613 devname=f x=1", "1795251613", Some(0), "f"),
            ("id=firewall update=2 time=\"2026-11-21 09:00:14\"", "2026-11-21 09:00:14", None, ""),
        ] {
            let found = pairs(text.as_bytes(), 0).expect(text);
            assert_eq!(&text[found.stamp_at..found.stamp_end], stamp, "{text}");
            assert_eq!(found.stamp.and_then(|stamp| stamp.offset_s), offset_s, "{text}");
            assert_eq!(found.name.unwrap_or_default(), name.as_bytes(), "{text}");
        }
        for none in
            ["id=7 x", "date=", "time=soon", "timestamp=\"", "id=1 xtime=2026-11-21 09:00:14"]
        {
            assert!(pairs(none.as_bytes(), 0).is_none(), "{none}");
        }
    }
}
