//! The proleptic Gregorian calendar, in which nearly every stamp is read and every time written.

/// Seconds in a day; leap seconds do not exist in epoch time.
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds since the epoch of a UTC date and time; `None` if there is no such day or time. A leap
/// second counts as the second after it.
pub(crate) fn seconds_of(
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> Option<i64> {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = *DAYS.get(month.checked_sub(1)? as usize)? + u32::from(leap);
    if day == 0 || day > days || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let clock = i64::from(hour * 3600 + minute * 60 + second);
    Some(days_from_civil(year, month, day) * SECONDS_PER_DAY + clock)
}

/// Days from the first of March 400 years before the year 0, from which dates are counted here, to
/// the epoch and to the year 0.
const DAYS_TO_EPOCH: i64 = 719_468 + 146_097;
const DAYS_TO_YEAR_0: u32 = 146_097 - 60;

/// Days since the epoch of a date of the proleptic Gregorian calendar, of the years -400 to 100,000.
/// A year begins in March, so that the leap day comes last. By C. Neri and L. Schneider, "Euclidean
/// affine functions and their application to calendar algorithms" (2022), as is [`civil_of`].
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let is_last = month <= 2;
    let year = (year.clamp(-399, 100_000) + 400) as u32 - u32::from(is_last);
    let month = if is_last { month + 12 } else { month };
    let century = year / 100;
    let years = 1461 * year / 4 - century + century / 4;
    i64::from(years + (979 * month - 2919) / 32 + day - 1) - DAYS_TO_EPOCH
}

/// Year, month and day of a number of days since the epoch, of the years 0 to 100,000.
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let (year, month, day) = civil_of((days + DAYS_TO_EPOCH).clamp(0, 36_600_000) as u32);
    (i64::from(year) - 400, month, day)
}

/// The same of a number of days since the year 0 began.
pub(crate) fn civil_from_year_0(days: u32) -> (u32, u32, u32) {
    let (year, month, day) = civil_of(days + DAYS_TO_YEAR_0);
    (year - 400, month, day)
}

/// The same of the days from where dates are counted; the year is one of those.
fn civil_of(days: u32) -> (u32, u32, u32) {
    let quarters = 4 * days + 3;
    let (century, rest) = (quarters / 146_097, quarters % 146_097 / 4);
    let product = 2_939_745 * u64::from(4 * rest + 3);
    let (year, day_of_year) = ((product >> 32) as u32, product as u32 / 2_939_745 / 4);
    let number = 2141 * day_of_year + 197_913;
    let (month, day) = (number >> 16, (number & 0xffff) / 2141);
    let is_last = day_of_year >= 306;
    let year = 100 * century + year + u32::from(is_last);
    (year, if is_last { month - 12 } else { month }, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_follows_the_one_before() {
        let first = days_from_civil(0, 1, 1);
        let (mut year, mut month, mut day) = (0, 1, 1);
        for days in first..=days_from_civil(9999, 12, 31) {
            assert_eq!(civil_from_days(days), (year, month, day));
            assert_eq!(days_from_civil(year, month, day), days);
            let next = seconds_of(year, month, day + 1, 0, 0, 0);
            (year, month, day) = match (next, month) {
                (Some(_), _) => (year, month, day + 1),
                (None, 12) => (year + 1, 1, 1),
                (None, _) => (year, month + 1, 1),
            };
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
        assert_eq!((first, days_from_civil(1970, 1, 1)), (-719_528, 0));
    }
}
