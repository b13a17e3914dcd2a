//! The times of a cron line: minute, hour, day of the month, month, day of the week, as crontab(5)
//! has them: `*`, lists, ranges, steps, names of months and days; a day that either of the two day
//! fields names, where both name some.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

/// A line that names no day in so many has none: the 30th of February.
const DAYS_MAX: i32 = 366 * 8;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A cron line in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    /// Bits by number.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields name some.
    either_day: bool,
    zone: TimeZone,
}

impl Cron {
    /// Reads a line; an empty zone is UTC.
    ///
    /// # Errors
    /// Says which field is wrong.
    pub fn parse(line: &str, zone: &str) -> Result<Self, String> {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("{line:?} has {} fields, a cron line five", fields.len()));
        };
        let weekday = field(weekdays, (0, 7), &WEEKDAYS, 0)?;
        Ok(Self {
            minutes: field(minutes, (0, 59), &[], 0)?,
            hours: field(hours, (0, 23), &[], 0)?,
            days: field(days, (1, 31), &[], 0)?,
            months: field(months, (1, 12), &MONTHS, 1)?,
            // Sunday has two numbers.
            weekdays: (weekday | weekday >> 7) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
            zone: zone_named(zone).ok_or_else(|| format!("no time zone {zone}"))?,
        })
    }

    /// The first time after that one; none, if there is none in years.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let first = after.to_zoned(self.zone.clone()).date();
        let days = (0..DAYS_MAX).map_while(|day| first.checked_add(day.days()).ok());
        days.filter(|day| self.has_day(*day)).find_map(|day| self.next_on(day, after))
    }

    fn has_day(&self, day: Date) -> bool {
        let month = has(self.months, day.month());
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        month && if self.either_day { of_month || of_week } else { of_month && of_week }
    }

    fn next_on(&self, day: Date, after: Timestamp) -> Option<Timestamp> {
        for hour in (0..24).filter(|hour| has(self.hours, *hour)) {
            for minute in (0..60).filter(|minute| has(self.minutes, *minute)) {
                // What a clock that is put forward leaves out comes after it.
                let time = day.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?;
                if time.timestamp() > after {
                    return Some(time.timestamp());
                }
            }
        }
        None
    }
}

fn has(bits: u64, number: i8) -> bool {
    bits & (1 << number) != 0
}

/// `*`, or parts with commas between, each `a`, `a-b`, with or without `/step`.
fn field(text: &str, range: (u64, u64), names: &[&str], base: u64) -> Result<u64, String> {
    let wrong = || format!("{text:?} is none of {}-{}", range.0, range.1);
    let number = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let named = names.iter().position(|name| *name == lower);
        let number = named.map_or_else(|| word.parse().ok(), |at| Some(at as u64 + base));
        number.filter(|number| (range.0..=range.1).contains(number)).ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, step.parse().ok().filter(|step| *step > 0)),
            None => (part, Some(1)),
        };
        let step: usize = step.ok_or_else(wrong)?;
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => range,
            Some((first, last)) => (number(first)?, number(last)?),
            None if part.contains('/') => (number(span)?, range.1),
            None => (number(span)?, number(span)?),
        };
        if first > last {
            return Err(wrong());
        }
        bits |= (first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number);
    }
    Ok(bits)
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
    let minutes = Timestamp::now().to_zoned(zone).offset().seconds() / 60;
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
    fn a_line_is_of_its_zone_and_a_time_that_the_clock_leaves_out_comes_after_it() {
        let madrid = "Europe/Madrid";
        let after = "2026-11-21T00:00:00Z";
        assert_eq!(next("0 3 * * *", madrid, after), "2026-11-21T02:00:00Z");
        assert_eq!(next("0 3 * * *", "+05:30", after), "2026-11-21T21:30:00Z");
        assert_eq!(next("30 2 * * *", madrid, "2026-03-29T00:00:00Z"), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (line, named) in [
            ("60 * * * *", "60"),
            ("* * 0 * *", "0"),
            ("* * * foo *", "foo"),
            ("5-1 * * * *", "5-1"),
            ("*/0 * * * *", "*/0"),
            ("* * *", "3 fields"),
        ] {
            let error = Cron::parse(line, "").expect_err(line);
            assert!(error.contains(named), "{error}");
        }
        assert!(Cron::parse("* * * * *", "Mars/Base").is_err());
        assert_eq!([offset_now(""), offset_now("-03:30")], ["+00:00", "-03:30"]);
    }
}
