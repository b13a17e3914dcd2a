//! `# Time` begins a record, and so does `# User@Host` where no `# Time` precedes. What the server
//! writes when it opens the log goes with the record that follows.

use tahoe_seams::{Cut, Framer};

use super::row;
use crate::datasets::mysql::{account, banner, lines, stamp};
use crate::find::{find, find_iter};

/// Bytes of a record in which its time is looked for: its head, and a statement's beginning.
const HEAD_BYTES_MAX: usize = 16 << 10;

pub(super) struct SlowFramer;

impl Framer for SlowFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        lines::cut(bytes, scanned, ended, &begins, &|record| lines::head(record, stamp_of(record)))
    }
}

#[derive(PartialEq)]
enum Line {
    Time,
    Account,
    Other,
}

/// A statement may hold comments of its own, which have neither a time nor an account; what was
/// made anonymous has nothing in their place.
fn kind(line: &[u8]) -> Line {
    let after = |key: &[u8]| line.strip_prefix(key).map(<[u8]>::trim_ascii);
    if let Some(time) = after(b"# Time:") {
        return if time.is_empty() || stamp::parse(time).is_some() {
            Line::Time
        } else {
            Line::Other
        };
    }
    match after(b"# User@Host:") {
        Some(account) if account.is_empty() || find(account, account::AT).is_some() => {
            Line::Account
        }
        _ => Line::Other,
    }
}

fn begins(before: &[u8], line: &[u8]) -> bool {
    let opens = banner::begins(line);
    if row::time_text(line).is_some() {
        return true;
    }
    if kind(line) == Line::Other && !opens {
        return false;
    }
    let previous = lines::last(before);
    let goes_on = kind(previous) == Line::Time && kind(line) == Line::Account;
    !goes_on && !banner::is_of(previous)
}

/// The text of the record's own time.
fn stamp_of(record: &[u8]) -> Option<&[u8]> {
    if let Some(text) = row::time_text(record) {
        return Some(text);
    }
    let head = &record[..record.len().min(HEAD_BYTES_MAX)];
    if let Some(at) = find(head, b"# Time: ")
        && (at == 0 || head[at - 1] == b'\n')
    {
        let text = &head[at + 8..];
        if let Some((_, length)) = stamp::parse(text) {
            return Some(&text[..length]);
        }
    }
    let mut settings = find_iter(head, b"SET ").filter_map(|at| {
        let begins = at == 0 || head[at - 1] == b'\n';
        let line = lines::first(&head[at..]);
        let text = &line[find(line, b"timestamp=")? + 10..];
        let text = text.strip_suffix(b";").filter(|_| begins)?;
        stamp::epoch(std::str::from_utf8(text).ok()?).map(|_| text)
    });
    settings.next()
}
