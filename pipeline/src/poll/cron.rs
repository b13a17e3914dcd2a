//! The times of a cron line in a time zone: minute, hour, day of the month, month, day of the week,
//! as crontab(5) has them; a day that either of the two day fields names, where both name some.

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::clock;

/// A cron line in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    line: croner::Cron,
    zone: TimeZone,
}

impl Cron {
    /// Reads a line; an empty zone is UTC.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(line: &str, zone: &str) -> Result<Self, String> {
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(line).map_err(|error| format!("{line:?}: {error}"))?;
        let zone = zone_named(zone).ok_or_else(|| format!("no time zone {zone}"))?;
        Ok(Self { line: parsed, zone })
    }

    /// The first time after that one; none, if the line names no day that there is.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        self.line.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
    }
}

/// A zone by its name, or by its offset from UTC; empty is UTC.
fn zone_named(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return Some(TimeZone::UTC);
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let (offset_s, length) = tahoe_schemas::time::parse_offset(name.as_bytes())?;
    let offset = Offset::from_seconds(offset_s).ok()?;
    (length == name.len()).then(|| TimeZone::fixed(offset))
}

/// How far a zone is ahead of UTC now, as databases take it: `+01:00`. An empty zone is UTC.
pub fn offset_now(zone: &str) -> String {
    let zone = zone_named(zone).unwrap_or(TimeZone::UTC);
    let minutes = clock::timestamp().to_zoned(zone).offset().seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, zone: &str, after: &str) -> String {
        let after = after.parse().expect("a time");
        let next = Cron::parse(line, zone).expect("a cron line").next(after);
        next.map_or("never".to_owned(), |time| time.to_string())
    }

    #[test]
    fn the_next_time_is_found_in_hours_days_and_years() {
        for (line, after, expected) in [
            ("*/15 * * * *", "2026-11-21T22:50:00Z", "2026-11-21T23:00:00Z"),
            ("5 3 * * *", "2026-11-21T03:05:00Z", "2026-11-22T03:05:00Z"),
            ("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 12 * * mon-fri", "2026-11-20T12:00:00Z", "2026-11-23T12:00:00Z"),
            ("0 12 1 * 7", "2026-11-21T13:00:00Z", "2026-11-22T12:00:00Z"),
            ("30 8-10/2,18 * jan *", "2026-11-21T00:00:00Z", "2027-01-01T08:30:00Z"),
            ("0 0 30 2 *", "2026-11-21T00:00:00Z", "never"),
        ] {
            assert_eq!(next(line, "", after), expected, "{line}");
        }
    }

    #[test]
    fn a_line_is_of_its_zone_and_a_time_that_the_clock_leaves_out_comes_when_it_goes_on() {
        let madrid = "Europe/Madrid";
        let after = "2026-11-21T00:00:00Z";
        assert_eq!(next("0 3 * * *", madrid, after), "2026-11-21T02:00:00Z");
        assert_eq!(next("0 3 * * *", "+05:30", after), "2026-11-21T21:30:00Z");
        assert_eq!(next("30 2 * * *", madrid, "2026-03-29T00:00:00Z"), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_wrong_line_is_refused_and_named() {
        for line in
            ["60 * * * *", "* * 0 * *", "* * * foo *", "5-1 * * * *", "*/0 * * * *", "* * *"]
        {
            let error = Cron::parse(line, "").expect_err(line);
            assert!(error.contains(line), "{error}");
        }
        assert!(Cron::parse("* * * * *", "Mars/Base").is_err());
        assert_eq!([offset_now(""), offset_now("-03:30")], ["+00:00", "-03:30"]);
    }
}
