//! jsonlog (PostgreSQL 15 and later), and lines inside of objects: Google Cloud's log entries
//! (`textPayload`), Azure's (`properties`), Docker's (`log`) and collectors' (`message`).
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG>,
//! <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>,
//! <https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-logging>

use super::entry::Entry;
use super::stamp;
use crate::find::find;
use crate::object::{entries, flattened, scalar};
use crate::time::{self, Stamp};
use crate::{Event, fields};

/// Bytes of an object within which its time is looked for.
const TIME_BYTES_MAX: usize = 2048;

/// A line that is one object, as far as its ends tell, or begins as the server's do.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{\"")
        && (line.starts_with(b"{\"timestamp\":\"") || line.trim_ascii_end().ends_with(b"}"))
}

/// The text of the object's own time, for the framer to carry.
pub(super) fn stamp_of(line: &[u8]) -> Option<&[u8]> {
    let tail = &line[line.len() - line.len().min(TIME_BYTES_MAX)..];
    for part in [&line[..line.len().min(TIME_BYTES_MAX)], tail] {
        if let Some(at) = find(part, b"\"timestamp\":\"") {
            let text = &part[at + 13..];
            let length = memchr::memchr(b'"', text)?;
            return Some(&text[..length]);
        }
    }
    None
}

/// What an object is.
pub(super) enum Object<'a> {
    /// A message of its own; its columns are in the entry.
    Log,
    /// A line of another form, its time and its severity.
    Wrapped { line: &'a str, stamp: Option<Stamp>, severity: Option<&'a str> },
    /// Something else, perhaps with a time.
    Unknown(Option<Stamp>),
}

/// Takes an object apart; `None` if it is not valid.
pub(super) fn read<'a>(
    text: &'a str,
    entry: &mut Entry<'a>,
    event: &mut Event<'a>,
) -> Option<Object<'a>> {
    let parts = entries(text.trim_end().as_bytes(), event)?;
    if parts.iter().any(|part| part.key == b"error_severity") {
        for part in parts {
            if let Some(value) = scalar(part.value, event).filter(|value| !value.is_empty()) {
                set(part.key, value, entry);
            }
        }
        return Some(Object::Log);
    }
    let (mut line, mut stamp, mut severity, mut others) = (None, None, None, Vec::new());
    for part in parts {
        let value = scalar(part.value, event);
        match (part.key, value) {
            (b"textPayload" | b"log" | b"message" | b"line", Some(value)) if line.is_none() => {
                line = Some(value.trim_end_matches(['\n', '\r']));
            }
            (b"timestamp" | b"@timestamp" | b"time", Some(value)) if stamp.is_none() => {
                stamp = time::parse_iso(value.as_bytes()).map(|(stamp, _)| stamp);
                if stamp.is_none() {
                    others.push(part);
                }
            }
            (b"properties" | b"jsonPayload", None) if line.is_none() => {
                line = inner(part.value, event);
                if line.is_none() {
                    others.push(part);
                }
            }
            (b"severity", Some(value)) => severity = Some(value),
            _ => others.push(part),
        }
    }
    let Some(line) = line else { return Some(Object::Unknown(stamp)) };
    if let Some(others) = flattened(others, fields::tahoe::FIELDS, event) {
        event.set(fields::tahoe::FIELDS, others);
    }
    Some(Object::Wrapped { line, stamp, severity })
}

/// The message one level down: of Azure's diagnostic settings, and Google's where it is structured.
fn inner<'a>(value: &'a [u8], event: &Event<'a>) -> Option<&'a str> {
    let parts = entries(value, event)?;
    let message = parts.iter().find(|part| part.key == b"message")?;
    scalar(message.value, event)
}

fn set<'a>(key: &[u8], value: &'a str, entry: &mut Entry<'a>) {
    let place = match key {
        b"timestamp" => &mut entry.time,
        b"user" => &mut entry.user,
        b"dbname" => &mut entry.database,
        b"pid" => &mut entry.pid,
        b"remote_host" => &mut entry.remote,
        b"remote_port" => &mut entry.remote_port,
        b"session_id" => &mut entry.session_id,
        b"line_num" => &mut entry.session_line,
        b"ps" => &mut entry.command_tag,
        b"session_start" => &mut entry.session_start,
        b"vxid" => &mut entry.virtual_transaction,
        b"txid" => &mut entry.transaction,
        b"error_severity" => &mut entry.severity,
        b"state_code" => &mut entry.sql_state,
        b"message" => &mut entry.message,
        b"detail" => &mut entry.detail,
        b"hint" => &mut entry.hint,
        b"internal_query" => &mut entry.internal_query,
        b"internal_position" => &mut entry.internal_position,
        b"context" => &mut entry.context,
        b"statement" => &mut entry.statement,
        b"cursor_position" => &mut entry.position,
        b"func_name" => &mut entry.function,
        b"file_name" => &mut entry.file,
        b"file_line_num" => &mut entry.file_line,
        b"application_name" => &mut entry.application,
        b"backend_type" => &mut entry.backend_type,
        b"leader_pid" => &mut entry.leader_pid,
        b"query_id" => &mut entry.query_id,
        b"backtrace" => &mut entry.backtrace,
        _ => return,
    };
    *place = Some(value);
}

/// The time of an object that is not valid JSON, so that what is there can be kept.
pub(super) fn time_in_broken<'a>(text: &'a str, event: &mut Event<'a>) -> Option<Stamp> {
    let written = stamp_of(text.as_bytes())?;
    match stamp::parse(written) {
        Some(stamp) => Some(stamp.resolved("", event)),
        None => time::parse_iso(written).map(|(stamp, _)| stamp),
    }
}
