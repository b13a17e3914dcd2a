//! Keys that the operator's own file names, before any other is looked at.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::level::{self, Numbers};
use super::{error, stamp};
use crate::object::{entries, object, scalar};
use crate::rules::{AppFields, Target, Unit};
use crate::scan::{Entries, Entry};
use crate::{Event, Field, Value, fields};

/// Fields that a named key has set: of several keys the first counts, the others are kept.
pub(super) type Taken = SmallVec<[Field; 32]>;

/// Sets the fields of named keys and gives the other keys; objects lose the keys that were named.
pub(super) fn take<'a>(
    keys: Entries<'a>,
    named: &AppFields,
    taken: &mut Taken,
    event: &mut Event<'a>,
) -> Entries<'a> {
    take_inside(keys, "", (named, taken), event).0
}

fn take_inside<'a>(
    keys: Entries<'a>,
    above: &str,
    (named, taken): (&AppFields, &mut Taken),
    event: &mut Event<'a>,
) -> (Entries<'a>, bool) {
    let (mut kept, mut changed) = (Entries::new(), false);
    for entry in keys {
        let path = format!("{above}{}", String::from_utf8_lossy(entry.key));
        if let Some(target) = named.target(&path)
            && set_once(target, entry.value, taken, event)
        {
            changed = true;
        } else if named.is_above(&path) && entry.value.starts_with(b"{") {
            let inside = entries(entry.value, event).unwrap_or_default();
            let below = format!("{path}.");
            let (rest, fewer) = take_inside(inside, &below, (named, &mut *taken), event);
            changed |= fewer;
            match object(&rest, event) {
                _ if !fewer => kept.push(entry),
                Some(Value::Raw(value)) => kept.push(Entry { value, ..entry }),
                _ => {}
            }
        } else {
            kept.push(entry);
        }
    }
    (kept, changed)
}

/// Sets a field that no key has set. Says whether all of the value is there.
fn set_once<'a>(target: Target, value: &'a [u8], taken: &mut Taken, event: &mut Event<'a>) -> bool {
    let field = target.field;
    if taken.contains(&field) {
        let text = scalar(value, event);
        let same = match field {
            fields::log::LEVEL => text.and_then(|text| level::name(text, Numbers::Usual, event)),
            _ => text,
        };
        return same.is_some() && event.get_str(field) == same;
    }
    let is_set = set(target, value, event);
    if is_set && event.has(field) {
        taken.push(field);
    }
    is_set
}

/// Sets a field of any kind. Says whether the value was of that kind.
fn set<'a>(target: Target, value: &'a [u8], event: &mut Event<'a>) -> bool {
    let Target { field, unit } = target;
    if field.kind() == "flattened" && value.starts_with(b"{") {
        let Some(value) = entries(value, event).and_then(|found| object(&found, event)) else {
            return false;
        };
        event.set(field, value);
        return true;
    }
    if value.starts_with(b"[") && matches!(field.kind(), "keyword" | "ip") {
        let mut texts = event.list();
        let found = entries(value, event).unwrap_or_default();
        texts.extend(found.iter().filter_map(|entry| scalar(entry.value, event)));
        let all = !texts.is_empty() && texts.len() == found.len();
        if all {
            event.set(field, texts.into_bump_slice());
        }
        return all;
    }
    let Some(text) = scalar(value, event) else { return false };
    match (field, field.kind()) {
        (fields::TIMESTAMP, _) | (_, "date") => match stamp::parse(text) {
            Some(stamp) => event.set_time(field, stamp),
            None => return false,
        },
        (fields::log::LEVEL, _) => return level::set(text, Numbers::Usual, event),
        (fields::event::DURATION, _) => match nanoseconds(text, unit) {
            Some(duration) => event.set(field, duration),
            None => return false,
        },
        (fields::error::STACK_TRACE, _) => error::stack(text, event),
        (_, "long" | "integer" | "short" | "byte" | "unsigned_long") => match text.parse::<i64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
        (_, "float" | "double" | "half_float" | "scaled_float") => match text.parse::<f64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
        (_, "boolean") => match text {
            "true" => event.set(field, true),
            "false" => event.set(field, false),
            _ => return false,
        },
        (_, "ip") if text.parse::<IpAddr>().is_err() => return false,
        _ => event.set(field, text),
    }
    true
}

/// A duration in nanoseconds: a number in a unit, or Go's and Java's text, which names its own
/// (`1.5ms`, `2m3s`, `PT0.25S`).
pub(super) fn nanoseconds(text: &str, unit: Unit) -> Option<u64> {
    if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return scaled(number, unit);
    }
    let iso = text.strip_prefix("PT").map(str::to_ascii_lowercase);
    let mut rest = iso.as_deref().unwrap_or(text);
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit.trim() {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    rounded(sum)
}

/// The same of a number.
pub(super) fn scaled(number: f64, unit: Unit) -> Option<u64> {
    let unit = if let Unit::Nanoseconds(unit) = unit { unit } else { 1 };
    rounded(number * f64::from(unit))
}

/// More than a century is no duration.
fn rounded(nanoseconds: f64) -> Option<u64> {
    (0.0..3e18).contains(&nanoseconds).then(|| nanoseconds.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_nanoseconds_whatever_they_were_counted_in() {
        let of = |text, unit| nanoseconds(text, Unit::Nanoseconds(unit));
        assert_eq!(of("12.5", 1_000_000), Some(12_500_000));
        assert_eq!(of("0.25", 1_000_000_000), Some(250_000_000));
        assert_eq!(of("1.5ms", 1), Some(1_500_000));
        assert_eq!(of("2m3.5s", 1), Some(123_500_000_000));
        assert_eq!(of("15µs", 1), Some(15_000));
        assert_eq!(of("PT1M0.25S", 1), Some(60_250_000_000));
        for none in ["", "x", "1d", "-1", "NaN", "inf", "1e300", "ms", "PT", "1 2"] {
            assert_eq!(of(none, 1), None, "{none}");
        }
    }
}
