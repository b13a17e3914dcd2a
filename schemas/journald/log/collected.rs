//! What collectors make of an entry: fields of their own beside the journal's, and names in lower
//! case or without underscores (Fluent Bit's `Lowercase` and `Strip_Underscores`, and the same of
//! Fluentd's plugin). Where it was in the journal is left out, so that what is sure to be an entry
//! has to be seen by other fields.

use super::named;
use crate::Event;
use crate::datasets::app_json::json_stamp;
use crate::datasets::system_syslog::envelope;
use crate::scan::Entry;
use crate::time::Stamp;

/// journald's own limit of a name.
pub(super) const NAME_BYTES_MAX: usize = 64;
/// Bytes that a number of seconds since the epoch has had since 1973.
const EPOCH_BYTES_MIN: usize = 9;
/// What only journalctl writes.
const MARK: &str = "__REALTIME_TIMESTAMP";
/// What has this field came through the journal, whatever its names look like.
const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";

/// Whether journald itself vouches for a field of that name.
pub(super) fn is_trusted(name: &[u8]) -> bool {
    let Some(name) = name.starts_with(b"_").then(|| std::str::from_utf8(name).ok()).flatten()
    else {
        return false;
    };
    let read_otherwise = ["_HOSTNAME", "_PID", "_COMM", "_UID", "_GID"].contains(&name);
    let is_time = name == "_SOURCE_REALTIME_TIMESTAMP" || name == MARK;
    read_otherwise || is_time || named::taken(name).is_some()
}

/// Whether the identifier is a key of an object that fills `bytes`, in letters of either case.
pub(super) fn has_identifier(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'_', bytes).any(|at| {
        let from = at.checked_sub("SYSLOG".len());
        let name = from.and_then(|from| bytes.get(from..from + IDENTIFIER.len() + 1));
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"SYSLOG_IDENTIFIER\""))
    })
}

/// How the keys of an entry are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// As in the journal.
    Own,
    /// In lower case, or without underscores.
    Changed,
}

/// How the keys are written; `None` if they are of no entry. Only what journalctl prints itself
/// need not have a message.
pub(super) fn names(entries: &[Entry<'_>]) -> Option<Names> {
    if entries.iter().any(|entry| entry.key == MARK.as_bytes()) {
        return Some(Names::Own);
    }
    let has = |name: &[u8]| entries.iter().any(|entry| entry.key.eq_ignore_ascii_case(name));
    if !has(b"MESSAGE") {
        return None;
    }
    if entries.iter().any(|entry| is_trusted(entry.key)) {
        return Some(Names::Own);
    }
    has(IDENTIFIER).then_some(Names::Changed)
}

impl Names {
    /// The journal's name for a key.
    #[inline]
    pub(super) fn of_journal<'a>(self, key: &'a str, event: &Event<'a>) -> &'a str {
        if self == Self::Own || key.len() >= NAME_BYTES_MAX { key } else { renamed(key, event) }
    }
}

fn renamed<'a>(key: &'a str, event: &Event<'a>) -> &'a str {
    let mut name = event.string(key.len() + 1);
    name.push('_');
    name.push_str(key);
    name.make_ascii_uppercase();
    let name = name.into_bump_str();
    let bare = &name[1..];
    let is_bare = matches!(bare, "MESSAGE" | "PRIORITY") || bare.starts_with("SYSLOG_");
    if is_trusted(name.as_bytes()) {
        name
    } else if is_bare || is_trusted(bare.as_bytes()) || named::taken(bare).is_some() {
        bare
    } else {
        key
    }
}

/// Whether a field is no field of the journal: the names of those are in capitals.
#[inline]
pub(super) fn is_of_collector(name: &str) -> bool {
    !matches!(name.as_bytes(), [b'A'..=b'Z' | b'0'..=b'9' | b'_', ..])
}

/// The time that a collector writes beside an entry.
pub(super) fn stamp(name: &str, value: &[u8], read_at_ms: i64) -> Option<Stamp> {
    if !matches!(name, "timestamp" | "@timestamp" | "date" | "time") {
        return None;
    }
    let written = envelope::stamp(value, read_at_ms).filter(|(_, used)| *used == value.len());
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() >= EPOCH_BYTES_MIN);
    written.map(|(stamp, _)| stamp).or_else(|| json_stamp(text?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keys: &[&'static str]) -> Option<Names> {
        let entry = |key: &&'static str| Entry { key: key.as_bytes(), value: b"1" };
        names(&keys.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn an_entry_has_a_field_of_the_journal_and_a_message() {
        assert!(read(&["_TRANSPORT", "MESSAGE"]) == Some(Names::Own));
        assert!(read(&["_PID", "message"]) == Some(Names::Own));
        assert!(read(&["__REALTIME_TIMESTAMP"]) == Some(Names::Own));
        assert!(read(&["syslog_identifier", "message"]) == Some(Names::Changed));
        // GELF has an underscore before what is not its own.
        assert!(read(&["short_message", "_PID", "_TRANSPORT"]).is_none());
        assert!(read(&["MESSAGE", "PRIORITY"]).is_none());
        assert!(read(&["_id", "message"]).is_none());
    }

    #[test]
    fn the_identifier_is_found_as_a_key() {
        for text in ["{\"SYSLOG_IDENTIFIER\":1}", "{\"a_b\":1,\"syslog_identifier\":2}"] {
            assert!(has_identifier(text.as_bytes()), "{text}");
        }
        for text in ["_", "SYSLOG_", "{\"syslog_identifiers\":1}", "{\"message\":\"a_b\"}"] {
            assert!(!has_identifier(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_collector_may_write_its_time_in_any_way() {
        let read = |name, text: &str| stamp(name, text.as_bytes(), 0).map(|stamp| stamp.local_s);
        for text in ["1795251613.123456", "1795251613123", "2026-11-21T09:00:13.123Z"] {
            assert_eq!(read("date", text), Some(1_795_251_613), "{text}");
        }
        assert_eq!(read("date", "soon"), None);
        assert_eq!(read("date", "12"), None);
        assert_eq!(read("when", "1795251613"), None);
    }
}
