//! Decimal numbers of seconds and milliseconds in nanoseconds, without the rounding of binary
//! fractions.

use crate::find::Find;

/// Nanoseconds of a millisecond have six more digits, of a second nine.
pub(crate) const MILLISECONDS: usize = 6;
pub(crate) const SECONDS: usize = 9;

/// A number with a fraction or none, in a unit whose nanoseconds have so many digits more; `None`
/// for more than fit. What is below a nanosecond is left out.
pub(crate) fn nanoseconds(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_on_byte(b'.').unwrap_or((text, ""));
    let mut number: u64 = whole.parse().ok()?;
    let fraction = fraction.as_bytes();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for place in 0..digits {
        let digit = fraction.get(place).map_or(0, |digit| u64::from(digit - b'0'));
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    (number <= i64::MAX as u64).then_some(number)
}

/// `hh:mm:ss[.ffffff]`
pub(crate) fn of_clock(text: &str) -> Option<u64> {
    let (hours, rest) = text.split_on_byte(b':')?;
    let (minutes, seconds) = rest.split_on_byte(b':')?;
    let whole = hours.parse::<u64>().ok()?.checked_mul(3600)?;
    let whole = whole.checked_add(minutes.parse::<u64>().ok()?.checked_mul(60)?)?;
    whole.checked_mul(1_000_000_000)?.checked_add(nanoseconds(seconds, SECONDS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, nanos) in [("2", 2_000_000_000), ("178.306017", 178_306_017_000), ("0.0", 0)] {
            assert_eq!(nanoseconds(text, SECONDS), Some(nanos), "{text}");
        }
        assert_eq!(nanoseconds("430.394", MILLISECONDS), Some(430_394_000));
        assert_eq!(nanoseconds("7", MILLISECONDS), Some(7_000_000));
        for none in ["", "-1", "1.x", "1.-", "1.2e3", "18446744073709.550781", "NULL"] {
            assert_eq!(nanoseconds(none, SECONDS), None, "{none}");
        }
        assert_eq!(nanoseconds("99999999999999999", MILLISECONDS), None);
        assert_eq!(of_clock("1:02:03.5"), Some(3_723_500_000_000));
    }
}
