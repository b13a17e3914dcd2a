//! Times and durations as people write them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `20s`, `1h`, `2d`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error| format!("{error}"))?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let signed = span.to_duration(relative).map_err(|error| error.to_string())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

/// Reads `2026-11-21T09:00:00Z`, `2026-11-21` or `2026-11-21T09:00` (UTC), and `2h` as two hours ago.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        let zoned = civil.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(zoned.timestamp());
    }
    let ago = duration(text).map_err(|_| {
        "neither a time (2026-11-21T09:00:00Z), a day nor how long ago (2h)".to_owned()
    })?;
    (Timestamp::now() - ago).round(jiff::Unit::Millisecond).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_how_long_ago() {
        let nine: Timestamp = "2026-11-21T09:00:00Z".parse().expect("a time");
        assert_eq!(moment("2026-11-21T10:00:00+01:00"), Ok(nine));
        assert_eq!(moment("2026-11-21T09:00"), Ok(nine));
        assert_eq!(moment("2026-11-21").map(|day| nine.duration_since(day).as_hours()), Ok(9));
        let ago = Timestamp::now().duration_since(moment("2h").expect("ago"));
        assert!((7199..7260).contains(&ago.as_secs()), "{ago:?}");
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(2 * 86_400)));
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
