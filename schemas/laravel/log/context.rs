//! The context and extra at the end of a line, and the fields that their keys stand for.

use super::exception;
use crate::find::Find;
use crate::object::{flattened, index, scalar};
use crate::scan::{Entries, Entry, Scan};
use crate::{Event, Field, fields, peer};

/// How often the text of a record may be read in search of its context, and some bytes.
const READS_MAX: usize = 4;
const READS_BYTES: usize = 64 << 10;

/// Splits `message {context} {extra}`; what does not end in JSON is all message.
pub(super) fn split<'a>(
    body: &'a str,
    event: &Event<'a>,
) -> (&'a str, Option<Entries<'a>>, Option<Entries<'a>>) {
    let body = body.trim_end();
    if !body.ends_with(['}', ']']) {
        return (body, None, None);
    }
    let bytes = body.as_bytes();
    let mut budget = bytes.len() * READS_MAX + READS_BYTES;
    for at in memchr::memchr2_iter(b'{', b'[', bytes) {
        let alone = at == 0 || matches!(bytes[at - 1], b' ' | b'\n');
        let object = matches!(bytes.get(at + 1), Some(b'"' | b'}' | b']' | b'{' | b'['));
        if !alone || !(object || bytes[at] == b'[') {
            continue;
        }
        let mut first = Scan::new(&bytes[at..]);
        let end = first.run();
        budget = budget.saturating_sub(first.at + 1);
        if let Ok(length) = end {
            let mut context = first.entries;
            index(&bytes[at..], &mut context, event);
            let rest = bytes[at + length..].trim_ascii_start();
            if rest.is_empty() {
                return (body[..at].trim_end(), Some(context), None);
            }
            let mut second = Scan::new(rest);
            let whole = matches!(rest[0], b'{' | b'[') && second.run() == Ok(rest.len());
            budget = budget.saturating_sub(second.at + 1);
            if whole {
                let mut extra = second.entries;
                index(rest, &mut extra, event);
                return (body[..at].trim_end(), Some(context), Some(extra));
            }
        }
        if budget == 0 {
            break;
        }
    }
    (body, None, None)
}

/// Sets the fields that keys stand for, and `kept` to an object of the others.
pub(super) fn set<'a>(entries: &mut Entries<'a>, kept: Field, event: &mut Event<'a>) {
    entries.retain(|entry| !promote(entry, event));
    if let Some(value) = flattened(entries, kept, event) {
        event.set(kept, value);
    }
}

fn promote<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let field = match entry.key {
        b"exception" if !event.has(fields::error::TYPE) => {
            return exception::from_context(entry.value, event);
        }
        b"userId" | b"user_id" => fields::user::ID,
        b"email" => fields::user::EMAIL,
        b"request_id" | b"requestId" => fields::http::request::ID,
        b"trace_id" | b"traceId" => fields::trace::ID,
        b"ip" => fields::source::IP,
        b"url" => fields::url::ORIGINAL,
        b"method" | b"http_method" => fields::http::request::METHOD,
        b"referrer" => fields::http::request::REFERRER,
        _ => return false,
    };
    if event.has(field) {
        return false;
    }
    let Some(text) = scalar(entry.value, event).filter(|text| !text.is_empty()) else {
        return false;
    };
    if field == fields::source::IP {
        return peer::SOURCE.set_address(text, event);
    }
    if !fits(field, text) {
        return false;
    }
    event.set(field, text);
    true
}

fn fits(field: Field, text: &str) -> bool {
    match field {
        fields::user::EMAIL => text.contains('@'),
        fields::url::ORIGINAL => text.starts_with('/') || text.has("://"),
        fields::http::request::METHOD => text.bytes().all(|byte| byte.is_ascii_alphabetic()),
        _ => true,
    }
}
