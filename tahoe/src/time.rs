//! Durations as people write them.

use std::time::Duration;

/// Reads `20s`, `1h`, `2d`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error| format!("{error}"))?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let signed = span.to_duration(relative).map_err(|error| error.to_string())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(2 * 86_400)));
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
