//! What precedes the message: RFC 5424, or RFC 3164 as it is really written (no `<PRI>` in files,
//! no host, an ISO 8601 stamp, a year in the stamp). One pass from left to right over borrowed
//! text.

use tahoe_seams::Rejection;

use super::structured;
use crate::Event;
use crate::find::Find;
use crate::time::{self, Stamp};

/// The numbers and the time that a record begins with.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `facility * 8 + severity`, if it is one of the 192 that exist.
    pub priority: Option<u8>,
    /// A `<…>` with another number.
    pub priority_wrong: bool,
    /// The version of RFC 5424's header.
    pub version: Option<&'a [u8]>,
    /// The time.
    pub stamp: Option<Stamp>,
    /// Where its text begins.
    pub stamp_at: usize,
    /// One past it.
    pub end: usize,
}

/// A record's parts. `-`, RFC 5424's nil, is still in them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// Facility and severity.
    pub priority: Option<u8>,
    /// Of RFC 5424 only.
    pub version: Option<&'a str>,
    /// The time.
    pub stamp: Option<Stamp>,
    /// Who sent it.
    pub hostname: Option<&'a str>,
    /// The program.
    pub appname: Option<&'a str>,
    /// Its process.
    pub procid: Option<&'a str>,
    /// Of RFC 5424 only.
    pub msgid: Option<&'a str>,
    /// Of RFC 5424 only: a JSON object.
    pub structured: Option<&'a [u8]>,
    /// The level that macOS writes after the tag.
    pub level: Option<&'a str>,
    /// The header is that of RFC 5424.
    pub is_5424: bool,
    /// What remains.
    pub message: &'a str,
}

/// The most bytes of a program's name with spaces in it, as macOS has them.
const SPACED_TAG_BYTES_MAX: usize = 48;

/// Reads priority, version and time; what is not there is left out.
pub fn head(bytes: &[u8], read_at_ms: i64) -> Head<'_> {
    let (priority, length) = priority(bytes);
    let mut head = Head {
        priority,
        priority_wrong: length > 0 && priority.is_none(),
        version: None,
        stamp: None,
        stamp_at: length,
        end: length,
    };
    let rest = &bytes[length..];
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=2).contains(&digits) && rest.get(digits) == Some(&b' ') {
        let at = length + digits + 1;
        let found = time::parse_iso(&bytes[at..]);
        let word = word_end(bytes, at);
        let nil = &bytes[at..word] == b"-";
        let wrong = length > 0 && bytes[at..word].contains(&b'T');
        if found.is_some() || nil || wrong {
            head.version = Some(&rest[..digits]);
            head.stamp = found.map(|(stamp, _)| stamp);
            head.stamp_at = at;
            head.end = found.map_or(word, |(_, used)| at + used);
        }
        return head;
    }
    if let Some((stamp, used)) = stamp(rest, read_at_ms) {
        head.stamp = Some(stamp);
        head.end = length + used;
    }
    head
}

/// Whether a line begins with `<PRI>` or the name of a month, and a time is there. For formats of
/// which nothing begins so unless it came by syslog.
pub(crate) fn is_stamped(line: &[u8]) -> bool {
    let begins = matches!(line, [b'<', b'0'..=b'9', ..] | [b'A'..=b'Z', ..]);
    begins && stamp_text(line).is_some()
}

/// The text of a line's time.
pub(crate) fn stamp_text(line: &[u8]) -> Option<&[u8]> {
    // The year is only needed for the value.
    let head = head(line, 0);
    head.stamp?;
    Some(&line[head.stamp_at..head.end])
}

/// A stamp of either kind and its length.
pub fn stamp(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    if bytes.first()?.is_ascii_digit() {
        return time::parse_iso(bytes);
    }
    if let Some(found) = time::parse_rfc3164(bytes, read_at_ms) {
        return Some(found);
    }
    if let Some(found) = time::parse_month_first(bytes) {
        return Some(found);
    }
    if let Some(found) = of_other_month_name(bytes, read_at_ms) {
        return Some(found);
    }
    // `Oct 1 22:14:15`: the day is not padded.
    let head = bytes.first_chunk::<14>()?;
    if head[5] != b' ' {
        return None;
    }
    let mut padded = [b' '; 15];
    padded[..4].copy_from_slice(&head[..4]);
    padded[5..].copy_from_slice(&head[4..]);
    time::parse_rfc3164(&padded, read_at_ms).map(|(stamp, _)| (stamp, 14))
}

/// The months as strftime's `%b` writes them in French, German, Spanish, Italian and Portuguese
/// locales, where they differ from the English ones; no name means two months.
const OTHER_MONTHS: [(&str, &[u8; 3]); 28] = [
    ("janv", b"Jan"),
    ("ene", b"Jan"),
    ("gen", b"Jan"),
    ("févr", b"Feb"),
    ("fev", b"Feb"),
    ("mars", b"Mar"),
    ("mär", b"Mar"),
    ("märz", b"Mar"),
    ("avril", b"Apr"),
    ("avr", b"Apr"),
    ("abr", b"Apr"),
    ("mai", b"May"),
    ("mag", b"May"),
    ("juin", b"Jun"),
    ("giu", b"Jun"),
    ("juil", b"Jul"),
    ("lug", b"Jul"),
    ("août", b"Aug"),
    ("ago", b"Aug"),
    ("sept", b"Sep"),
    ("set", b"Sep"),
    ("okt", b"Oct"),
    ("ott", b"Oct"),
    ("out", b"Oct"),
    ("dez", b"Dec"),
    ("déc", b"Dec"),
    ("dic", b"Dec"),
    ("juli", b"Jul"),
];

/// The most bytes of such a name with its full stop.
const MONTH_BYTES_MAX: usize = 6;

/// `août 19 11:08:37`: RFC 3164's stamp from a system of another language.
fn of_other_month_name(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let window = &bytes[..bytes.len().min(MONTH_BYTES_MAX + 1)];
    let space = memchr::memchr(b' ', window)?;
    let name = std::str::from_utf8(&bytes[..space]).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let (_, english) = OTHER_MONTHS.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    let rest = &bytes[space..];
    // The day is one digit, two, or one after a second space.
    let padded = rest.get(2) == Some(&b' ');
    let used = if padded { 11 } else { 12 };
    let mut text = [b' '; 15];
    text[..3].copy_from_slice(*english);
    text[15 - used..].copy_from_slice(rest.get(..used)?);
    text[3] = b' ';
    let (stamp, _) = time::parse_rfc3164(&text, read_at_ms)?;
    Some((stamp, space + used))
}

/// `<PRI>` and its length, which is 0 if there is none.
fn priority(bytes: &[u8]) -> (Option<u8>, usize) {
    let Some(rest) = bytes.strip_prefix(b"<") else { return (None, 0) };
    let digits = rest.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || rest.get(digits) != Some(&b'>') {
        return (None, 0);
    }
    let number = rest[..digits].iter().fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (u8::try_from(number).ok().filter(|number| *number < 192), digits + 2)
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b' ', &bytes[at..]).map_or(bytes.len(), |length| at + length)
}

impl<'a> Envelope<'a> {
    /// Splits a record. One that ends with its priority or time is rejected (`empty_message`).
    pub fn parse(text: &'a str, read_at_ms: i64, event: &mut Event<'a>) -> Result<Self, Rejection> {
        let head = head(text.as_bytes(), read_at_ms);
        if head.priority_wrong {
            event.null_removed(crate::fields::log::syslog::PRIORITY);
        }
        let rest = &text[head.end..];
        if rest.trim_ascii().is_empty() {
            let reason = "nothing after the priority and time";
            return Err(Rejection::at("empty_message", reason, head.end));
        }
        let version = head.version.and_then(|version| std::str::from_utf8(version).ok());
        let mut envelope =
            Self { priority: head.priority, version, stamp: head.stamp, ..Self::default() };
        let iso = text.as_bytes().get(head.stamp_at).is_some_and(u8::is_ascii_digit);
        if version.is_some() || head.stamp.is_some() && iso && looks_like_5424(rest) {
            envelope.rfc5424(rest, event);
        } else if head.stamp.is_some() {
            envelope.rfc3164(rest);
        } else {
            envelope.without_time(rest);
        }
        Ok(envelope)
    }

    /// `HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA[ MSG]`
    fn rfc5424(&mut self, rest: &'a str, event: &mut Event<'a>) {
        self.is_5424 = true;
        let mut rest = rest.trim_start_matches(' ');
        for part in [&mut self.hostname, &mut self.appname, &mut self.procid, &mut self.msgid] {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            *part = Some(word).filter(|word| !word.is_empty());
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('-')
            && (after.is_empty() || after.starts_with(' '))
        {
            rest = after;
        } else if let Some((object, after)) = structured::parse(rest, event) {
            self.structured = Some(object);
            rest = after;
        }
        let message = rest.strip_prefix(' ').unwrap_or(rest);
        self.message = message.strip_prefix('\u{feff}').unwrap_or(message);
    }

    /// `[HOSTNAME ][TAG: ]MSG`
    fn rfc3164(&mut self, rest: &'a str) {
        // After a second space the host is missing, or the tag follows at once.
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if word.is_empty() {
            self.tag(rest.trim_start_matches(' '));
            return;
        }
        let tag_at_once = word.ends_with(':');
        if tag_at_once && after.starts_with("last message repeated") && !word.contains('[') {
            self.hostname = Some(&word[..word.len() - 1]);
            self.message = after;
        } else if tag_at_once {
            self.tag(rest);
        } else if word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, ':' | '[' | '_')) {
            self.hostname = Some(word);
            self.tag(after.trim_start_matches(' '));
        } else {
            self.message = rest;
        }
    }

    /// Only a tag can be recognised, and only one with a process or where a priority precedes.
    fn without_time(&mut self, rest: &'a str) {
        self.tag(rest.trim_start_matches(' '));
        if self.priority.is_none() && self.procid.is_none() {
            (self.appname, self.message) = (None, rest);
        }
    }

    /// `prog: `, `prog[pid]: `, `prog(module)[pid]: `, and macOS's `prog[pid] (of[pid]): ` and
    /// `prog[pid] <Level>: `.
    fn tag(&mut self, rest: &'a str) {
        // The colon of a tag without a name.
        let rest = rest.strip_prefix(": ").unwrap_or(rest);
        self.message = rest;
        let bytes = rest.as_bytes();
        let Some(end) = bytes.iter().position(|byte| matches!(byte, b':' | b'[' | b' ' | b'\t'))
        else {
            return;
        };
        let end = if bytes[end] == b' ' { spaced(rest).unwrap_or(end) } else { end };
        if end == 0 || matches!(bytes[end], b' ' | b'\t') {
            return;
        }
        // A `:` inside a word (`a::b[1]:`, a URL) does not end the tag.
        if bytes[end] == b':' {
            if matches!(bytes.get(end + 1), None | Some(b' ' | b'\t' | b'\n')) {
                self.appname = Some(&rest[..end]);
                self.message = rest[end + 1..].trim_start_matches(' ');
            }
            return;
        }
        let Some(length) = memchr::memchr(b']', &bytes[end..]) else { return };
        let (procid, after) = (&rest[end + 1..end + length], &rest[end + length + 1..]);
        let Some((level, message)) = after_procid(after) else { return };
        if procid.contains(' ') {
            return;
        }
        // Of launchd, the job is what the record is about: it stays in the name.
        let job = after.starts_with(" (").then(|| rest.len() - message.len() - 1);
        self.appname = Some(&rest[..job.unwrap_or(end)]);
        self.procid = Some(procid).filter(|procid| !procid.is_empty());
        self.level = level;
        self.message = message.trim_start_matches(' ');
    }
}

/// What follows `prog[pid]` up to the colon: nothing, `(job[pid])` or `<Level>`.
fn after_procid(after: &str) -> Option<(Option<&str>, &str)> {
    if let Some(message) = after.strip_prefix(':') {
        return Some((None, message));
    }
    if after.starts_with(" (") {
        return after.split_on("):").map(|(_, message)| (None, message));
    }
    let (level, message) = after.strip_prefix(" <")?.split_on(">:")?;
    level.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some((Some(level), message))
}

/// The end of a name with spaces: a capital first, a number in brackets and a colon after it.
fn spaced(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    if !bytes.first()?.is_ascii_uppercase() {
        return None;
    }
    let name = &bytes[..bytes.len().min(SPACED_TAG_BYTES_MAX)];
    let end = name.iter().position(|byte| matches!(byte, b'[' | b':' | b'='))?;
    let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let closed = bytes[end] == b'[' && digits > 0 && bytes[end + 1 + digits..].starts_with(b"]:");
    closed.then_some(end)
}

/// Whether ` HOST APP PROCID MSGID [-` follows a stamp: RFC 5424 whose start was cut off.
fn looks_like_5424(rest: &str) -> bool {
    let mut words = rest.trim_start_matches(' ').splitn(5, ' ');
    let (Some(_), Some(app), Some(procid), Some(_), Some(data)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let procid = procid == "-" || procid.bytes().all(|byte| byte.is_ascii_digit());
    let data = data == "-" || data.starts_with("- ") || data.starts_with('[');
    procid && data && !app.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_in_the_languages_that_systems_are_set_to() {
        let read_at_ms = 1_700_000_000_000;
        let english = |text: &str| stamp(text.as_bytes(), read_at_ms);
        for (other, text) in [
            ("août 19 11:08:37 h", "Aug 19 11:08:37 h"),
            ("janv.  3 01:02:03", "Jan  3 01:02:03"),
            ("févr. 28 01:02:03", "Feb 28 01:02:03"),
            ("Okt 01 23:59:59", "Oct 01 23:59:59"),
            ("dic 7 10:00:00 x", "Dec  7 10:00:00 x"),
        ] {
            let (stamp, used) = english(other).expect("a stamp");
            assert_eq!(Some(stamp), english(text).map(|(stamp, _)| stamp), "{other}");
            assert!(other[..used].ends_with(&text[13..15]), "{other}: {used} bytes");
        }
        for none in ["août", "août 19", "août 32 11:08:37", "mais 19 11:08:37", "août 19 11:08"]
        {
            assert!(english(none).is_none(), "{none}");
        }
    }
}
