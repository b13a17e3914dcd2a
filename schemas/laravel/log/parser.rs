//! A line with a header, a JSON object, or text without either.

use tahoe_seams::{Record, Rejection};

use super::console::{self, Console};
use super::header::{Header, LEVELS};
use super::tail::Tail;
use super::{context, exception, stamp};
use crate::level::is_failure;
use crate::object::{entries, flattened, scalar};
use crate::scan::{Entry, Flaw, Scan};
use crate::time::Stamp;
use crate::{Event, Field, Parser, fields};

pub(super) struct LogRecord;

impl Parser for LogRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes);
        if let Some(header) = Header::parse(text.as_bytes()) {
            return line(text, header, event);
        }
        let text = text.trim_end();
        if text.starts_with("{\"") && text.ends_with('}') {
            return json(text, event);
        }
        if let Some(console) = Console::parse(crate::lines::first(text.as_bytes())) {
            let message = console::set(console, text, event);
            if let Some((stamp, zone)) = stamp::carried(console.stamp(), record.read_at_ms) {
                if let Some(zone) = zone {
                    event.use_time_zone(event.alloc_str(zone));
                }
                event.time(stamp);
            }
            set_message(message, event);
            return Ok(());
        }
        event.set(fields::MESSAGE, text);
        event.time_assumed(self.stamp(record.context, record.read_at_ms));
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        stamp::carried(context, read_at_ms).map(|(stamp, _)| stamp)
    }
}

fn line<'a>(text: &'a str, header: Header, event: &mut Event<'a>) -> Result<(), Rejection> {
    if !stamp::set(&text[1..header.stamp_end], event) {
        return Err(Rejection::at("bad_timestamp", "there is no such time or zone", 1));
    }
    let ((from, until), (level, end)) = (header.channel, header.level);
    if from < until {
        set_channel(&text[from..until], event);
    }
    set_level(&text[level..end], event);
    let body = &text[end + 1..];
    let mut tail = Tail::of(body.strip_prefix(' ').unwrap_or(body), event);
    if let Some(entries) = &mut tail.context {
        context::set(entries, fields::laravel::CONTEXT, event);
    }
    if let Some(entries) = &mut tail.extra {
        context::set(entries, fields::laravel::EXTRA, event);
    }
    set_message(tail.message.trim(), event);
    Ok(())
}

fn set_message<'a>(message: &'a str, event: &mut Event<'a>) {
    let message = if event.has(fields::error::STACK_TRACE) {
        message
    } else {
        exception::from_message(message, event)
    };
    if message.is_empty() {
        event.null_removed(fields::MESSAGE);
    } else {
        event.set(fields::MESSAGE, message);
    }
}

/// Laravel names its default channel after the environment.
fn set_channel<'a>(channel: &'a str, event: &mut Event<'a>) {
    event.set(fields::log::LOGGER, channel);
    if matches!(channel, "production" | "staging" | "testing" | "development" | "local") {
        event.set(fields::service::ENVIRONMENT, channel);
    }
}

fn set_level<'a>(level: &'a str, event: &mut Event<'a>) {
    let level = event.set_named_level(level);
    event.set(fields::event::TYPE, if is_failure(level) { "error" } else { "info" });
}

fn json<'a>(text: &'a str, event: &mut Event<'a>) -> Result<(), Rejection> {
    let mut scan = Scan::new(text.as_bytes());
    match scan.run() {
        Ok(length) if length == text.len() => {}
        Ok(at) | Err(Flaw::At(at)) => {
            return Err(Rejection::at("malformed", "the object is no JSON from here on", at));
        }
        Err(Flaw::Unfinished) => {
            return Err(Rejection::at("malformed", "the object does not end", text.len()));
        }
    }
    let mut others = Vec::new();
    for entry in scan.entries {
        if !json_key(&entry, event)? {
            others.push(entry);
        }
    }
    others.retain(|entry| !flatten(entry, event));
    if let Some(value) = flattened(&others, fields::laravel::FIELDS, event) {
        event.set(fields::laravel::FIELDS, value);
    }
    let message = event.get_str(fields::MESSAGE).unwrap_or_default();
    set_message(message, event);
    if message.is_empty() {
        event.remove(fields::MESSAGE);
    }
    if !event.has(fields::TIMESTAMP) {
        event.time_assumed(None);
    }
    Ok(())
}

/// The keys that the formatters write. Says whether it was one.
fn json_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> Result<bool, Rejection> {
    let text = scalar(entry.value, event);
    match (entry.key, text) {
        (b"message", Some(text)) => event.set(fields::MESSAGE, text),
        (b"datetime" | b"@timestamp", _) => {
            let Some((stamp, zone)) = json_time(entry.value, event) else {
                let reason = "datetime is no time that could be read";
                return Err(Rejection::at("bad_timestamp", reason, event.place_of(entry.value)));
            };
            if let Some(zone) = zone {
                event.use_time_zone(zone);
            }
            event.time(stamp);
        }
        (b"timestamp", _) if !event.has(fields::TIMESTAMP) => {
            let Some((stamp, zone)) = json_time(entry.value, event) else { return Ok(false) };
            if let Some(zone) = zone {
                event.use_time_zone(zone);
            }
            event.time(stamp);
        }
        (b"channel", Some(text)) => set_channel(text, event),
        (b"level_name" | b"log.level", Some(text)) => set_level(text, event),
        (b"level", Some(text)) => {
            let named = LEVELS.iter().find(|(_, number)| text.parse() == Ok(*number));
            if !event.has(fields::log::LEVEL) {
                set_level(named.map_or(text, |(name, _)| name), event);
            }
        }
        (b"context", _) => return Ok(set_object(entry.value, fields::laravel::CONTEXT, event)),
        (b"extra", _) => return Ok(set_object(entry.value, fields::laravel::EXTRA, event)),
        (b"ecs.version" | b"@version", _) => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_object<'a>(value: &'a [u8], kept: Field, event: &mut Event<'a>) -> bool {
    let Some(mut entries) = entries(value, event) else { return false };
    context::set(&mut entries, kept, event);
    true
}

/// A text, or PHP's `{"date":"2013-08-15 14:19:51.000000","timezone_type":3,"timezone":"UTC"}`.
fn json_time<'a>(value: &'a [u8], event: &Event<'a>) -> Option<(Stamp, Option<&'a str>)> {
    if let Some(text) = scalar(value, event) {
        return stamp::iso(text);
    }
    let parts = entries(value, event)?;
    let part = |key: &[u8]| {
        let part = parts.iter().find(|part| part.key == key)?;
        scalar(part.value, event)
    };
    let (stamp, _) = stamp::iso(part(b"date")?)?;
    Some((stamp, part(b"timezone").filter(|zone| crate::zone_is_known(zone))))
}

/// Keys of ECS as ecs-logging writes them, with dots or nested once or twice. Says whether all of
/// it went into fields.
fn flatten<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let Some(key) = event.sound(entry.key) else { return false };
    let mut found = Vec::new();
    if !collect(key, entry.value, event, &mut found) {
        return false;
    }
    for (field, text) in found {
        match (field.kind(), text.parse::<i64>()) {
            _ if field == fields::log::LEVEL => set_level(text, event),
            ("long", Ok(number)) => event.set(field, number),
            _ => event.set(field, text),
        }
    }
    true
}

fn collect<'a>(
    path: &str,
    value: &'a [u8],
    event: &Event<'a>,
    found: &mut Vec<(Field, &'a str)>,
) -> bool {
    if value.starts_with(b"{") && path.matches('.').count() < 4 {
        let parts = entries(value, event).unwrap_or_default();
        return !parts.is_empty()
            && parts.iter().all(|part| {
                std::str::from_utf8(part.key)
                    .is_ok_and(|key| collect(&format!("{path}.{key}"), part.value, event, found))
            });
    }
    let Some((_, field)) = ECS.iter().find(|(name, _)| *name == path) else { return false };
    let Some(text) = scalar(value, event).filter(|_| !event.has(*field)) else { return false };
    let fits = match field.kind() {
        "long" => text.parse::<i64>().is_ok(),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        _ => true,
    };
    if fits {
        found.push((*field, text));
    }
    fits
}

/// Fields that ecs-logging for PHP and applications around it write.
const ECS: [(&str, Field); 34] = [
    ("client.ip", fields::client::IP),
    ("error.code", fields::error::CODE),
    ("error.id", fields::error::ID),
    ("error.message", fields::error::MESSAGE),
    ("error.stack_trace", fields::error::STACK_TRACE),
    ("error.type", fields::error::TYPE),
    ("event.action", fields::event::ACTION),
    ("host", fields::host::NAME),
    ("host.name", fields::host::NAME),
    ("http.request.id", fields::http::request::ID),
    ("http.request.method", fields::http::request::METHOD),
    ("http.response.status_code", fields::http::response::STATUS_CODE),
    ("log.level", fields::log::LEVEL),
    ("log.logger", fields::log::LOGGER),
    ("log.origin.file.line", fields::log::origin::file::LINE),
    ("log.origin.file.name", fields::log::origin::file::NAME),
    ("log.origin.function", fields::log::origin::FUNCTION),
    ("process.pid", fields::process::PID),
    ("service.environment", fields::service::ENVIRONMENT),
    ("service.id", fields::service::ID),
    ("service.name", fields::service::NAME),
    ("service.node.name", fields::service::node::NAME),
    ("service.version", fields::service::VERSION),
    ("source.ip", fields::source::IP),
    ("span.id", fields::span::ID),
    ("trace.id", fields::trace::ID),
    ("transaction.id", fields::transaction::ID),
    ("url.domain", fields::url::DOMAIN),
    ("url.full", fields::url::FULL),
    ("url.original", fields::url::ORIGINAL),
    ("url.path", fields::url::PATH),
    ("url.query", fields::url::QUERY),
    ("user.id", fields::user::ID),
    ("user.name", fields::user::NAME),
];
