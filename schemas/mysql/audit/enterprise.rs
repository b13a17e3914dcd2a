//! MySQL Enterprise Audit's JSON, which Percona's audit log filter writes too
//! (<https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>).

use super::meaning::{self, Happened};
use super::{filter, mariadb, named};
use crate::datasets::mysql::stamp;
use crate::find::Find;
use crate::object::{entries, flattened, object, scalar};
use crate::scan::{Entries, Entry};
use crate::time::Stamp;
use crate::{Event, Field, Transformation, fields};

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Host,
    Address,
}

use fields::mysqlenterprise::audit as log;

/// The account in an event about accounts: the one that it is about, not the client's.
const TARGET: &str = "target";

/// Object, key and field; an event's own keys are in no object.
static KEYS: [(&str, &str, Field, Kind); 35] = [
    ("", "id", log::ID, Kind::Number),
    ("", "connection_id", log::CONNECTION_ID, Kind::Number),
    ("account", "host", fields::client::DOMAIN, Kind::Host),
    ("login", "user", log::login::USER, Kind::Text),
    ("login", "os", fields::client::user::NAME, Kind::Text),
    ("login", "ip", fields::client::IP, Kind::Address),
    ("login", "proxy", log::login::PROXY, Kind::Text),
    ("connection_data", "connection_type", log::connection_data::CONNECTION_TYPE, Kind::Text),
    ("connection_data", "status", log::connection_data::STATUS, Kind::Number),
    ("connection_data", "db", log::connection_data::DB, Kind::Text),
    ("general_data", "command", log::general_data::COMMAND, Kind::Text),
    ("general_data", "sql_command", log::general_data::SQL_COMMAND, Kind::Text),
    ("general_data", "query", log::general_data::QUERY, Kind::Text),
    ("general_data", "status", log::general_data::STATUS, Kind::Number),
    // Percona's further classes, of the same statements and others.
    ("query_data", "query", log::general_data::QUERY, Kind::Text),
    ("query_data", "status", log::general_data::STATUS, Kind::Number),
    ("query_data", "sql_command", log::general_data::SQL_COMMAND, Kind::Text),
    ("command_data", "command", log::general_data::COMMAND, Kind::Text),
    ("command_data", "status", log::general_data::STATUS, Kind::Number),
    ("parse_data", "query", log::general_data::QUERY, Kind::Text),
    ("global_variable_data", "sql_command", log::general_data::SQL_COMMAND, Kind::Text),
    ("stored_program_data", "db", fields::mysql::audit::DATABASE, Kind::Text),
    ("message_data", "message", fields::MESSAGE, Kind::Text),
    ("authentication_data", "status", log::general_data::STATUS, Kind::Number),
    (TARGET, "user", fields::user::target::NAME, Kind::Text),
    (TARGET, "host", fields::user::target::DOMAIN, Kind::Text),
    ("table_access_data", "db", log::table_access_data::DB, Kind::Text),
    ("table_access_data", "table", log::table_access_data::TABLE, Kind::Text),
    ("table_access_data", "query", log::table_access_data::QUERY, Kind::Text),
    ("table_access_data", "sql_command", log::table_access_data::SQL_COMMAND, Kind::Text),
    ("startup_data", "server_id", fields::service::ID, Kind::Text),
    ("", "server_id", fields::service::ID, Kind::Text),
    ("startup_data", "os_version", fields::host::os::FULL, Kind::Text),
    ("startup_data", "mysql_version", fields::service::VERSION, Kind::Text),
    ("shutdown_data", "server_id", log::shutdown_data::SERVER_ID, Kind::Number),
];

/// Says whether the entries of a record are those of an event.
pub(super) fn set<'a>(record: &str, outer: Entries<'a>, event: &mut Event<'a>) -> bool {
    let text = |key: &[u8], event: &Event<'a>| {
        let entry = outer.iter().find(|entry| entry.key == key)?;
        scalar(entry.value, event)
    };
    let (class, what) = (text(b"class", event), text(b"event", event));
    if class.is_none() && what.is_none() {
        return false;
    }
    let number = text(b"time", event).and_then(since_epoch);
    if let Some(stamp) = number.or_else(|| at(text(b"timestamp", event)?, record)) {
        event.time(stamp);
    }
    let mut others = Entries::new();
    for entry in &outer {
        if !entry.value.starts_with(b"{") {
            set_key("", *entry, event, &mut others);
            continue;
        }
        let of = match event.sound(entry.key).unwrap_or_default() {
            "account" if class == Some("authentication") => TARGET,
            of => of,
        };
        for inner in entries(entry.value, event).unwrap_or_default() {
            set_key(of, inner, event, &mut others);
        }
    }
    if let Some(value) = flattened(&others, fields::mysql::audit::FIELDS, event) {
        event.set(fields::mysql::audit::FIELDS, value);
    }
    let queries = [log::general_data::QUERY, log::table_access_data::QUERY];
    if let Some(query) = queries.iter().find_map(|field| event.get_str(*field)) {
        event.set(fields::MESSAGE, query);
    }
    let status = [log::connection_data::STATUS, log::general_data::STATUS];
    let status = status.iter().find_map(|field| match event.get(*field) {
        Some(crate::Value::I64(number)) => Some(number),
        _ => None,
    });
    let (class, what) = (class.unwrap_or_default(), what.unwrap_or_default());
    meaning::set(Happened { class, event: what, status }, event);
    true
}

/// Sets a field, or keeps the value among the others.
fn set_key<'a>(of: &'a str, entry: Entry<'a>, event: &mut Event<'a>, others: &mut Entries<'a>) {
    let key = event.sound(entry.key).unwrap_or_default();
    if set_special(of, key, entry.value, event) {
        return;
    }
    let known = KEYS.iter().find(|(object, name, ..)| *object == of && *name == key);
    let text = scalar(entry.value, event);
    if let (Some((.., field, kind)), Some(text)) = (known, text)
        && set_value(*field, *kind, text, event)
    {
        return;
    }
    let is_nothing = matches!(entry.value, b"\"\"" | b"null" | b"{}" | b"[]");
    if is_nothing {
        match known {
            Some((.., field, _)) => event.null_removed(*field),
            None => event.transformation_of(Transformation::NullRemoved, key),
        }
        return;
    }
    let path = match of {
        "" => key,
        of => event.format(format_args!("{of}.{key}")),
    };
    if !others.iter().any(|other: &Entry<'_>| other.key == path.as_bytes()) {
        others.push(Entry { key: path.as_bytes(), value: entry.value });
    }
}

fn set_value<'a>(field: Field, kind: Kind, text: &'a str, event: &mut Event<'a>) -> bool {
    match kind {
        _ if text.is_empty() => return false,
        Kind::Text => event.set(field, text),
        Kind::Host => return meaning::set_host(text, event),
        Kind::Address => return meaning::set_address(text, event),
        Kind::Number => match text.parse::<i64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
    }
    true
}

/// Keys that are more than a field of their own. Says whether it was one.
fn set_special<'a>(of: &str, key: &str, value: &'a [u8], event: &mut Event<'a>) -> bool {
    let text = scalar(value, event);
    match (of, key) {
        ("", "timestamp") => text.and_then(written).is_some(),
        ("", "time") => text.and_then(since_epoch).is_some(),
        ("", "class" | "event") => text.is_some(),
        ("account", "user") => {
            match text {
                Some("") | None => event.null_removed(fields::server::user::NAME),
                Some(user) => meaning::set_account(user, event),
            }
            true
        }
        // The filter repeats the account there.
        ("login", "user") => text.is_some_and(|user| user.has("] @ ")),
        ("startup_data", "args") => set_arguments(value, event),
        ("connection_data", "connection_attributes") => set_attributes(value, event),
        ("query_statistics", "query_time") => {
            let Some(seconds) = text.and_then(|text| text.parse::<f64>().ok()) else {
                return false;
            };
            let nanos = (seconds * 1e9).round();
            if !(0.0..9e18).contains(&nanos) {
                return false;
            }
            event.set(fields::event::DURATION, nanos as u64);
            true
        }
        _ => false,
    }
}

/// The same time as a number: of MySQL Enterprise seconds, of Percona microseconds.
fn since_epoch(text: &str) -> Option<Stamp> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let micros = mariadb::stamp(text.as_bytes()).filter(|_| is_number);
    micros.map(|(stamp, _)| stamp).or_else(|| stamp::epoch(text).filter(|_| is_number))
}

fn written(text: &str) -> Option<Stamp> {
    stamp::parse(text.as_bytes())
        .filter(|(_, length)| *length == text.len())
        .map(|(stamp, _)| stamp)
}

/// What a time in words means, which names no zone: it is in UTC, but of Percona in the server's.
fn at(text: &str, record: &str) -> Option<Stamp> {
    let stamp = written(text)?;
    let is_local = stamp.offset_s.is_none() && filter::wrote(record.as_bytes());
    let offset_s = if is_local { None } else { stamp.offset_s.or(Some(0)) };
    Some(Stamp { offset_s, ..stamp })
}

fn set_arguments<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let Some(list) = entries(value, event) else { return false };
    let mut arguments = event.list::<&'a str>();
    arguments.extend(list.iter().filter_map(|entry| scalar(entry.value, event)));
    let arguments = arguments.into_bump_slice();
    let line = event.alloc_str(&arguments.join(" "));
    event.set(fields::process::COMMAND_LINE, line);
    named::set_arguments(arguments, event);
    true
}

fn set_attributes<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let Some(mut attributes) = entries(value, event) else { return false };
    attributes.retain(|entry| {
        let pid = scalar(entry.value, event).and_then(|text| text.parse::<u32>().ok());
        match pid.filter(|_| entry.key == b"_pid") {
            Some(pid) => event.set(fields::process::PID, pid),
            None => return true,
        }
        false
    });
    if let Some(value) = object(&attributes, event) {
        event.set(log::connection_data::CONNECTION_ATTRIBUTES, value);
    }
    true
}
