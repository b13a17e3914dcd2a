//! The fields that keys of the context and the extra stand for.

use super::exception;
use crate::duration::{MILLISECONDS, nanoseconds};
use crate::find::Find;
use crate::object::{flattened, scalar};
use crate::scan::{Entries, Entry};
use crate::{Event, Field, fields, peer, url};

/// Sets the fields that keys stand for, and `kept` to an object of the others.
pub(super) fn set<'a>(entries: &mut Entries<'a>, kept: Field, event: &mut Event<'a>) {
    let is_extra = kept == fields::laravel::EXTRA;
    // The place of an exception counts more than that of the line which logs it.
    let is_placed = event.has(fields::log::origin::file::NAME);
    entries.retain(|entry| {
        !(promote(entry, event) || is_extra && of_processor(entry, is_placed, event))
    });
    // A word of every application, unless it is beside a request.
    if event.has(fields::url::ORIGINAL) || event.has(fields::http::request::METHOD) {
        let status = fields::http::response::STATUS_CODE;
        entries.retain(|entry| entry.key != b"status" || !set_field(status, entry.value, event));
    }
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
        b"user_agent" | b"userAgent" => fields::user_agent::ORIGINAL,
        b"status_code" | b"statusCode" => fields::http::response::STATUS_CODE,
        b"duration_ms" | b"durationMs" => fields::event::DURATION,
        _ => return false,
    };
    set_field(field, entry.value, event)
}

/// What Monolog's own processors write; in a context it may be anything.
fn of_processor<'a>(entry: &Entry<'a>, is_placed: bool, event: &mut Event<'a>) -> bool {
    let field = match entry.key {
        b"process_id" => fields::process::PID,
        b"hostname" => fields::host::HOSTNAME,
        b"unique_id" => fields::http::request::ID,
        b"server" if event.has(fields::url::ORIGINAL) => fields::url::DOMAIN,
        b"file" if !is_placed => fields::log::origin::file::NAME,
        b"line" | b"function" if is_placed || !event.has(fields::log::origin::file::NAME) => {
            return false;
        }
        b"line" => fields::log::origin::file::LINE,
        b"function" => fields::log::origin::FUNCTION,
        _ => return false,
    };
    set_field(field, entry.value, event)
}

/// Sets a field that has no value yet. Says whether the value is one of its kind.
fn set_field<'a>(field: Field, value: &'a [u8], event: &mut Event<'a>) -> bool {
    if event.has(field) {
        return false;
    }
    let Some(text) = scalar(value, event).filter(|text| !text.is_empty()) else {
        return false;
    };
    match field {
        fields::source::IP => return peer::SOURCE.set_address(text, event),
        fields::url::ORIGINAL if text.starts_with('/') || text.has("://") => {
            url::set_target(text, event);
        }
        fields::url::DOMAIN if is_host(text) => url::set_host(text, event),
        fields::url::ORIGINAL | fields::url::DOMAIN => return false,
        fields::user::EMAIL if !text.contains('@') => return false,
        fields::http::request::METHOD if !text.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            return false;
        }
        fields::log::origin::file::NAME if !text.contains(['/', '\\']) => return false,
        fields::http::response::STATUS_CODE => match text.parse::<u16>() {
            Ok(status @ 100..600) => event.set(field, status),
            _ => return false,
        },
        fields::event::DURATION => match nanoseconds(text, MILLISECONDS) {
            Some(duration) => event.set(field, duration),
            None => return false,
        },
        fields::process::PID | fields::log::origin::file::LINE => match text.parse::<u64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
        _ => event.set(field, text),
    }
    true
}

/// A name or an address; nginx has `_` for any.
fn is_host(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    text.bytes().all(is_part)
}
