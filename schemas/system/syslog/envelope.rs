//! What precedes the message: RFC 5424, or RFC 3164 as it is really written (no `<PRI>` in files,
//! no host, an ISO 8601 stamp, a year in the stamp). One pass from left to right over borrowed
//! text.

use tahoe_seams::Rejection;

use super::clock;
use super::codes::{priority_of_columns, priority_of_word};
use super::device::{Device, device, meraki};
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
    /// A message follows, without a host.
    pub is_bare: bool,
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
    /// The level that macOS writes after the tag, and others before it.
    pub level: Option<&'a str>,
    /// What kind of message it is: a number of Solaris and ProCurve, a topic of MikroTik.
    pub kind: Option<&'a str>,
    /// The number that a network device gives the message.
    pub sequence: Option<u64>,
    /// The header is that of RFC 5424.
    pub is_5424: bool,
    /// What remains.
    pub message: &'a str,
}

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
        is_bare: false,
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
                    return match meraki(rest) {
                        Some(found) => head.of_device(found, length),
                        None => head,
                    };
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
        head.is_bare = clock::precedes_a_message(&rest[..used]);
        return head;
    }
    head.of_other(rest, at, read_at_ms)
}

impl<'a> Head<'a> {
    /// With what begins at `at` in place of a stamp. By value, so that a head with a stamp, which is
    /// the usual one, is written where it is to be.
    #[inline(never)]
    fn of_other(self, rest: &'a [u8], at: usize, read_at_ms: i64) -> Self {
        match device(rest, read_at_ms) {
            Some(found) => self.of_device(found, at),
            None => self.of_columns(rest, at, read_at_ms),
        }
    }

    /// With the header of a device, which begins at `at`.
    fn of_device(self, found: Device<'a>, at: usize) -> Self {
        Self {
            stamp: found.stamp,
            stamp_at: at + found.stamp_at,
            end: at + found.stamp_end,
            device: Some(Device { body: at + found.body, ..found }),
            ..self
        }
    }

    /// With `kern  :info  : `, perhaps with a time behind it (`dmesg --decode`).
    fn of_columns(self, rest: &[u8], at: usize, read_at_ms: i64) -> Self {
        let Some((priority, used)) = priority_of_columns(rest) else { return self };
        let (stamp_at, found) = (at + used, stamp(&rest[used..], read_at_ms));
        Self {
            priority: Some(priority),
            stamp: found.map(|(stamp, _)| stamp),
            stamp_at,
            end: stamp_at + found.map_or(0, |(_, used)| used),
            is_bare: true,
            ..self
        }
    }
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
        let rest = &text[head.device.as_ref().map_or(head.end, |device| device.body)..];
        if rest.trim_ascii().is_empty() {
            let reason = "nothing after the priority and time";
            return Err(Rejection::at("empty_message", reason, head.end));
        }
        let version = head.version.and_then(|version| std::str::from_utf8(version).ok());
        let mut envelope =
            Self { priority: head.priority, version, stamp: head.stamp, ..Self::default() };
        if let Some(device) = &head.device {
            envelope.device(device);
            envelope.tag_of_program(rest);
            return Ok(envelope);
        }
        if head.is_bare {
            envelope.bare(rest);
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
        if envelope.message.starts_with("[ID ") {
            envelope.message_id();
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
        self.appname = device.program.and_then(|program| std::str::from_utf8(program).ok());
    }

    /// What follows a device's header: a tag, or the message where the program is known.
    fn tag_of_program(&mut self, rest: &'a str) {
        match self.appname {
            Some(_) => self.message = rest,
            None => self.tag(rest),
        }
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
        if word == "Message" && self.forwarded(rest) {
            return;
        }
        if tag_at_once && after.starts_with("last message repeated") && !word.contains('[') {
            self.hostname = Some(&word[..word.len() - 1]);
            self.message = after;
        } else if tag_at_once {
            self.tag(rest);
        } else if is_host(word) {
            self.hostname = Some(bare_host(word)).filter(|host| *host != "(none)");
            let after = self.without_priority(after.trim_start_matches(' '));
            self.tag_of_device(without_name_again(after, word), read_at_ms);
        } else {
            self.message = rest;
            if rest.starts_with("(\"") {
                self.tag(rest);
            }
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
        match likely.then(|| device(bytes, read_at_ms).or_else(|| meraki(bytes))).flatten() {
            Some(device) if device.body > 0 => {
                self.device(&device);
                if !device.unsynchronised {
                    self.stamp = device.stamp.or(self.stamp);
                }
                self.tag_of_program(&rest[device.body..]);
            }
            _ if rest.starts_with("Message") && self.forwarded(rest) => {}
            _ => self.tag(rest),
        }
    }

    /// `Message forwarded from HOST: `, which AIX' syslogd writes before what another host sent.
    fn forwarded(&mut self, rest: &'a str) -> bool {
        let Some((host, after)) =
            rest.strip_prefix("Message forwarded from ").and_then(|rest| rest.split_on(": "))
        else {
            return false;
        };
        if !is_host(host) || host.bytes().any(|byte| byte == b' ') {
            return false;
        }
        self.hostname = Some(host);
        let after = self.without_priority(after.trim_start_matches(' '));
        self.tag(after);
        true
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

/// What follows a host's name that some of Ubiquiti's devices write twice before a tag.
fn without_name_again<'a>(rest: &'a str, host: &str) -> &'a str {
    if rest.as_bytes().first() != host.as_bytes().first() {
        return rest;
    }
    let after = rest.strip_prefix(host).and_then(|rest| rest.strip_prefix(' '));
    let is_tagged = |after: &&str| {
        after.split_on_byte(b' ').is_some_and(|(word, _)| word.ends_with(':') && word.len() > 1)
    };
    after.filter(is_tagged).unwrap_or(rest)
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
