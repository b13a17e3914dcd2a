//! A date in a query is as long as it is written: `2026-11-21` is a day, `2026-11-21T12` an hour.

use std::ops::Bound as Ends;

use jiff::{SignedDuration, Timestamp};

use super::tree::Bound;
use crate::document::parse_time;

/// What a query may give as a date.
pub(super) const EXPECTED: &str =
    "a date is expected: 2026-11-21, 2026-11-21T12:41:19Z, now, now-15m (s, m, h, d, w)";

/// Ends of a time range in milliseconds since the epoch.
pub(super) type Range = (Ends<i64>, Ends<i64>);

/// All times that are `text`.
pub(super) fn equal(text: &str, now_ms: i64) -> Option<Range> {
    let (from, to) = span(text, now_ms)?;
    Some((Ends::Included(from), Ends::Excluded(to)))
}

/// All times between two dates, either of which may be open.
pub(super) fn between(lower: &Bound, upper: &Bound, now_ms: i64) -> Option<Range> {
    let lower = match lower {
        Bound::Open => Ends::Unbounded,
        Bound::Including(text) => Ends::Included(span(text, now_ms)?.0),
        Bound::Excluding(text) => Ends::Included(span(text, now_ms)?.1),
    };
    let upper = match upper {
        Bound::Open => Ends::Unbounded,
        Bound::Including(text) => Ends::Excluded(span(text, now_ms)?.1),
        Bound::Excluding(text) => Ends::Excluded(span(text, now_ms)?.0),
    };
    Some((lower, upper))
}

/// First millisecond of a date, and first one after it.
fn span(text: &str, now_ms: i64) -> Option<(i64, i64)> {
    if let Some(offset) = text.strip_prefix("now") {
        let at = now_ms.checked_add(offset_ms(offset)?)?;
        return Some((at, at.checked_add(1)?));
    }
    // Ten digits and more are milliseconds since the epoch, as Elasticsearch takes them.
    if text.len() >= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let at: i64 = text.parse().ok()?;
        parse_time(&Timestamp::from_millisecond(at).ok()?.to_string())?;
        return Some((at, at + 1));
    }
    let written = if text.len() == 13 { format!("{text}:00") } else { text.to_owned() };
    let from = parse_time(&written)?;
    let date = jiff::tz::TimeZone::UTC.to_datetime(from).date();
    let utc = |date: jiff::civil::Date| {
        date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let to = match text.len() {
        4 => utc(date.last_of_year().tomorrow().ok()?)?,
        7 => utc(date.last_of_month().tomorrow().ok()?)?,
        10 => from.checked_add(SignedDuration::from_hours(24)).ok()?,
        13 => from.checked_add(SignedDuration::from_hours(1)).ok()?,
        16 => from.checked_add(SignedDuration::from_mins(1)).ok()?,
        19 | 20 => from.checked_add(SignedDuration::from_secs(1)).ok()?,
        _ => from.checked_add(SignedDuration::from_millis(1)).ok()?,
    };
    Some((from.as_millisecond(), to.as_millisecond()))
}

fn offset_ms(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '-' => -1,
        '+' => 1,
        _ => return None,
    };
    let unit_ms = match text.chars().last()? {
        's' => 1000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 604_800_000,
        _ => return None,
    };
    text[1..text.len() - 1].parse::<u32>().ok().map(|n| sign * i64::from(n) * unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_as_long_as_it_is_written() {
        let long = |text| span(text, 1000).map(|(from, to)| to - from);
        assert_eq!(long("2026"), Some(365 * 86_400_000));
        assert_eq!(long("2026-02"), Some(28 * 86_400_000));
        assert_eq!(long("2026-11-21"), Some(86_400_000));
        assert_eq!(long("2026-11-21T12"), Some(3_600_000));
        assert_eq!(long("2026-11-21T12:41"), Some(60_000));
        assert_eq!(long("2026-11-21T12:41:19Z"), Some(1000));
        assert_eq!(long("2026-11-21T12:41:19.123Z"), Some(1));
        assert_eq!(span("now-1s", 5000), Some((4000, 4001)));
        assert_eq!(span("1700000000000", 0), Some((1_700_000_000_000, 1_700_000_000_001)));
        for wrong in ["soon", "now-", "now-1y", "2026-13-01", "10.0.0.1", "99999999999999999999"] {
            assert_eq!(span(wrong, 0), None, "{wrong}");
        }
    }
}
