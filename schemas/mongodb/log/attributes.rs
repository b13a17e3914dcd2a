//! The values of a structured message, kept as they are in `mongodb.log.attr`; those that have
//! fields of their own, or need a type to be counted with, are set beside them.

use super::occasion::Occasion;
use super::outline::{Outline, outline};
use super::parser::{set_namespace, set_number, set_user};
use super::peer;
use crate::find::Find;
use crate::object::{entries, object, scalar};
use crate::scan::{Entries, Entry, Scan};
use crate::{Event, Field, Transformation, Value, fields, json};

/// What the values belong to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message<'a> {
    /// Its number, if it has one.
    pub id: Option<i64>,
    /// Its text.
    pub text: &'a str,
}

impl Message<'_> {
    fn is_operation(self) -> bool {
        self.id == Some(51803) || matches!(self.text, "Slow query" | "Slow in-progress query")
    }

    fn is_login(self) -> bool {
        let occasion = Occasion::of(self.id, self.text);
        matches!(occasion, Some(Occasion::Authenticated | Occasion::NotAuthenticated))
    }
}

fn is_failure(event: &Event<'_>) -> bool {
    matches!(event.get_str(fields::log::LEVEL), Some("fatal" | "error"))
}

pub(super) const NS_PER_MS: i64 = 1_000_000;
const NS_PER_US: i64 = 1000;

/// The field of a number or word, by the key that both formats have for it; versions differ in some.
fn plain_field(key: &str) -> Option<Field> {
    use fields::mongodb::log::operation;
    Some(match key {
        "keysExamined" | "nscanned" => operation::KEYS_EXAMINED,
        "docsExamined" | "nscannedObjects" => operation::DOCS_EXAMINED,
        "nreturned" => operation::DOCS_RETURNED,
        "nMatched" | "nmatched" => operation::DOCS_MATCHED,
        "nModified" | "nupdated" => operation::DOCS_MODIFIED,
        "ninserted" => operation::DOCS_INSERTED,
        "ndeleted" => operation::DOCS_DELETED,
        "keysInserted" => operation::KEYS_INSERTED,
        "keysDeleted" => operation::KEYS_DELETED,
        "writeConflicts" => operation::WRITE_CONFLICTS,
        "numYields" | "numYield" => operation::YIELDS,
        "reslen" | "responseLength" => operation::RESPONSE_BYTES,
        "cpuNanos" => operation::CPU_TIME_NS,
        "cursorid" => operation::CURSOR_ID,
        "queryHash" | "planCacheShapeHash" => operation::QUERY_HASH,
        "planCacheKey" => operation::PLAN_CACHE_KEY,
        "queryFramework" => operation::QUERY_FRAMEWORK,
        "protocol" => operation::PROTOCOL,
        "planSummary" => operation::PLAN_SUMMARY,
        "hasSortStage" | "scanAndOrder" => operation::SORT_STAGE,
        "usedDisk" => operation::USED_DISK,
        "appName" => fields::mongodb::log::APP_NAME,
        _ => return None,
    })
}

/// Sets a value by its key. Says whether there is a field for it.
pub(super) fn set_plain<'a>(key: &str, text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(field) = plain_field(key) else { return false };
    match field.kind() {
        "long" => set_number(field, text, event),
        "boolean" => event.set(field, matches!(text, "1" | "true")),
        _ => {
            event.set_clean(field, text);
        }
    }
    true
}

/// Sets `mongodb.log.attr` and what its keys stand for.
pub(super) fn set<'a>(attr: &'a [u8], message: Message<'a>, event: &mut Event<'a>) {
    let strict = entries(attr, event);
    let valid = strict.is_some();
    let found = strict.map(|entries| Outline { entries, whole: true });
    let Some(found) = found.or_else(|| event.sound(attr).map(outline)) else { return };
    for entry in &found.entries {
        promote(entry, message, event);
    }
    if valid && attr.iter().all(|byte| *byte >= 0x20) {
        if !found.entries.is_empty() {
            event.set(fields::mongodb::log::ATTR, Value::Raw(attr));
        }
        return;
    }
    let writable = if valid { found.entries } else { repaired(attr, found, event) };
    if let Some(value) = object(&writable, event) {
        event.set(fields::mongodb::log::ATTR, value);
    }
}

/// The entries of an object that the store would refuse: what is too deep or names a key twice is
/// kept as text.
fn repaired<'a>(attr: &'a [u8], found: Outline<'a>, event: &mut Event<'a>) -> Entries<'a> {
    event.transformation_of(Transformation::Stringified, fields::mongodb::log::ATTR.path());
    let mut keys: Vec<&[u8]> = found.entries.iter().map(|entry| entry.key).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).any(|two| two[0] == two[1]);
    let plain = |key: &&[u8]| key.iter().all(|byte| *byte >= 0x20 && *byte != b'\\');
    if !found.whole || twice || !keys.iter().all(plain) {
        return smallvec::smallvec![Entry { key: b"unparsed", value: quoted(attr, event) }];
    }
    let mut entries = found.entries;
    for entry in &mut entries {
        if Scan::new(entry.value).run() != Ok(entry.value.len()) {
            entry.value = quoted(entry.value, event);
        }
    }
    entries
}

fn quoted<'a>(value: &[u8], event: &Event<'a>) -> &'a [u8] {
    let mut out = Vec::with_capacity(value.len() + value.len() / 8);
    json::write_str(&String::from_utf8_lossy(value), &mut out);
    event.alloc_bytes(&out)
}

fn promote<'a>(entry: &Entry<'a>, message: Message<'a>, event: &mut Event<'a>) {
    let Some(key) = event.sound(entry.key) else { return };
    let Some(text) = scalar(entry.value, event) else {
        promote_object(key, entry.value, message, event);
        return;
    };
    match key {
        "remote" => peer::set(text, event),
        "client" if peer::is_peer(text) => peer::set(text, event),
        "connectionId" => set_number(fields::mongodb::log::connection::ID, text, event),
        "connectionCount" => set_number(fields::mongodb::log::connection::COUNT, text, event),
        "durationMillis" => set_time(fields::event::DURATION, text, NS_PER_MS, event),
        "durationMicros" => set_time(fields::event::DURATION, text, NS_PER_US, event),
        "workingMillis" => {
            set_time(fields::mongodb::log::operation::WORKING_TIME_NS, text, NS_PER_MS, event);
        }
        "planningTimeMicros" => {
            set_time(fields::mongodb::log::operation::PLANNING_TIME_NS, text, NS_PER_US, event);
        }
        "ns" | "namespace" => set_namespace(text, event),
        "type" if message.is_operation() => {
            event.set_clean(fields::mongodb::log::operation::TYPE, text);
        }
        "principalName" => set_user(text, event),
        "user" if message.is_login() => set_user(text, event),
        "authenticationDatabase" => {
            event.set_clean(fields::mongodb::log::auth::DATABASE, text);
        }
        "db" if message.is_login() => {
            event.set_clean(fields::mongodb::log::auth::DATABASE, text);
        }
        // The code of the error, which is 0 for none; in 4.4 its text.
        "result" if message.is_login() => match text.parse::<i64>() {
            Ok(0) => {}
            Ok(_) => event.set_if_absent(fields::error::CODE, text),
            Err(_) => set_error(text, event),
        },
        "mechanism" => {
            event.set_clean(fields::mongodb::log::auth::MECHANISM, text);
        }
        "error" if text.parse::<i64>().is_ok() => event.set(fields::error::CODE, text),
        "error" | "errMsg" | "errmsg" => set_error(text, event),
        "message" if is_failure(event) => set_error(text, event),
        "errName" | "codeName" => event.set(fields::error::TYPE, text),
        "errCode" => event.set(fields::error::CODE, text),
        "ok" if text == "0" => event.set(fields::event::OUTCOME, "failure"),
        "pid" if message.text.starts_with("MongoDB starting") => {
            set_number(fields::process::PID, text, event);
        }
        _ => {
            set_plain(key, text, event);
        }
    }
}

fn promote_object<'a>(key: &str, value: &'a [u8], message: Message<'a>, event: &mut Event<'a>) {
    if !value.starts_with(b"{") {
        return;
    }
    match key {
        "command" => {
            let first = first_key(value);
            if let Some(name) = first.filter(|name| !name.starts_with('$') && *name != "q") {
                event.set(fields::mongodb::log::operation::COMMAND, name);
            }
        }
        "error" => {
            let [code, name, text] = members(value, ["code", "codeName", "errmsg"], event);
            set_all([(fields::error::CODE, code), (fields::error::TYPE, name)], event);
            if let Some(text) = text {
                event.set(fields::error::MESSAGE, text);
            }
        }
        // What the storage engine says is an object itself in newer versions.
        "message" if is_failure(event) => {
            let [text, reason] = members(value, ["msg", "error_str"], event);
            match (text, reason) {
                (Some(text), Some(reason)) => {
                    let text = event.format(format_args!("{text}: {reason}"));
                    event.set(fields::error::MESSAGE, text);
                }
                (Some(text), None) => event.set(fields::error::MESSAGE, text),
                _ => {}
            }
        }
        "user" if message.is_login() => {
            let [user, database] = members(value, ["user", "db"], event);
            if let Some(user) = user {
                set_user(user, event);
            }
            set_all([(fields::mongodb::log::auth::DATABASE, database)], event);
        }
        "doc" => set_client(value, event),
        "buildInfo" => {
            let [version] = members(value, ["version"], event);
            set_all([(fields::service::VERSION, version)], event);
        }
        _ => {}
    }
}

/// What a driver says of itself when it connects: `{"driver":{…},"os":{…},"application":{…}}`.
fn set_client<'a>(value: &'a [u8], event: &mut Event<'a>) {
    for part in entries(value, event).unwrap_or_default() {
        match part.key {
            b"application" => {
                let [name] = members(part.value, ["name"], event);
                set_all([(fields::mongodb::log::APP_NAME, name)], event);
            }
            b"driver" => {
                let [name, version] = members(part.value, ["name", "version"], event);
                set_all(
                    [
                        (fields::mongodb::log::driver::NAME, name),
                        (fields::mongodb::log::driver::VERSION, version),
                    ],
                    event,
                );
            }
            _ => {}
        }
    }
}

fn set_all<'a, const N: usize>(found: [(Field, Option<&'a str>); N], event: &mut Event<'a>) {
    for (field, text) in found {
        if let Some(text) = text {
            event.set_clean(field, text);
        }
    }
}

/// The texts of some keys of an object.
fn members<'a, const N: usize>(
    value: &'a [u8],
    keys: [&str; N],
    event: &Event<'a>,
) -> [Option<&'a str>; N] {
    let found = entries(value, event).unwrap_or_default();
    keys.map(|key| {
        let entry = found.iter().find(|entry| entry.key == key.as_bytes())?;
        scalar(entry.value, event)
    })
}

/// A command's name is the first key of its document.
fn first_key(value: &[u8]) -> Option<&str> {
    let rest = value.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let name = &rest[..memchr::memchr(b'"', rest)?];
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains('\\'))
}

/// Sets an error's text and, where the text begins with it, its name: `UserNotFound: …`.
pub(super) fn set_error<'a>(text: &'a str, event: &mut Event<'a>) {
    if !event.set_clean(fields::error::MESSAGE, text) {
        return;
    }
    let named = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if let Some((name, _)) = text.split_on(": ").filter(|(name, _)| named(name)) {
        event.set_if_absent(fields::error::TYPE, name);
    }
}

/// Sets a time in nanoseconds from a number of units.
pub(super) fn set_time(field: Field, text: &str, unit_ns: i64, event: &mut Event<'_>) {
    if let Some(ns) = text.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_ns)) {
        event.set(field, ns);
    }
}
