//! An object, a line of text, or either of them in syslog's envelope; anything else is a message.

use tahoe_seams::{Record, Rejection};

use super::head::{self, Head};
use super::{document, sentence};
use crate::datasets::system_syslog;
use crate::find::Find;
use crate::time::{self, Stamp};
use crate::{Event, Field, Parser, Transformation, fields};

/// Where the text's lines between these two begin.
const BACKTRACE: &str = "----- BEGIN BACKTRACE -----";

pub(super) struct LogRecord;

impl Parser for LogRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_end();
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let own = head::stamp(text.as_bytes(), record.read_at_ms);
        if let Some((stamp, used)) = own.filter(|(_, used)| !is_of_syslog(&text[*used..])) {
            event.time(stamp);
            written(text[used..].trim_start_matches(' '), event);
        } else if !document::set(text, event) && !in_envelope(text, record.read_at_ms, event) {
            event.set(fields::MESSAGE, text);
        }
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(self.stamp(record.context, record.read_at_ms));
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        head::stamp(context, read_at_ms).map(|(stamp, _)| stamp)
    }
}

/// What follows the time in a line of text.
fn written<'a>(text: &'a str, event: &mut Event<'a>) {
    let head = Head::parse(text);
    if let Some(severity) = head.severity {
        set_severity(severity, event);
    }
    if let Some(component) = head.component {
        event.set_clean(fields::mongodb::log::COMPONENT, component);
    }
    if let Some(context) = head.context {
        set_context(context, event);
    }
    // What starts up lists its parts with spaces before them.
    let message = head.message.trim();
    if head.severity.is_none() && !event.has(fields::log::LEVEL) {
        old_level(message, event);
    }
    set_kind(event);
    if message.is_empty() {
        event.null_removed(fields::MESSAGE);
        return;
    }
    let (line, rest) = message.split_on_byte(b'\n').unwrap_or((message, ""));
    let line = line.trim_end();
    match rest.find(BACKTRACE) {
        Some(_) => {
            event.set(fields::error::STACK_TRACE, rest.trim_matches(['\r', '\n']));
            event.set(fields::MESSAGE, line);
        }
        None => event.set(fields::MESSAGE, message),
    }
    sentence::set(line, event);
}

/// The level of a server older than 3.0, which labels only what is above the usual.
fn old_level(message: &str, event: &mut Event<'_>) {
    let labels = [("warning: ", "warning"), ("ERROR: ", "error"), ("SEVERE: ", "fatal")];
    if let Some((_, level)) = labels.iter().find(|(label, _)| message.starts_with(label)) {
        event.set(fields::log::LEVEL, *level);
    } else {
        event.set(fields::log::LEVEL, "info");
        event.transformation_of(Transformation::LevelAssumed, "info");
    }
}

/// Whether ` host mongod.27017[pid]: …` follows a time, which is then syslog's: newer systems write
/// the server's own form of it to their files.
fn is_of_syslog(text: &str) -> bool {
    let mut words = text.trim_start_matches(' ').splitn(3, ' ');
    let (_host, program) = (words.next(), words.next().unwrap_or_default());
    (program.starts_with("mongod") || program.starts_with("mongos")) && program.ends_with("]:")
}

/// `<PRI>Mmm dd hh:mm:ss host mongod.27017[pid]: …`. Says whether it was one.
fn in_envelope<'a>(text: &'a str, read_at_ms: i64, event: &mut Event<'a>) -> bool {
    let bytes = text.as_bytes();
    if bytes[0] != b'<'
        && time::parse_rfc3164(bytes, time::ANY_YEAR_MS).or(time::parse_iso(bytes)).is_none()
    {
        return false;
    }
    let Ok(envelope) = system_syslog::Envelope::parse(text, read_at_ms, event) else {
        return false;
    };
    let Some(program) = envelope.appname.filter(|_| !envelope.message.is_empty()) else {
        return false;
    };
    system_syslog::common(&envelope, event);
    let is_server = program.starts_with("mongod") || program.starts_with("mongos");
    if is_server && !document::set(envelope.message, event) {
        written(envelope.message, event);
    }
    if let Some(stamp) = envelope.stamp
        && !event.has(fields::TIMESTAMP)
    {
        event.time(stamp);
    }
    true
}

/// Sets the level of the severities that both formats have.
pub(super) fn set_severity<'a>(severity: &'a str, event: &mut Event<'a>) {
    let level = match severity.as_bytes() {
        [b'F'] => "fatal",
        [b'E'] => "error",
        [b'W'] => "warning",
        [b'I'] => "info",
        [b'D'] | [b'D', b'1'..=b'5'] => "debug",
        _ => event.lower_case(severity),
    };
    event.set_level(severity, level);
    if severity.len() == 2 {
        event.set(fields::mongodb::log::SEVERITY, severity);
    }
}

/// Sets what kind of event component and level make this, as in Elastic's integration.
pub(super) fn set_kind(event: &mut Event<'_>) {
    let failed = matches!(event.get_str(fields::log::LEVEL), Some("fatal" | "error"));
    event.set(
        fields::event::TYPE,
        match (event.get_str(fields::mongodb::log::COMPONENT), failed) {
            (Some("ACCESS"), false) => &["access"][..],
            (Some("ACCESS"), true) => &["access", "error"],
            (Some("WRITE"), false) => &["change"],
            (Some("WRITE"), true) => &["change", "error"],
            (_, false) => &["info"],
            (_, true) => &["info", "error"],
        },
    );
}

/// Sets the thread, and the connection that it serves.
pub(super) fn set_context<'a>(context: &'a str, event: &mut Event<'a>) {
    if !event.set_clean(fields::mongodb::log::CONTEXT, context) {
        return;
    }
    if let Some(number) = context.strip_prefix("conn").and_then(|number| number.parse().ok()) {
        let number: u64 = number;
        event.set(fields::mongodb::log::connection::ID, number);
    }
}

/// Sets namespace, database and collection. Commands on a database alone are on `$cmd`.
pub(super) fn set_namespace<'a>(namespace: &'a str, event: &mut Event<'a>) {
    if !event.set_clean(fields::mongodb::log::NAMESPACE, namespace) {
        return;
    }
    let (database, collection) = namespace.split_on_byte(b'.').unwrap_or((namespace, ""));
    event.set(fields::mongodb::log::DATABASE, database);
    if !collection.is_empty() && !collection.starts_with("$cmd") {
        event.set(fields::mongodb::log::COLLECTION, collection);
    }
}

/// Sets who was, or was not, let in.
pub(super) fn set_user<'a>(user: &'a str, event: &mut Event<'a>) {
    if event.set_clean(fields::user::NAME, user) {
        event.set(fields::related::USER, user);
    }
}

/// Sets a number that has a field of its own.
pub(super) fn set_number(field: Field, text: &str, event: &mut Event<'_>) {
    if let Ok(number) = text.parse::<i64>() {
        event.set(field, number);
    }
}
