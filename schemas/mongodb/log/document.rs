//! The structured log's keys. Those of the format are few and fixed; what else there is goes below
//! `tahoe.fields`.

use super::attributes::{self, Message};
use super::occasion::Occasion;
use super::outline::outline;
use super::parser::{set_context, set_kind, set_severity};
use crate::object::{entries, flattened, object, scalar};
use crate::scan::{Entry, Scan};
use crate::{Event, Field, Transformation, fields, time};

/// Sets what an object says. Says whether the text is one of the log's.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    if !text.starts_with("{\"") {
        return false;
    }
    let found = outline(text);
    let has = |key: &[u8]| found.entries.iter().any(|entry| entry.key == key);
    let is_of_the_log = has(b"t") || has(b"msg") && has(b"c");
    if !is_of_the_log {
        return false;
    }
    let (mut message, mut attr, mut others) = (Message::default(), None, Vec::new());
    for entry in found.entries {
        match entry.key {
            b"attr" if entry.value.starts_with(b"{") => attr = Some(entry.value),
            _ if key(&entry, &mut message, event) => {}
            _ => others.push(entry),
        }
    }
    set_kind(event);
    if let Some(attr) = attr {
        attributes::set(attr, message, event);
    }
    if let Some(occasion) = Occasion::of(message.id, message.text) {
        occasion.set(event);
    }
    others.retain(|entry| is_valid(entry));
    if let Some(others) = flattened(&others, fields::tahoe::FIELDS, event) {
        event.set(fields::tahoe::FIELDS, others);
    }
    if !found.whole {
        event.transformation(Transformation::IncompleteRecord);
        event.set(fields::MESSAGE, text);
    }
    true
}

/// One of the format's keys. Says whether it was one.
fn key<'a>(entry: &Entry<'a>, message: &mut Message<'a>, event: &mut Event<'a>) -> bool {
    let text = scalar(entry.value, event);
    match (entry.key, text) {
        (b"t", _) => return set_time(entry.value, event),
        (b"s", Some(text)) => set_severity(text, event),
        (b"c", Some(text)) => {
            event.set_clean(fields::mongodb::log::COMPONENT, text);
        }
        (b"id", Some(text)) => {
            let Ok(id) = text.parse() else { return false };
            message.id = Some(id);
            event.set(fields::mongodb::log::ID, id);
        }
        (b"svc", Some(text)) => {
            event.set_clean(fields::mongodb::log::SERVICE, text);
        }
        (b"ctx", Some(text)) => set_context(text, event),
        (b"msg", Some(text)) => {
            message.text = text;
            if event.set_clean(fields::MESSAGE, text) {
                return true;
            }
        }
        (b"tags", None) => return set_tags(entry.value, event),
        (b"truncated", None) => return set_object(fields::mongodb::log::TRUNCATED, entry, event),
        (b"size", None) => return set_object(fields::mongodb::log::SIZE, entry, event),
        _ => return false,
    }
    true
}

/// `{"$date":"2026-11-21T09:00:00.123+00:00"}`, or the text alone.
fn set_time<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let text = scalar(value, event).or_else(|| {
        let inside = entries(value, event)?;
        scalar(inside.iter().find(|entry| entry.key == b"$date")?.value, event)
    });
    let Some((stamp, _)) = text.and_then(|text| time::parse_iso(text.as_bytes())) else {
        return false;
    };
    event.time(stamp);
    true
}

fn set_tags<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let Some(found) = entries(value, event) else { return false };
    let mut tags = event.list::<&'a str>();
    tags.extend(found.iter().filter_map(|entry| scalar(entry.value, event)));
    if !tags.is_empty() {
        event.set(fields::mongodb::log::TAGS, tags.into_bump_slice());
    }
    true
}

fn set_object<'a>(field: Field, entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let Some(found) = entries(entry.value, event) else { return false };
    if let Some(value) = object(&found, event) {
        event.set(field, value);
    }
    true
}

/// Whether key and value can be written as they stand.
fn is_valid(entry: &Entry<'_>) -> bool {
    let plain = entry.key.iter().all(|byte| *byte >= 0x20 && *byte != b'\\');
    plain && Scan::new(entry.value).run() == Ok(entry.value.len())
}
