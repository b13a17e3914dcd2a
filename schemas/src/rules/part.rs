//! A part of a longer text, under a policy. A value may stand across the cut, where neither part
//! has enough of it to be recognised, and of a format cut in two no parser can tell the fields. So
//! what is nearest to a cut is not shown at all; in the rest everything that has a form is looked
//! for; and where a row is about one field, the texts in which that field's value may stand are
//! hidden whole.

use std::borrow::Cow;
use std::ops::Range;

use tahoe_seams::Record;

use super::MASK;
use super::detect::{Found, PASSWORD, all, secret_of_key};
use super::json_token::each_token;
use super::passage::{joined, replaced};
use super::privacy::{Privacy, drop_original};
use super::privacy_rule::{Action, Rule};
use super::spelling::Plain;
use crate::{Dataset, Event, Transformation, Value, fields};

/// Of a line that is cut so much is hidden on either side: a value with its name (a password in a
/// setting, a card's number in groups) is shorter. No form of a value has a line end in it.
const NEAR_BYTES: usize = 1 << 10;
/// What has no white space and no quotation mark in it (a token) is hidden as far as this.
const FAR_BYTES: usize = 8 << 10;
/// How often escapes may be escaped again: JSON in a string of JSON.
const ESCAPES_DEEP: usize = 2;

impl Privacy {
    fn of_parts(&self, dataset: &Dataset) -> impl Iterator<Item = &Rule> {
        self.of_family(dataset).filter(|rule| !rule.is_of_producer())
    }

    /// The rules may be about a value in a part of a text.
    pub(crate) fn is_about_parts(&self, dataset: &Dataset) -> bool {
        self.of_parts(dataset).next().is_some()
    }

    /// Hides in a part's fields what no row could be found to be about.
    pub(super) fn hide_in_part<'a>(&self, event: &mut Event<'a>) {
        let of_fields = |rule: &Rule| rule.action != Action::Detect;
        let masks = self.of_parts(event.dataset()).any(of_fields);
        for field in event.fields_set() {
            let is_text =
                matches!(field.kind(), "match_only_text" | "text" | "wildcard" | "flattened");
            let is_decided = self.keeps(event.dataset(), field)
                || self.replaces(event.dataset(), field)
                || field == fields::event::ORIGINAL;
            let Some(value) = event.get(field).filter(|_| is_text && !is_decided) else { continue };
            let instead = if masks { masked(value) } else { found(value, event) };
            match instead {
                Some(Value::Raw([])) => event.remove(field),
                Some(value) => event.set(field, value),
                None => continue,
            }
            event.transformation_of(Transformation::Masked, field.path());
        }
        drop_original(event);
    }
}

/// A text that is not shown; an object is taken out.
fn masked(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Str(MASK) => None,
        Value::Str(_) => Some(Value::Str(MASK)),
        Value::Raw(_) => Some(Value::Raw(b"")),
        _ => None,
    }
}

/// The value without what is private in it by its form.
fn found<'a>(value: Value<'a>, event: &Event<'a>) -> Option<Value<'a>> {
    match value {
        Value::Str(text) => redacted(text).map(|text| event.alloc_str(&text).into()),
        Value::Raw(object) => {
            let token = &mut |token: &str, key: Option<&str>| {
                if secret_of_key(token, key).is_some() {
                    return Some(format!("\"{PASSWORD}\""));
                }
                let inside = token.strip_prefix('"')?.strip_suffix('"')?;
                redacted(inside).map(|text| format!("\"{text}\""))
            };
            let text = each_token(std::str::from_utf8(object).ok()?, token)?;
            Some(Value::Raw(event.alloc_bytes(text.as_bytes())))
        }
        _ => None,
    }
}

/// The raw text without what is private in it, with and without its escapes.
fn redacted(text: &str) -> Option<String> {
    replaced(text, &in_raw(text, ESCAPES_DEEP))
}

/// What is private in a text that no parser has taken the escapes from; what overlaps is one.
fn in_raw(text: &str, deep: usize) -> Vec<Found> {
    let mut found = all(text);
    if deep > 0
        && let Some(plain) = Plain::of_escapes(text)
    {
        let inside = in_raw(&plain.text, deep - 1).into_iter();
        found.extend(inside.map(|(range, word)| (plain.written(&range), word)));
    }
    joined(found)
}

/// What of a part's bytes is shown: nothing that a value across its cuts may have left there.
pub(crate) fn shown(record: &Record<'_>) -> Range<usize> {
    let Some(part) = record.part else { return 0..record.bytes.len() };
    let from = if part.index > 0 { behind_cut(record.bytes) } else { 0 };
    let to = if part.last { record.bytes.len() } else { before_cut(record.bytes) };
    from.min(to)..to
}

fn ends_run(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == b'"'
}

fn is_inside_character(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// Where what follows a cut may be shown from.
pub(crate) fn behind_cut(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(NEAR_BYTES)];
    let far = &bytes[..bytes.len().min(FAR_BYTES)];
    let run = || far[near.len()..].iter().position(ends_run);
    let mut at = match memchr::memchr(b'\n', near) {
        Some(line) => line + 1,
        None => run().map_or(far.len(), |run| near.len() + run),
    };
    while is_inside_character(bytes.get(at)) {
        at += 1;
    }
    // The place is a cut too: a value is hidden that needs what stands before it.
    let text = text_of(&bytes[..bytes.len().min(at + FAR_BYTES)]);
    let alone = |at: usize| in_raw(&text[at..], ESCAPES_DEEP);
    let mut shown = alone(at);
    for (range, _) in in_raw(&text, ESCAPES_DEEP) {
        let is_it =
            |found: &Range<usize>| at + found.start <= range.start && range.end <= at + found.end;
        if range.end > at && !shown.iter().any(|(found, _)| is_it(found)) {
            at = range.end;
            shown = alone(at);
        }
    }
    at
}

/// Up to where what stands before a cut may be shown.
pub(crate) fn before_cut(bytes: &[u8]) -> usize {
    let near = bytes.len().saturating_sub(NEAR_BYTES);
    let far = bytes.len().saturating_sub(FAR_BYTES);
    let run = || bytes[far..near].iter().rposition(ends_run);
    let mut at = match memchr::memrchr(b'\n', &bytes[near..]) {
        Some(line) => near + line,
        None => run().map_or(far, |run| far + run + 1),
    };
    while at > 0 && is_inside_character(bytes.get(at)) {
        at -= 1;
    }
    let from = at.saturating_sub(FAR_BYTES);
    let text = text_of(&bytes[from..]);
    let across = |(range, _): &Found| range.start < at - from && at - from < range.end;
    let found = in_raw(&text, ESCAPES_DEEP).into_iter().find(across);
    found.map_or(at, |(range, _)| from + range.start)
}

/// The bytes as text in which everything has the same place.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let one = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(one).collect::<String>().into(), Cow::Borrowed)
}
