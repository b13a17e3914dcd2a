//! What a record begins with: `[time]\t[padding]id command\t`.

use crate::datasets::mysql::stamp;
use crate::time::Stamp;

/// A connection's number has at most that many digits.
const ID_DIGITS_MAX: usize = 20;
/// Bytes of a command that is not in the list.
const COMMAND_BYTES_MAX: usize = 32;

/// Commands of both servers, those first that others begin with.
const COMMANDS: [(&str, &str); 40] = [
    ("Query", "query"),
    ("Connect Out", "connect-out"),
    ("Connect", "connect"),
    ("Quit", "quit"),
    ("Init DB", "init-db"),
    ("Execute", "execute"),
    ("Prepare", "prepare"),
    ("Close stmt", "close-statement"),
    ("Reset stmt", "reset-statement"),
    ("Long Data", "long-data"),
    ("Fetch", "fetch"),
    ("Field List", "field-list"),
    ("Statistics", "statistics"),
    ("Ping", "ping"),
    ("Reset Connection", "reset-connection"),
    ("Reset connection", "reset-connection"),
    ("Change user", "change-user"),
    ("Set option", "set-option"),
    ("Refresh", "refresh"),
    ("Shutdown", "shutdown"),
    ("Processlist", "process-list"),
    ("Kill", "kill"),
    ("Debug", "debug"),
    ("Sleep", "sleep"),
    ("Time", "time"),
    ("Create DB", "create-database"),
    ("Drop DB", "drop-database"),
    ("Delayed insert", "delayed-insert"),
    ("Binlog Dump GTID", "binlog-dump-gtid"),
    ("Binlog Dump", "binlog-dump"),
    ("Table Dump", "table-dump"),
    ("Register Slave", "register-replica"),
    ("Register Replica", "register-replica"),
    ("Daemon", "daemon"),
    ("Group Replication Data Stream subscription", "subscribe-group-replication"),
    ("Clone", "clone"),
    ("Slave_worker", "replica-worker"),
    ("Slave_IO", "replica-io"),
    ("Slave_SQL", "replica-sql"),
    ("Error", "error"),
];

/// A command's name for `event.action`, if it is known.
pub(super) fn action_of(command: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(name, _)| *name == command).map(|(_, action)| *action)
}

/// The parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub stamp: Option<Stamp>,
    pub stamp_end: usize,
    pub thread: u64,
    /// Where the command begins and ends.
    pub command: (usize, usize),
    /// Its name for `event.action`, if it is known.
    pub action: Option<&'static str>,
}

impl Head {
    /// Reads the start of a line; one without a time begins with white space.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (stamp, stamp_end) = match stamp::parse(line) {
            Some((stamp, length)) => (Some(stamp), length),
            None => (None, 0),
        };
        let digits = skip_space(line, stamp_end).filter(|at| *at > stamp_end)?;
        let thread = leading_number(&line[digits..])?;
        let space = digits + thread.1;
        let at = skip_space(line, space).filter(|at| *at > space)?;
        let known = COMMANDS.iter().find(|(name, _)| is_word(&line[at..], name.as_bytes()));
        let (length, action) = match known {
            Some((name, action)) => (name.len(), Some(*action)),
            // Text in a statement may look like one, but only the server begins so.
            None if stamp.is_some() || line.starts_with(b"\t\t") => {
                (unknown_command(&line[at..])?, None)
            }
            None => return None,
        };
        let command = (at, at + length);
        Some(Self { stamp, stamp_end, thread: thread.0, command, action })
    }
}

fn skip_space(line: &[u8], from: usize) -> Option<usize> {
    let length = line[from..].iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    Some(from + length)
}

fn leading_number(text: &[u8]) -> Option<(u64, usize)> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > ID_DIGITS_MAX {
        return None;
    }
    let number = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((number, length))
}

/// A tab, the line's end, or the padding of old versions must follow.
fn is_word(text: &[u8], name: &[u8]) -> bool {
    let after = text.strip_prefix(name);
    after.is_some_and(|rest| matches!(rest, [] | [b'\t' | b'\r' | b'\n', ..] | [b' ', b' ', ..]))
}

/// The length of a capital and letters up to a tab.
fn unknown_command(text: &[u8]) -> Option<usize> {
    let head = &text[..text.len().min(COMMAND_BYTES_MAX + 1)];
    let length = memchr::memchr(b'\t', head)?;
    let (first, rest) = head[..length].split_first()?;
    let letters = rest.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'_'));
    (first.is_ascii_uppercase() && letters).then_some(length)
}
