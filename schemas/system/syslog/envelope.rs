//! What precedes the message: RFC 5424, or RFC 3164 as it is really written (no `<PRI>` in files,
//! no host, an ISO 8601 stamp, a year in the stamp). One pass from left to right over borrowed
//! text.

use tahoe_seams::Rejection;

use super::codes::priority_of_word;
use super::device::{Device, device};
pub use super::stamp::stamp;
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
    /// A header that is a device's own.
    pub device: Option<Device<'a>>,
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
    /// The number that a network device gives the message.
    pub sequence: Option<u64>,
    /// The header is that of RFC 5424.
    pub is_5424: bool,
    /// What remains.
    pub message: &'a str,
}

/// The most bytes of a program's name with spaces in it, as macOS has them.
const SPACED_TAG_BYTES_MAX: usize = 48;
/// Bytes in which a device's mnemonic begins: name, two counters, stamp and zone.
const DEVICE_BYTES_MAX: usize = 128;

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
        device: None,
    };
    let rest = &bytes[length..];
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=2).contains(&digits) && rest.get(digits) == Some(&b' ') {
        let at = length + digits + 1;
        let found = time::parse_iso(&bytes[at..]);
        let end = match found {
            Some((_, used)) => at + used,
            None => {
                let word = word_end(bytes, at);
                let is_nil = &bytes[at..word] == b"-";
                let is_wrong = length > 0 && bytes[at..word].contains(&b'T');
                if !is_nil && !is_wrong {
                    return head;
                }
                word
            }
        };
        head.version = Some(&rest[..digits]);
        head.stamp = found.map(|(stamp, _)| stamp);
        (head.stamp_at, head.end) = (at, end);
        return head;
    }
    let spaces = if length > 0 { rest.iter().take_while(|byte| **byte == b' ').count() } else { 0 };
    let (at, rest) = (length + spaces, &rest[spaces..]);
    if let Some((stamp, used)) = stamp(rest, read_at_ms) {
        head.stamp = Some(stamp);
        (head.stamp_at, head.end) = (at, at + used);
    } else if let Some(found) = device(rest, read_at_ms) {
        head.stamp = found.stamp;
        (head.stamp_at, head.end) = (at + found.stamp_at, at + found.stamp_end);
        head.device = Some(Device { body: at + found.body, ..found });
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
    let head = head(line, time::ANY_YEAR_MS);
    head.stamp?;
    Some(&line[head.stamp_at..head.end])
}

/// `<PRI>` and its length, which is 0 if there is none.
fn priority(bytes: &[u8]) -> (Option<u8>, usize) {
    let Some(rest) = bytes.strip_prefix(b"<") else { return (None, 0) };
    if rest.first() == Some(&b'>') {
        return (None, 2);
    }
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
        let rest = &text[head.device.map_or(head.end, |device| device.body)..];
        if rest.trim_ascii().is_empty() {
            let reason = "nothing after the priority and time";
            return Err(Rejection::at("empty_message", reason, head.end));
        }
        let version = head.version.and_then(|version| std::str::from_utf8(version).ok());
        let mut envelope =
            Self { priority: head.priority, version, stamp: head.stamp, ..Self::default() };
        if let Some(device) = head.device {
            envelope.device(&device);
            envelope.tag(rest);
            return Ok(envelope);
        }
        let iso = text.as_bytes().get(head.stamp_at).is_some_and(u8::is_ascii_digit);
        if version.is_some() || head.stamp.is_some() && iso && looks_like_5424(rest) {
            envelope.rfc5424(rest, event);
        } else if head.stamp.is_some() {
            envelope.rfc3164(rest, read_at_ms);
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
            let (word, after) = rest.split_on_byte(b' ').unwrap_or((rest, ""));
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

    /// What a network device's header says of itself.
    fn device(&mut self, device: &Device<'a>) {
        let name = device.name.and_then(|name| std::str::from_utf8(name).ok());
        self.hostname = name.or(self.hostname);
        self.sequence = device.sequence;
        self.level = device.level.and_then(|level| std::str::from_utf8(level).ok());
    }

    /// `[FACILITY.SEVERITY ][HOSTNAME ][FACILITY.SEVERITY ][TAG: ]MSG`
    fn rfc3164(&mut self, rest: &'a str, read_at_ms: i64) {
        // After a second space the host is missing, or the tag follows at once.
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let rest = self.without_priority(rest.strip_prefix(' ').unwrap_or(rest));
        let (word, after) = rest.split_on_byte(b' ').unwrap_or((rest, ""));
        if word.is_empty() {
            return self.after_two_spaces(rest.trim_start_matches(' '));
        }
        let tag_at_once = word.ends_with(':');
        if tag_at_once && after.starts_with("last message repeated") && !word.contains('[') {
            self.hostname = Some(&word[..word.len() - 1]);
            self.message = after;
        } else if tag_at_once {
            self.tag(rest);
        } else if is_host(word) {
            self.hostname = Some(bare_host(word)).filter(|host| *host != "(none)");
            let after = self.without_priority(after.trim_start_matches(' '));
            self.tag_of_device(after, read_at_ms);
        } else {
            self.message = rest;
        }
    }

    /// Junos and macOS have two spaces before the host, others no host between them.
    fn after_two_spaces(&mut self, rest: &'a str) {
        self.tag(rest);
        if self.appname.is_none()
            && let Some((host, after)) = rest.split_on_byte(b' ')
        {
            self.tag(after);
            match self.appname {
                Some(_) => self.hostname = Some(host),
                None => self.message = rest,
            }
        }
    }

    /// A device's own header may stand behind the one that its collector wrote. What its clock says
    /// is the time of the message, unless it says itself that the clock may be wrong.
    fn tag_of_device(&mut self, rest: &'a str, read_at_ms: i64) {
        let bytes = rest.as_bytes();
        let likely = matches!(bytes.first(), Some(b'0'..=b'9' | b'*' | b'.' | b':'))
            || memchr::memchr(b'%', &bytes[..bytes.len().min(DEVICE_BYTES_MAX)]).is_some();
        match likely.then(|| device(bytes, read_at_ms)).flatten() {
            Some(device) if device.body > 0 => {
                self.device(&device);
                if !device.unsynchronised {
                    self.stamp = device.stamp.or(self.stamp);
                }
                self.tag(&rest[device.body..]);
            }
            _ => self.tag(rest),
        }
    }

    /// Takes a word that says the priority away, if no `<PRI>` does.
    fn without_priority(&mut self, rest: &'a str) -> &'a str {
        if self.priority.is_some() {
            return rest;
        }
        let Some((word, after)) = rest.split_on_byte(b' ') else { return rest };
        match priority_of_word(word) {
            Some(priority) => {
                self.priority = Some(priority);
                after.trim_start_matches(' ')
            }
            None => rest,
        }
    }

    /// Only a tag can be recognised, and only one with a process or where a priority precedes.
    fn without_time(&mut self, rest: &'a str) {
        self.tag(rest.trim_start_matches(' '));
        if self.priority.is_none() && self.procid.is_none() {
            (self.appname, self.message) = (None, rest);
        }
    }

    /// Takes a tag that stands alone.
    pub(super) fn take_tag(&mut self, tag: &'a str) {
        let message = self.message;
        self.tag(tag.trim());
        self.message = message;
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

/// Whether a word may be a host's name; `(none)` is that of a system which was given none.
fn is_host(word: &str) -> bool {
    let first = |c: char| c.is_alphanumeric() || matches!(c, ':' | '[' | '_');
    word.starts_with(first) || word == "(none)"
}

/// A host's name without brackets around it.
fn bare_host(word: &str) -> &str {
    word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word)
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
