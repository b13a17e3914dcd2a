//! Percona's JSON, `{"audit_record":{"name":"Query",…}}`, and its CSV, whose columns depend on the
//! name that stands first.

use super::named::{self, Pairs};
use crate::Event;
use crate::datasets::mysql::stamp;
use crate::find::Find;
use crate::object::{entries, scalar};
use crate::scan::Entry;

const AUDIT: [&str; 6] =
    ["name", "record", "timestamp", "mysql_version", "startup_options", "os_version"];
const CONNECT: [&str; 12] = [
    "name",
    "record",
    "timestamp",
    "connection_id",
    "status",
    "user",
    "priv_user",
    "os_login",
    "proxy_user",
    "host",
    "ip",
    "db",
];
const QUERY: [&str; 12] = [
    "name",
    "record",
    "timestamp",
    "command_class",
    "connection_id",
    "status",
    "sqltext",
    "user",
    "host",
    "os_user",
    "ip",
    "db",
];

/// Says whether the entries are those of such an object.
pub(super) fn set_object<'a>(outer: &[Entry<'a>], event: &mut Event<'a>) -> bool {
    let [Entry { key: b"audit_record", value }] = outer else { return false };
    let Some(inner) = entries(value, event) else { return false };
    let mut pairs = Pairs::with_capacity(inner.len());
    for entry in &inner {
        let key = event.sound(entry.key);
        if let (Some(key), Some(value)) = (key, scalar(entry.value, event)) {
            pairs.push((key, value));
        }
    }
    named::set(&pairs, event)
}

/// Whether a line begins a row: a name in quotes and a comma.
pub(super) fn begins_row(line: &[u8]) -> bool {
    let Some(body) = line.strip_prefix(b"\"") else { return false };
    let name = body.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b' ').count();
    name > 0 && body[0].is_ascii_uppercase() && body[name..].starts_with(b"\",")
}

/// The length of a row whose end is there: a line end outside of quotes, which are doubled inside.
pub(super) fn row_length(bytes: &[u8]) -> Option<usize> {
    let mut inside = false;
    for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
        match bytes[at] {
            b'"' => inside = !inside,
            _ if !inside => return Some(bytes[..at].trim_ascii_end().len()),
            _ => {}
        }
    }
    None
}

/// Says whether the text is a row.
pub(super) fn set_row<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let mut columns = Vec::with_capacity(QUERY.len());
    let mut rest = Some(text);
    while let Some(row) = rest.filter(|_| columns.len() <= QUERY.len()) {
        let (column, after) = column(row, event);
        columns.push(column);
        rest = after;
    }
    let names: &[&'static str] = match *columns.first().unwrap_or(&"") {
        "Audit" | "NoAudit" => &AUDIT,
        "Connect" | "Quit" | "Change user" => &CONNECT,
        _ => &QUERY,
    };
    let is_time = |text: &&str| stamp::parse(text.as_bytes()).is_some();
    if columns.len() > names.len() || !columns.get(2).is_some_and(is_time) {
        return false;
    }
    let pairs = names.iter().copied().zip(columns).collect();
    named::set(&pairs, event)
}

/// The first column, and what follows its comma.
fn column<'a>(row: &'a str, event: &Event<'a>) -> (&'a str, Option<&'a str>) {
    let Some(body) = row.strip_prefix('"') else {
        return match row.split_on_byte(b',') {
            Some((column, rest)) => (column, Some(rest)),
            None => (row, None),
        };
    };
    let (mut at, mut doubled) = (0, false);
    let end = loop {
        let Some(found) = memchr::memchr(b'"', &body.as_bytes()[at..]) else { break body.len() };
        at += found;
        if body.as_bytes().get(at + 1) != Some(&b'"') {
            break at;
        }
        doubled = true;
        at += 2;
    };
    let inside = &body[..end];
    let inside = if doubled { undoubled(inside, event) } else { inside };
    let rest = body.get(end + 1..).and_then(|rest| rest.strip_prefix(','));
    (inside, rest)
}

fn undoubled<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    let mut out = event.string(text.len());
    let mut parts = text.split("\"\"");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push('"');
        out.push_str(part);
    }
    out.into_bump_str()
}
