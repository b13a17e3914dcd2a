//! Percona's audit log filter writes MySQL Enterprise's JSON, but in the server's own zone, and, if
//! it is told to, microseconds since the epoch beside that
//! (<https://docs.percona.com/percona-server/8.4/audit-log-filter-formats.html>). No key says which
//! of the two wrote a record: its layout does, and what only Percona has. A record of both that is
//! on one line, as the filter writes in its form JSONL, is taken for MySQL Enterprise's.

use super::mariadb;
use crate::find::find;

/// MySQL Enterprise writes a record on one line.
const LAYOUT: &[u8] = b"{\n    \"timestamp\": \"";

/// Bytes within which a record says its class, its event and its account.
const HEAD_BYTES_MAX: usize = 512;

static CLASSES: [&[u8]; 6] =
    [b"authentication", b"command", b"global_variable", b"parse", b"query", b"stored_program"];

/// Of the classes that both have.
static EVENTS: [&[u8]; 4] = [b"log", b"error", b"result", b"pre_authenticate"];

/// Whether a record is one of the filter's.
pub(super) fn wrote(record: &[u8]) -> bool {
    if record.starts_with(LAYOUT) {
        return true;
    }
    let head = &record[..record.len().min(HEAD_BYTES_MAX)];
    let is_one = |key: &[u8], of: &[&[u8]]| value(head, key).is_some_and(|text| of.contains(&text));
    is_one(b"\"class\"", &CLASSES) || is_one(b"\"event\"", &EVENTS) || has_long_account(head)
}

/// The text of a key's value.
fn value<'a>(head: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = &head[find(head, key)? + key.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = rest.strip_prefix(b"\"")?;
    Some(&text[..memchr::memchr(b'"', text)?])
}

/// `"account": { "user": "root[root] @ localhost []", … }`
fn has_long_account(head: &[u8]) -> bool {
    let account = find(head, b"\"account\"").map(|at| &head[at..]);
    let account = account.and_then(|rest| Some(&rest[..memchr::memchr(b'}', rest)?]));
    account.is_some_and(|account| find(account, b"] @ ").is_some())
}

/// The digits of `", "time": 1680088623123456`, which follows a time.
pub(super) fn microseconds(after: &[u8]) -> Option<&[u8]> {
    let rest = after.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b",")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"time\"")?.trim_ascii_start();
    let digits = rest.strip_prefix(b":")?.trim_ascii_start();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    mariadb::stamp(&digits[..length]).map(|_| &digits[..length])
}
