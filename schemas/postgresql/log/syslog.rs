//! `postgres[4711]: [5-2] #011from orders`: through syslog a message comes in chunks, one for each
//! of its lines and for every 900 bytes of them, numbered by message and chunk.
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-SYSLOG-SPLIT-MESSAGES>,
//! <https://devcenter.heroku.com/articles/heroku-postgres-logs>

use crate::Event;
use crate::datasets::system_syslog::head;
use crate::find::find;
use crate::time::Stamp;

use super::level::Label;
use super::recognised;

/// The tab before a further line: as it is, as rsyslog writes it, and as journalctl does.
const TABS: [&[u8]; 3] = [b"\t", b"#011", b"        "];

/// One chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'l> {
    pub stamp: Option<Stamp>,
    /// The text of the stamp.
    pub time: &'l [u8],
    pub priority: Option<u8>,
    pub host: &'l [u8],
    pub program: &'l [u8],
    pub pid: &'l [u8],
    /// The message's number in its session, and the chunk's in the message.
    number: Option<(&'l [u8], u32)>,
    pub text: &'l [u8],
}

/// The chunk that fills `line`; `read_at_ms` gives the year of a stamp without one.
pub(super) fn parse(line: &[u8], read_at_ms: i64) -> Option<Chunk<'_>> {
    let begins = match line.first()? {
        b'<' => true,
        b'0'..=b'9' => line.get(10) == Some(&b'T'),
        first => first.is_ascii_uppercase() && line.get(3) == Some(&b' '),
    };
    if !begins {
        return None;
    }
    let head = head(line, read_at_ms);
    if head.stamp.is_none() && head.priority.is_none() {
        return None;
    }
    let rest = line.get(head.end..)?;
    let (host, program, pid, text) =
        if head.version.is_some() { rfc5424(rest)? } else { tagged(rest)? };
    let (number, text) = numbered(text);
    let pid = memchr::memrchr(b'.', pid).map_or(pid, |dot| &pid[dot + 1..]);
    let ours = number.is_some() || program.starts_with(b"postgres") || program == b"pgbouncer";
    let time = &line[head.stamp_at.min(head.end)..head.end];
    let (stamp, priority) = (head.stamp, head.priority);
    (ours && is_number(pid)).then_some(Chunk {
        stamp,
        time,
        priority,
        host,
        program,
        pid,
        number,
        text,
    })
}

type Parts<'l> = (&'l [u8], &'l [u8], &'l [u8], &'l [u8]);

/// ` HOST PROGRAM PID MSGID - TEXT`
fn rfc5424(rest: &[u8]) -> Option<Parts<'_>> {
    let mut words = rest.strip_prefix(b" ")?.splitn(6, |byte| *byte == b' ');
    let (host, program, pid) = (words.next()?, words.next()?, words.next()?);
    let (_msgid, data, text) = (words.next()?, words.next()?, words.next()?);
    (data == b"-").then_some((host, program, pid, text))
}

/// ` [HOST ]PROGRAM[PID]: TEXT`
fn tagged(rest: &[u8]) -> Option<Parts<'_>> {
    let rest = rest.trim_ascii_start();
    let word = memchr::memchr(b' ', rest)?;
    let (host, rest) = match tag(&rest[..word]) {
        Some(_) => (&rest[..0], rest),
        None => (&rest[..word], rest[word..].trim_ascii_start()),
    };
    let word = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let (program, pid) = tag(&rest[..word])?;
    Some((host, program, pid, rest.get(word + 1..).unwrap_or_default()))
}

/// `PROGRAM[PID]:`, from Heroku's drains `app[postgres.PID]` too.
fn tag(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = word.strip_suffix(b"]:");
    let inside = colon.or_else(|| word.strip_suffix(b"]"))?;
    let open = memchr::memchr(b'[', inside).filter(|open| *open > 0)?;
    let pid = &inside[open + 1..];
    (colon.is_some() || pid.starts_with(b"postgres.")).then_some((&inside[..open], pid))
}

/// `[5-2] ` before the text; on Heroku the database's colour precedes it, on Solaris
/// `[ID 748848 local0.info] `.
fn numbered(text: &[u8]) -> (Option<(&[u8], u32)>, &[u8]) {
    let find = || {
        let mut rest = text.strip_prefix(b"[")?;
        if rest.first()?.is_ascii_uppercase() {
            let close = find(&rest[..rest.len().min(64)], b"] [")?;
            rest = &rest[close + 3..];
        }
        let window = &rest[..rest.len().min(24)];
        let close = memchr::memchr(b']', window)?;
        let dash = memchr::memchr(b'-', &window[..close])?;
        let (message, chunk) = (&rest[..dash], &rest[dash + 1..close]);
        let chunk = std::str::from_utf8(chunk).ok()?.parse().ok()?;
        let after = &rest[close + 1..];
        is_number(message).then_some(((message, chunk), after.strip_prefix(b" ").unwrap_or(after)))
    };
    match find() {
        Some((number, text)) => (Some(number), text),
        None => (None, text),
    }
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

impl Chunk<'_> {
    /// Whether `next` goes on with this chunk's message.
    pub(super) fn goes_on(&self, next: &Chunk<'_>) -> bool {
        if !self.is_of_sender(next) {
            return false;
        }
        match (self.number, next.number) {
            (Some((message, _)), Some((next, chunk))) => message == next && chunk > 1,
            (None, None) => TABS.iter().any(|tab| next.text.starts_with(tab)),
            _ => false,
        }
    }

    /// Whether `next` may be a note of this chunk's message: `syslog_sequence_numbers` is off, or
    /// the journal has what the server wrote to its standard error. There the number is always
    /// that of the server's first process, and the prefix has the session's.
    pub(super) fn may_have_notes(&self, next: &Chunk<'_>) -> bool {
        self.number.is_none() && next.number.is_none() && self.is_of_sender(next)
    }

    fn is_of_sender(&self, next: &Chunk<'_>) -> bool {
        (self.host, self.program, self.pid) == (next.host, next.program, next.pid)
    }
}

/// The message of a record whose lines are chunks, as the server would have written it to a file.
pub(super) fn assemble<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    let mut out = event.string(text.len());
    for (index, line) in text.lines().enumerate() {
        let Some(chunk) = parse(line.as_bytes(), 0) else {
            out.push('\n');
            out.push_str(line);
            continue;
        };
        let text = &line[line.len() - chunk.text.len()..];
        // A chunk that goes on with a long line begins with at most the space between two words.
        let begins_line =
            ["#011", "\t", "  "].iter().any(|tab| text.starts_with(tab)) || is_note(text);
        if index > 0 && begins_line {
            out.push('\n');
        }
        unescape(text, &mut out);
    }
    out.into_bump_str()
}

fn is_note(text: &str) -> bool {
    recognised::fit_unseen(text.as_bytes(), true)
        .is_some_and(|fit| matches!(fit.label, Label::Note(_)))
}

/// rsyslog writes control characters in octal.
fn unescape(text: &str, out: &mut bumpalo::collections::String<'_>) {
    let mut rest = text;
    while let Some(at) = rest.find("#01") {
        let character = match rest.as_bytes().get(at + 3) {
            Some(b'1') => '\t',
            Some(b'2') => '\n',
            Some(b'5') => '\r',
            _ => {
                out.push_str(&rest[..at + 3]);
                rest = &rest[at + 3..];
                continue;
            }
        };
        out.push_str(&rest[..at]);
        out.push(character);
        rest = &rest[at + 4..];
    }
    out.push_str(rest);
}
