//! The time in a header. Laravel's is of ISO 8601; a `dateFormat` may be any of PHP's, of which
//! those count here that have year, month and day in figures.

use super::console;
use crate::time::{self, Stamp};
use crate::{Event, Transformation, zone_is_known};

/// How far a clock may be ahead, with its zone.
const AHEAD_MAX_S: i64 = 86_400;

/// Sets the time that a header says. Says whether it is one.
pub(super) fn set<'a>(written: &'a str, event: &mut Event<'a>) -> bool {
    let nearest = |event: &mut Event<'a>| {
        let nearest = nearest(written, event)?;
        event.transformation_of(Transformation::DateCorrected, &written[..10]);
        Some(nearest)
    };
    let other = |event: &mut Event<'a>| {
        let Other { stamp, zone, is_exchangeable } = other(written, event.read_at_ms())?;
        if is_exchangeable {
            event.transformation_of(Transformation::DateAssumed, "nearest");
        }
        Some((stamp, zone))
    };
    let found = iso(written)
        .or_else(|| nearest(event))
        .or_else(|| other(event))
        .or_else(|| console::php_stamp(written.as_bytes()));
    let Some((stamp, zone)) = found else { return false };
    if let Some(zone) = zone {
        event.use_time_zone(zone);
    }
    event.time(stamp);
    true
}

/// The same of a text that was carried, or of PHP's.
pub(super) fn carried(text: &[u8], read_at_ms: i64) -> Option<(Stamp, Option<&str>)> {
    let written = std::str::from_utf8(text).ok()?;
    let other = || other(written, read_at_ms).map(|other| (other.stamp, other.zone));
    iso(written).or_else(|| console::php_stamp(text)).or_else(other)
}

/// A stamp, and the zone that it names if that is a word.
pub(super) fn iso(text: &str) -> Option<(Stamp, Option<&str>)> {
    let (stamp, used) = time::parse_iso(text.as_bytes())?;
    let zone = text.get(used..)?.trim_start();
    if zone.is_empty() {
        return Some((stamp, None));
    }
    zone_is_known(zone).then_some((stamp, Some(zone)))
}

/// As [`iso`], for a day that its month does not have (`2015-01-00`, `2023-02-30`): the nearest one
/// that it has.
fn nearest<'a>(text: &'a str, event: &Event<'a>) -> Option<(Stamp, Option<&'a str>)> {
    let days: &[&str] = match text.get(8..10)? {
        "00" => &["01"],
        "29" | "30" | "31" => &["30", "29", "28"],
        _ => return None,
    };
    let (before, after) = (&text[..8], &text[10..]);
    days.iter().find_map(|day| iso(event.format(format_args!("{before}{day}{after}"))))
}

/// A time by another `dateFormat`.
pub(super) struct Other<'a> {
    pub stamp: Stamp,
    pub zone: Option<&'a str>,
    /// Day and month could be exchanged; it is the time that is nearest before the reading.
    pub is_exchangeable: bool,
}

/// `2026-10-25`, `25.10.2026 14:49`, `25/10/2026 14:49:33`; `10/25/2026` can be no other day.
pub(super) fn other(text: &str, read_at_ms: i64) -> Option<Other<'_>> {
    let date = text.as_bytes().first_chunk::<10>()?;
    let shape = date.map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    let parts = |year, month, day| of_parts([year, month, day].map(|(a, b)| &text[a..b]), text);
    let one = |found: (Stamp, Option<_>)| {
        let (stamp, zone) = found;
        Other { stamp, zone, is_exchangeable: false }
    };
    match &shape {
        b"0000-00-00" | b"0000/00/00" | b"0000.00.00" => parts((0, 4), (5, 7), (8, 10)).map(one),
        b"00-00-0000" | b"00.00.0000" => parts((6, 10), (3, 5), (0, 2)).map(one),
        b"00/00/0000" => {
            let day_first = parts((6, 10), (3, 5), (0, 2));
            let month_first = parts((6, 10), (0, 2), (3, 5));
            let (Some(a), Some(b)) = (day_first, month_first) else {
                return day_first.or(month_first).map(one);
            };
            let (early, late) = if a.0.local_s < b.0.local_s { (a, b) } else { (b, a) };
            let is_past = late.0.local_s <= read_at_ms.div_euclid(1000) + AHEAD_MAX_S;
            let (stamp, zone) = if is_past { late } else { early };
            Some(Other { stamp, zone, is_exchangeable: a.0 != b.0 })
        }
        _ => None,
    }
}

/// The stamp of a date's parts and of the clock behind it in `text`; without one, the day's begin.
fn of_parts<'t>(date: [&str; 3], text: &'t str) -> Option<(Stamp, Option<&'t str>)> {
    let clock = match text.get(10..)? {
        "" => "00:00",
        rest => rest.strip_prefix([' ', 'T'])?,
    };
    let minutes = clock.get(..5)?;
    let rest = &clock[5..];
    let seconds = if rest.starts_with(':') { "" } else { ":00" };
    let written = format!("{} {minutes}{seconds}{rest}", date.join("-"));
    let (stamp, zone) = iso(&written)?;
    Some((stamp, zone.and_then(|zone| text.get(text.len() - zone.len()..))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z
    const READ_AT_MS: i64 = 1_795_262_400_000;

    fn read(text: &str) -> Option<(String, Option<&str>, bool)> {
        let Other { stamp, zone, is_exchangeable } = other(text, READ_AT_MS)?;
        let mut out = Vec::new();
        stamp.at_offset(stamp.offset_s.unwrap_or(0)).write(&mut out);
        let text = String::from_utf8(out).expect("it is ASCII");
        Some((text, zone, is_exchangeable))
    }

    #[test]
    fn a_date_has_its_parts_in_any_order() {
        for (text, expected, zone) in [
            ("2026-10-25", "2026-10-25T00:00:00.000Z", None),
            ("2026/10/25 14:49", "2026-10-25T14:49:00.000Z", None),
            ("25.10.2026 14:49:33.5", "2026-10-25T14:49:33.500Z", None),
            ("25-10-2026T14:49:33+02:00", "2026-10-25T12:49:33.000Z", None),
            ("25/10/2026 14:49 Europe/Madrid", "2026-10-25T14:49:00.000Z", Some("Europe/Madrid")),
            ("10/25/2026 14:49:33 UTC", "2026-10-25T14:49:33.000Z", None),
            ("11/11/2026", "2026-11-11T00:00:00.000Z", None),
        ] {
            assert_eq!(read(text), Some((expected.to_owned(), zone, false)), "{text}");
        }
        for none in ["2026-13-25", "32/13/2026", "25/10/2026 x", "25/10/2026x", "25/10-2026", "é"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn a_day_that_could_be_a_month_is_the_nearest_before_the_reading() {
        for (text, expected) in [
            ("04/03/2026", "2026-04-03T00:00:00.000Z"),
            ("03/04/2026", "2026-04-03T00:00:00.000Z"),
            ("10/12/2026", "2026-10-12T00:00:00.000Z"),
            ("12/10/2026", "2026-10-12T00:00:00.000Z"),
        ] {
            assert_eq!(read(text), Some((expected.to_owned(), None, true)), "{text}");
        }
    }
}
