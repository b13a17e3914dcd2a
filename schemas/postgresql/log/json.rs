//! jsonlog (PostgreSQL 15 and later), and lines inside of objects: Google Cloud's log entries
//! (`textPayload`), Azure's (`properties`), Docker's (`log`), collectors' (`message`) and
//! CloudNativePG's (`record`, `msg`).
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG>,
//! <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>,
//! <https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-logging>,
//! <https://cloudnative-pg.io/documentation/current/logging/>

use super::entry::Entry;
use super::{audit, stamp};
use crate::find::find;
use crate::object::{entries, flattened, scalar};
use crate::time::{self, Stamp};
use crate::{Event, fields};

/// Bytes of an object within which its time is looked for.
const TIME_BYTES_MAX: usize = 2048;

/// Keys of a time, the server's own first.
const TIME_KEYS: [&[u8]; 3] = [b"\"timestamp\":\"", b"\"log_time\":\"", b"\"ts\":\""];

/// A line that is one object, as far as its ends tell, or begins as the server's do.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{\"")
        && (line.starts_with(b"{\"timestamp\":\"") || line.trim_ascii_end().ends_with(b"}"))
}

/// The text of the object's own time, for the framer to carry.
pub(super) fn stamp_of(line: &[u8]) -> Option<&[u8]> {
    let tail = &line[line.len() - line.len().min(TIME_BYTES_MAX)..];
    let parts = [&line[..line.len().min(TIME_BYTES_MAX)], tail];
    let places = TIME_KEYS.iter().flat_map(|key| parts.map(|part| (part, *key)));
    for (part, key) in places {
        if let Some(at) = find(part, key) {
            let text = &part[at + key.len()..];
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
    if let Some(record) = parts.iter().find(|part| part.key == b"record")
        && read_record(record.value, entry, event)
    {
        let mut around = parts;
        around.retain(|part| !matches!(part.key, b"record" | b"level" | b"ts" | b"msg"));
        if let Some(around) = flattened(&around, fields::tahoe::FIELDS, event) {
            event.set(fields::tahoe::FIELDS, around);
        }
        return Some(Object::Log);
    }
    let (mut line, mut stamp, mut severity, mut others) = (None, None, None, Vec::new());
    for part in parts {
        let value = scalar(part.value, event);
        match (part.key, value) {
            (b"textPayload" | b"log" | b"message" | b"line" | b"msg", Some(value))
                if line.is_none() =>
            {
                line = Some(value.trim_end_matches(['\n', '\r']));
            }
            (b"timestamp" | b"@timestamp" | b"time" | b"ts", Some(value)) if stamp.is_none() => {
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
            (b"severity" | b"level", Some(value)) if severity.is_none() => severity = Some(value),
            _ => others.push(part),
        }
    }
    let Some(line) = line else { return Some(Object::Unknown(stamp)) };
    if let Some(others) = flattened(&others, fields::tahoe::FIELDS, event) {
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

/// A row of csvlog as CloudNativePG's objects hold it, by the names of its columns; pgAudit's are
/// in an object inside. Says whether it was one.
fn read_record<'a>(record: &'a [u8], entry: &mut Entry<'a>, event: &mut Event<'a>) -> bool {
    let Some(columns) = entries(record, event) else { return false };
    if !columns.iter().any(|column| column.key == b"log_time") {
        return false;
    }
    for column in columns {
        match scalar(column.value, event) {
            Some(value) if !value.is_empty() => set(column.key, value, entry),
            None if column.key == b"audit" => {
                let statement = audit::read_object(column.value, event);
                entry.message = entry.message.or(statement);
            }
            _ => {}
        }
    }
    true
}

fn set<'a>(key: &[u8], value: &'a str, entry: &mut Entry<'a>) {
    let place = match key {
        b"timestamp" | b"log_time" => &mut entry.time,
        b"user" | b"user_name" => &mut entry.user,
        b"dbname" | b"database_name" => &mut entry.database,
        b"pid" | b"process_id" => &mut entry.pid,
        b"remote_host" | b"connection_from" => &mut entry.remote,
        b"remote_port" => &mut entry.remote_port,
        b"session_id" => &mut entry.session_id,
        b"line_num" | b"session_line_num" => &mut entry.session_line,
        b"ps" | b"command_tag" => &mut entry.command_tag,
        b"session_start" | b"session_start_time" => &mut entry.session_start,
        b"vxid" | b"virtual_transaction_id" => &mut entry.virtual_transaction,
        b"txid" | b"transaction_id" => &mut entry.transaction,
        b"error_severity" => &mut entry.severity,
        b"state_code" | b"sql_state_code" => &mut entry.sql_state,
        b"message" => &mut entry.message,
        b"detail" => &mut entry.detail,
        b"hint" => &mut entry.hint,
        b"internal_query" => &mut entry.internal_query,
        b"internal_position" | b"internal_query_pos" => &mut entry.internal_position,
        b"context" => &mut entry.context,
        b"statement" | b"query" => &mut entry.statement,
        b"cursor_position" | b"query_pos" => &mut entry.position,
        b"location" => &mut entry.location,
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
