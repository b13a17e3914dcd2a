//! Local time to offset. The answer holds until the zone's next transition, so that a log in order
//! asks the zone database about twice a year.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use tahoe_seams::is_same;

use crate::calendar::{SECONDS_PER_DAY, civil_from_days};

/// `name` is an IANA zone, an offset (`+02:00`) or empty, which is UTC.
pub fn zone_is_known(name: &str) -> bool {
    Zone::named(name).is_some()
}

enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(TimeZone),
}

impl Zone {
    fn named(name: &str) -> Option<Self> {
        if matches!(name, "" | "UTC" | "Z" | "GMT") {
            return Some(Self::Fixed(0));
        }
        if let Some((offset, used)) = crate::time::parse_offset(name.as_bytes())
            && used == name.len()
        {
            return Some(Self::Fixed(offset));
        }
        // Not `TimeZone::get`, which would read the system's files.
        TimeZoneDatabase::bundled().get(name).ok().map(Self::Named)
    }
}

/// The zone asked for last and where its current offset holds.
pub(crate) struct Zones {
    name: String,
    zone: Zone,
    from: i64,
    until: i64,
    offset: i32,
}

impl Default for Zones {
    fn default() -> Self {
        let zone = Zone::Fixed(0);
        Self { name: String::new(), zone, from: i64::MIN, until: i64::MAX, offset: 0 }
    }
}

impl Zones {
    /// Seconds east of Greenwich in zone `name` at a local time, given as seconds since the epoch
    /// as if it were UTC. A local time that occurs twice is its first occurrence; one that does
    /// not exist is shifted forward by the gap. An unknown zone counts as UTC.
    pub fn offset(&mut self, name: &str, local_s: i64) -> i32 {
        if !is_same(&self.name, name) {
            self.name.clear();
            self.name.push_str(name);
            self.zone = Zone::named(name).unwrap_or(Zone::Fixed(0));
            (self.from, self.until) = (0, 0);
        }
        if (self.from..self.until).contains(&local_s) {
            return self.offset;
        }
        match &self.zone {
            Zone::Fixed(offset) => {
                (self.from, self.until, self.offset) = (i64::MIN, i64::MAX, *offset);
                *offset
            }
            Zone::Named(zone) => {
                let (offset, from, until) = look_up(zone, local_s).unwrap_or((0, 0, 0));
                (self.offset, self.from, self.until) = (offset, from, until);
                offset
            }
        }
    }
}

/// The offset and the local times around in which it holds and is unambiguous.
fn look_up(zone: &TimeZone, local_s: i64) -> Option<(i32, i64, i64)> {
    let civil = civil(local_s)?;
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
            return Some((before.seconds(), 0, 0));
        }
    };
    let seconds = offset.seconds();
    let at = Timestamp::from_second(local_s - i64::from(seconds)).ok()?;
    // `preceding` is strict, and the transition may be this very second.
    let after = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
    let from = match zone.preceding(after).next() {
        Some(began) => {
            let before = Timestamp::from_second(began.timestamp().as_second() - 1).ok()?;
            let before = zone.to_offset(before).seconds();
            began.timestamp().as_second() + i64::from(before.max(seconds))
        }
        None => i64::MIN,
    };
    let until = match zone.following(at).next() {
        Some(ends) => {
            ends.timestamp().as_second() + i64::from(ends.offset().seconds().min(seconds))
        }
        None => i64::MAX,
    };
    Some((seconds, from, until))
}

fn civil(local_s: i64) -> Option<DateTime> {
    let (year, month, day) = civil_from_days(local_s.div_euclid(SECONDS_PER_DAY));
    let second = local_s.rem_euclid(SECONDS_PER_DAY);
    let small = |n: i64| i8::try_from(n).ok();
    DateTime::new(
        i16::try_from(year).ok()?,
        small(i64::from(month))?,
        small(i64::from(day))?,
        small(second / 3600)?,
        small(second / 60 % 60)?,
        small(second % 60)?,
        0,
    )
    .ok()
}

/// What an abbreviation of a zone means, if that is one thing alone: seconds east of Greenwich.
pub(crate) fn one_meaning(zone: &[u8]) -> Option<i32> {
    abbreviation(zone).filter(|(_, several)| !several).map(|(offset_s, _)| offset_s)
}

/// What an abbreviation of a zone means: seconds east of Greenwich, and whether it has other
/// meanings.
pub(crate) fn abbreviation(zone: &[u8]) -> Option<(i32, bool)> {
    const HALF: i32 = 30;
    let (minutes, several) = match zone {
        b"UTC" | b"GMT" | b"UCT" | b"Z" | b"WET" => (0, false),
        b"CET" | b"MEZ" | b"WEST" | b"WAT" => (60, false),
        b"CEST" | b"MESZ" | b"EET" | b"SAST" | b"CAT" => (2 * 60, false),
        b"EEST" | b"MSK" | b"EAT" | b"IDT" | b"TRT" => (3 * 60, false),
        b"MSD" => (4 * 60, false),
        b"PKT" | b"UZT" | b"YEKT" => (5 * 60, false),
        b"WIB" | b"ICT" => (7 * 60, false),
        b"AWST" | b"HKT" | b"SGT" | b"WITA" | b"PHT" => (8 * 60, false),
        b"JST" | b"KST" | b"WIT" => (9 * 60, false),
        b"ACST" => (9 * 60 + HALF, false),
        b"AEST" | b"ChST" => (10 * 60, false),
        b"ACDT" => (10 * 60 + HALF, false),
        b"AEDT" => (11 * 60, false),
        b"NZST" => (12 * 60, false),
        b"NZDT" => (13 * 60, false),
        b"BRT" | b"ART" | b"ADT" => (-3 * 60, false),
        b"NDT" => (-2 * 60 - HALF, false),
        b"NST" => (-3 * 60 - HALF, false),
        b"EDT" => (-4 * 60, false),
        b"EST" => (-5 * 60, false),
        b"MDT" => (-6 * 60, false),
        b"MST" | b"PDT" => (-7 * 60, false),
        b"AKDT" => (-8 * 60, false),
        b"AKST" => (-9 * 60, false),
        b"HST" => (-10 * 60, false),
        // British or Bangladeshi, Indian, Irish or Israeli, Atlantic or Arabian, American, Chinese
        // or Cuban, American or Philippine.
        b"BST" => (60, true),
        b"IST" => (5 * 60 + HALF, true),
        b"AST" => (-4 * 60, true),
        b"CDT" => (-5 * 60, true),
        b"CST" => (-6 * 60, true),
        b"PST" => (-8 * 60, true),
        _ => return None,
    };
    Some((minutes * 60, several))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::seconds_of;

    fn at(zones: &mut Zones, text: [u32; 5]) -> i32 {
        let [month, day, hour, minute, second] = text;
        let local = seconds_of(2026, month, day, hour, minute, second).expect("it is a date");
        zones.offset("Europe/Berlin", local)
    }

    #[test]
    fn the_offset_changes_where_the_zone_changes_and_is_cached_between() {
        let mut zones = Zones::default();
        for _ in 0..2 {
            assert_eq!(at(&mut zones, [3, 29, 1, 59, 59]), 3600);
            assert_eq!(at(&mut zones, [3, 29, 2, 30, 0]), 3600, "does not exist: shifted forward");
            assert_eq!(at(&mut zones, [3, 29, 3, 0, 0]), 7200);
            assert_eq!(at(&mut zones, [10, 25, 1, 59, 59]), 7200);
            assert_eq!(at(&mut zones, [10, 25, 2, 30, 0]), 7200, "occurs twice: the first");
            assert_eq!(at(&mut zones, [10, 25, 3, 0, 0]), 3600);
        }
    }

    #[test]
    fn a_zone_is_a_name_or_an_offset_and_nothing_is_utc() {
        let mut zones = Zones::default();
        assert_eq!(zones.offset("", 0), 0);
        assert_eq!(zones.offset("-05:30", 0), -19_800);
        assert_eq!(zones.offset("Asia/Kolkata", 1_700_000_000), 19_800);
        assert!(zone_is_known("America/New_York") && !zone_is_known("Mars/Olympus"));
    }
}
