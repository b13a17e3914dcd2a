//! Writing JSON again: strings as text, and objects without the keys that became fields.

use std::fmt;

use crate::nothing::is_nothing_in_json;
use crate::scan::{Entries, Entry, Scan};
use crate::{Event, Field, Transformation, Value};

/// The keys and values of an object or list that fills `text`; a list's keys are its indices, as
/// in PHP, where both are arrays. `None` if it is not valid.
pub(crate) fn entries<'a>(text: &'a [u8], event: &Event<'a>) -> Option<Entries<'a>> {
    let mut entries = whole(text)?;
    index(text, &mut entries, event);
    Some(entries)
}

/// The same as they are written, in which a list has no keys.
pub(crate) fn whole(text: &[u8]) -> Option<Entries<'_>> {
    let mut scan = Scan::new(text);
    let is_whole = matches!(text, [b'{' | b'[', ..]) && scan.run().ok()? == text.len();
    is_whole.then_some(scan.entries)
}

/// Gives the elements of a list their indices as keys.
pub(crate) fn index<'a>(text: &[u8], entries: &mut Entries<'a>, event: &Event<'a>) {
    if text.starts_with(b"[") {
        for (index, entry) in entries.iter_mut().enumerate() {
            entry.key = event.format(format_args!("{index}")).as_bytes();
        }
    }
}

/// An object of those entries on one line; `None` if there are none.
pub(crate) fn object<'a>(entries: &[Entry<'a>], event: &Event<'a>) -> Option<Value<'a>> {
    let (first, last) = (entries.first()?, entries.last()?);
    // Entries of one text follow each other; those of several need not.
    let end = last.value.as_ptr_range().end as usize;
    let distance = end.saturating_sub(first.value.as_ptr() as usize);
    let mut out = event.list::<u8>();
    out.reserve(distance.min(1 << 20) + 64);
    let mut rest = entries;
    while let Some((entry, others)) = rest.split_first() {
        out.push(if out.is_empty() { b'{' } else { b',' });
        let (run, written) = run_of(rest, event.known_text().as_bytes());
        if run > 0 {
            one_line(written, &mut out);
            rest = &rest[run..];
            continue;
        }
        out.push(b'"');
        out.extend_from_slice_copy(entry.key);
        out.extend_from_slice_copy(b"\":");
        one_line(entry.value, &mut out);
        rest = others;
    }
    out.push(b'}');
    Some(Value::Raw(out.into_bump_slice()))
}

/// How many of the entries follow each other in `text` as they are written here, with nothing but
/// quotation marks, colons and commas between them; and all of that text.
fn run_of<'t>(entries: &[Entry<'_>], text: &'t [u8]) -> (usize, &'t [u8]) {
    let place = |part: &[u8]| part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let is_between = |from: usize, until: usize, between: &[u8]| {
        until.wrapping_sub(from) == between.len() && text.get(from..until) == Some(between)
    };
    let begin = entries.first().map_or(0, |entry| place(entry.key)).wrapping_sub(1);
    let (mut run, mut end) = (0, begin);
    for entry in entries {
        let (key, value) = (place(entry.key), place(entry.value));
        let before: &[u8] = if run == 0 { b"\"" } else { b",\"" };
        let key_end = key.wrapping_add(entry.key.len());
        if !is_between(end, key, before) || !is_between(key_end, value, b"\":") {
            break;
        }
        (run, end) = (run + 1, value.wrapping_add(entry.value.len()));
    }
    text.get(begin..end).map_or((0, &[]), |written| (run, written))
}

/// The same without the keys whose value stands for nothing, in objects inside it too, each
/// recorded as removed from `field`.
pub(crate) fn flattened<'a>(
    entries: &[Entry<'a>],
    field: Field,
    event: &mut Event<'a>,
) -> Option<Value<'a>> {
    if entries.iter().all(|entry| says_something(entry.value)) {
        return object(entries, event);
    }
    let place = Place { above: None, key: field.path().as_bytes() };
    let (kept, _) = without_nothing(entries, &place, event);
    object(&kept, event)
}

/// Sets each entry by `set_one`, which says whether all of it is in fields then; the others are an
/// object in `others`.
pub(crate) fn set_each<'a>(
    entries: &[Entry<'a>],
    others: Field,
    set_one: fn(&Entry<'a>, &mut Event<'a>) -> bool,
    event: &mut Event<'a>,
) {
    let mut left = Entries::new();
    for entry in entries {
        if !set_one(entry, event) {
            left.push(*entry);
        }
    }
    if let Some(object) = flattened(&left, others, event) {
        event.set(others, object);
    }
}

/// Whether a value is more than nothing, and no object, in which there may be nothing.
fn says_something(value: &[u8]) -> bool {
    !value.starts_with(b"{") && !is_nothing_in_json(value)
}

/// Where an object is; its path is seldom needed as text.
struct Place<'p> {
    above: Option<&'p Place<'p>>,
    key: &'p [u8],
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            write!(f, "{above}.")?;
        }
        f.write_str(&String::from_utf8_lossy(self.key))
    }
}

/// The entries of a value that is inside of one which was found valid; none, if it has none.
pub(crate) fn parts(value: &[u8]) -> Entries<'_> {
    let mut scan = Scan::of_any_keys(value);
    let has_parts = matches!(value, [b'{' | b'[', ..]) && scan.run().is_ok();
    if has_parts { scan.entries } else { Entries::new() }
}

/// The same of an object; a list has none.
pub(crate) fn object_parts(value: &[u8]) -> Entries<'_> {
    if value.starts_with(b"{") { parts(value) } else { Entries::new() }
}

/// The entries that say something, and whether that is fewer or others than there were.
fn without_nothing<'a>(
    entries: &[Entry<'a>],
    above: &Place<'_>,
    event: &mut Event<'a>,
) -> (Entries<'a>, bool) {
    let (mut kept, mut changed) = (Entries::new(), false);
    for &(mut entry) in entries {
        if says_something(entry.value) {
            kept.push(entry);
            continue;
        }
        let place = Place { above: Some(above), key: entry.key };
        let inside = object_parts(entry.value);
        if !inside.is_empty() {
            let (inside, fewer) = without_nothing(&inside, &place, event);
            changed |= fewer;
            match object(&inside, event) {
                Some(Value::Raw(object)) if fewer => entry.value = object,
                None => continue,
                _ => {}
            }
            kept.push(entry);
        } else if is_nothing_in_json(entry.value) {
            event.transformation_of(Transformation::NullRemoved, &place.to_string());
            changed = true;
        } else {
            kept.push(entry);
        }
    }
    (kept, changed)
}

/// Copies valid JSON whose strings may hold control characters.
fn one_line(value: &[u8], out: &mut bumpalo::collections::Vec<'_, u8>) {
    if !value.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
        out.extend_from_slice_copy(value);
        return;
    }
    let mut in_string = false;
    let mut escaped = false;
    for &byte in value {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            0..0x20 if !in_string => continue,
            0..0x20 => {
                let short = match byte {
                    b'\n' => &b"\\n"[..],
                    b'\r' => b"\\r",
                    b'\t' => b"\\t",
                    _ => b"",
                };
                out.extend_from_slice(short);
                if short.is_empty() {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    out.extend_from_slice(b"\\u00");
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
                continue;
            }
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        out.push(byte);
    }
}

/// A string without its quotes and escapes, or a number or truth value as it is written. `None`
/// for `null`, objects and lists.
pub(crate) fn scalar<'a>(value: &'a [u8], event: &Event<'a>) -> Option<&'a str> {
    let text = event.sound(value)?;
    if matches!(value.first()?, b'{' | b'[' | b'n') {
        return None;
    }
    let Some(inside) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Some(text);
    };
    if !event.has_escapes(inside) {
        return Some(inside);
    }
    Some(unescaped(inside, event))
}

/// The inside of a string that [`Scan`] let through.
fn unescaped<'a>(inside: &str, event: &Event<'a>) -> &'a str {
    let mut text = event.string(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut length = 2;
        text.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, used) = character(&rest[at..]);
                length = used;
                character
            }
            other => char::from(other),
        });
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.push_str(rest);
    text.into_bump_str()
}

/// The character of one `\uXXXX` or of a pair of them, and the length of what says it.
fn character(text: &str) -> (char, usize) {
    let unit = |at: usize| text.get(at..at + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let high = unit(2).unwrap_or(0xfffd);
    if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (high, unit(8)) {
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}
