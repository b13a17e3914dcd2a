//! What the scripts of Galera's state transfer write between the server's lines:
//! `WSREP_SST: [INFO] Streaming the backup (20261121 09:00:00.123)`, of Percona's cluster
//! `<tab>2026-11-21T09:00:00.123456Z WSREP_SST: [INFO] Proceeding`.

use crate::datasets::mysql::stamp;
use crate::find::Find;
use crate::time::{self, Stamp};

const MARK: &str = "WSREP_SST: [";

/// Whether a line is one of them that does not begin with its time.
pub(super) fn begins(line: &[u8]) -> bool {
    if !matches!(line.first(), Some(b'W' | b'\t' | b' ')) {
        return false;
    }
    let line = line.trim_ascii_start();
    let length = stamp::parse(line).map_or(0, |(_, length)| length);
    line[length..].trim_ascii_start().starts_with(MARK.as_bytes())
}

/// The level in a message.
pub(super) fn level(message: &str) -> Option<&str> {
    message.strip_prefix(MARK)?.split_on_byte(b']').map(|(level, _)| level)
}

/// The time in brackets that a message of MariaDB's scripts ends with.
pub(super) fn time(message: &str) -> Option<Stamp> {
    let line = message.split('\n').next()?.trim_end();
    let text = line.strip_prefix(MARK)?.strip_suffix(')')?.rsplit_once('(')?.1;
    let (day, clock) =
        text.split_on_byte(b' ').filter(|(day, _)| day.len() == 8 && day.is_ascii())?;
    let text = format!("{}-{}-{} {clock}", &day[..4], &day[4..6], &day[6..]);
    let (stamp, length) = time::parse_iso(text.as_bytes())?;
    (length == text.len()).then_some(stamp)
}
