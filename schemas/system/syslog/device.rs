//! What network devices write before and in place of a tag.
//!
//! Cisco's IOS, IOS XR and NX-OS (the "System Message Format" of their guides): numbers that count
//! messages, the device's name, a `*` or `.` where its clock is not synchronised, a stamp with a
//! colon; or how long the device has been up. Then, as on ASA, `%FACILITY-SEVERITY-MNEMONIC: `.
//! AireOS has its task before the stamp (`*spamApTask0: `), and Meraki seconds since the epoch.
//! Fortinet's, Sophos' and SonicWall's devices write pairs of keys and values and nothing before
//! them.

use super::clock;
use super::pairs::pairs;
use super::stamp::stamp;
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, fields};

/// The most parts before a stamp: the sender's counter, the device's name, the device's counter.
const PARTS_MAX: usize = 3;
/// The most bytes of a device's name.
const NAME_BYTES_MAX: usize = 64;

/// What a device's header says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device<'a> {
    /// Its name.
    pub name: Option<&'a [u8]>,
    /// The number of the message.
    pub sequence: Option<u64>,
    /// The time, unless it says how long it has been up.
    pub stamp: Option<Stamp>,
    /// Where the stamp's text begins, and one past it.
    pub stamp_at: usize,
    /// One past the stamp.
    pub stamp_end: usize,
    /// Its clock is not synchronised.
    pub unsynchronised: bool,
    /// The level, of those that write it in words.
    pub level: Option<&'a [u8]>,
    /// The program, of those that write it before the stamp.
    pub program: Option<&'a [u8]>,
    /// Where the tag begins.
    pub body: usize,
}

/// Reads a header up to its tag; `None` if it is something else.
pub(super) fn device(bytes: &[u8], read_at_ms: i64) -> Option<Device<'_>> {
    if bytes.first().is_some_and(u8::is_ascii_lowercase)
        && let Some(device) = pairs(bytes, read_at_ms)
    {
        return Some(device);
    }
    let mut device = Device::default();
    let mut at = if bytes.first() == Some(&b':') { spaces(bytes, 1) } else { 0 };
    for _ in 0..=PARTS_MAX {
        let mark = matches!(bytes.get(at), Some(b'*' | b'.'));
        let from = at + usize::from(mark);
        if let Some((stamp, used)) = stamp(bytes.get(from..)?, read_at_ms) {
            let colon = spaces(bytes, from + used);
            if bytes.get(colon) != Some(&b':') {
                return None;
            }
            device.stamp = Some(stamp);
            (device.stamp_at, device.stamp_end) = (from, from + used);
            device.unsynchronised = mark;
            device.body = spaces(bytes, colon + 1);
            let sure = mark || device.sequence.is_some() || device.program.is_some();
            return (sure || is_tagged(&bytes[device.body..])).then_some(device);
        }
        if let Some(body) = uptime(bytes, at) {
            device.body = body;
            return Some(device);
        }
        let length = bytes[at..].iter().take(NAME_BYTES_MAX).position(|byte| *byte == b':')?;
        let word = &bytes[at..at + length];
        at = spaces(bytes, at + length + 1);
        if let Some(number) = number(word) {
            device.sequence = Some(number);
        } else if let Some(task) = word.strip_prefix(b"*").filter(|task| is_name(task)) {
            device.program = Some(task);
        } else if device.name.is_none() && is_name(word) {
            device.name = Some(word);
        } else {
            return None;
        }
    }
    None
}

/// `1 1795251613.774247467 MX84 `, as Meraki's devices begin, in which neither the version is that
/// of RFC 5424's header nor the rest.
pub(super) fn meraki(bytes: &[u8]) -> Option<Device<'_>> {
    const STAMP_AT: usize = "1 ".len();
    let (stamp, used) = clock::epoch(bytes.strip_prefix(b"1 ")?)?;
    let (name_at, stamp_end) = (STAMP_AT + used + 1, STAMP_AT + used);
    let length = bytes.get(name_at..)?.iter().take(NAME_BYTES_MAX).position(|b| *b == b' ')?;
    let name = Some(&bytes[name_at..name_at + length]).filter(|name| is_name(name))?;
    let body = spaces(bytes, name_at + length);
    let stamp = Some(stamp);
    Some(Device { name: Some(name), stamp, stamp_at: STAMP_AT, stamp_end, body, ..<_>::default() })
}

fn spaces(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count()
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit).then_some(word)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_name(word: &[u8]) -> bool {
    let fits =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    !word.is_empty() && word.iter().all(fits)
}

/// Where the tag begins behind `1w2d: `, `3d04h: ` or `00:01:02: `.
fn uptime(bytes: &[u8], at: usize) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'y' | b'w' | b'd' | b'h');
    let word = bytes[at..].iter().take_while(|byte| is_part(byte) || **byte == b':').count();
    let is_clock = |text: &[u8]| matches!(text, [_, _, b':', _, _, b':', _, _]);
    let text = bytes[at..at + word].strip_suffix(b":")?;
    let units = text.first()?.is_ascii_digit() && !text.last()?.is_ascii_digit();
    let is_time = is_clock(text) || units && text.iter().all(|byte| is_part(&byte));
    let body = spaces(bytes, at + word);
    let is_tagged = matches!(bytes.get(body..), Some([b'%', b'A'..=b'Z', ..]));
    (is_time && is_tagged).then_some(body)
}

/// `%FAC-5-NAME: `, or after a program as on IOS XR.
fn is_tagged(body: &[u8]) -> bool {
    if body.starts_with(b"%") {
        return true;
    }
    let word = body.iter().take(NAME_BYTES_MAX).position(|byte| *byte == b' ').unwrap_or(0);
    body[..word].ends_with(b":") && body[word..].starts_with(b" %")
}

/// `%FACILITY[-SUBFACILITY]-SEVERITY-MNEMONIC` at the start of a text, as Cisco's devices write it
/// (older ones of AireOS with `#`), or `%%10MODULE/SEVERITY/MNEMONIC`, with `(TYPE)` behind it, as
/// Huawei's and H3C's do.
pub(super) struct Mnemonic<'a> {
    facility: &'a str,
    severity: u8,
    code: &'a str,
}

impl<'a> Mnemonic<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = match text.as_bytes().first()? {
            b'%' | b'#' => &text[1..],
            _ => return None,
        };
        if let Some(text) = text.strip_prefix('%') {
            return Self::of_module(text);
        }
        let end = text.bytes().position(|byte| matches!(byte, b':' | b' ')).unwrap_or(text.len());
        let mut parts = text[..end].rsplitn(3, '-');
        let (code, severity, facility) = (parts.next()?, parts.next()?, parts.next()?);
        Self::of(facility, severity, code)
    }

    /// The same behind `%%`, which the version of the header follows.
    fn of_module(text: &'a str) -> Option<Self> {
        let [b'0'..=b'9', b'0'..=b'9', ..] = text.as_bytes() else { return None };
        let is_end = |byte| matches!(byte, b':' | b' ' | b'(' | b'[');
        let end = text.bytes().position(is_end).unwrap_or(text.len());
        let (module, rest) = text[2..end].split_on_byte(b'/')?;
        let (severity, code) = rest.split_on_byte(b'/')?;
        Self::of(module, severity, code)
    }

    fn of(facility: &'a str, severity: &str, code: &'a str) -> Option<Self> {
        let severity = match severity.as_bytes() {
            [digit @ b'0'..=b'7'] => digit - b'0',
            _ => return None,
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(fits);
        (is_word(facility) && is_word(code)).then_some(Self { facility, severity, code })
    }

    /// Sets what it says. Its severity is the level where no priority precedes.
    pub(super) fn set(&self, priority: Option<u8>, event: &mut Event<'a>) {
        event.set(fields::event::CODE, self.code);
        event.set(fields::event::PROVIDER, self.facility);
        event.set(fields::event::SEVERITY, self.severity);
        if priority.is_none() {
            event.set(fields::log::LEVEL, super::codes::level(self.severity));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_up_to_its_tag_and_nothing_else_is_one() {
        for (text, name, sequence, stamp, tag) in [
            (
                "000123: *Mar  1 00:00:00.123: %SYS-5-A: x",
                "",
                Some(123),
                "Mar  1 00:00:00.123",
                "%S",
            ),
            (
                "7: sw1: 8: .Nov 20 2026 18:46:11 CET: x",
                "sw1",
                Some(8),
                "Nov 20 2026 18:46:11 CET",
                "x",
            ),
            (": 2026 Nov 20 18:46:11 UTC: %E-5-F: x", "", None, "2026 Nov 20 18:46:11 UTC", "%E"),
            (
                "0/RP0:Nov 20 18:46:11.1 : a[6]: %C-6-D : x",
                "0/RP0",
                None,
                "Nov 20 18:46:11.1",
                "a[",
            ),
            ("45: 1w2d: %SYS-5-A: x", "", Some(45), "", "%S"),
            ("45: 00:01:02: %SYS-5-A: x", "", Some(45), "", "%S"),
            ("3d04h: %SYS-5-A: x", "", None, "", "%S"),
            (
                "date=2026-11-20 time=18:46:12 devname=\"f\" tz=\"+0100\" x",
                "f",
                None,
                "2026-11-20 time=18:46:12",
                "date=",
            ),
        ] {
            let found = device(text.as_bytes(), 1_795_000_000_000).expect(text);
            assert_eq!(found.name.unwrap_or_default(), name.as_bytes(), "{text}");
            assert_eq!(found.sequence, sequence, "{text}");
            assert_eq!(&text[found.stamp_at..found.stamp_end], stamp, "{text}");
            assert!(text[found.body..].starts_with(tag), "{text}");
        }
        let task = device(b"WLC1: *spamApTask0: Nov 20 18:46:11.123: #CAPWAP-3-A: x", 0);
        let task = task.expect("a header");
        assert_eq!((task.name, task.program), (Some(&b"WLC1"[..]), Some(&b"spamApTask0"[..])));
        for none in [
            "error: Nov 20 18:46:11: no",
            "123: no",
            "a: b: c: d: e",
            "45: 1w2d: no",
            ":",
            "12:30:15: %cpu",
            "date=today",
            "*a: *b: x",
            "",
            "*",
            "12: *Nov 20 18:46:11 no",
        ] {
            assert!(device(none.as_bytes(), 0).is_none(), "{none}");
        }
    }

    #[test]
    fn a_version_before_seconds_since_the_epoch_is_no_version() {
        let found = meraki(b"1 1795251613.774247467 MX84 flows src=192.0.2.1").expect("a header");
        assert_eq!((found.name, found.stamp_at, found.stamp_end), (Some(&b"MX84"[..]), 2, 22));
        assert_eq!(found.body, "1 1795251613.774247467 MX84 ".len());
        for none in ["1 1795251613.7", "1 1795251613 a b", "2 1795251613.7 a b", "1 1795251613.7 a"]
        {
            assert!(meraki(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn a_mnemonic_has_a_severity_of_one_digit() {
        let read = |text| Mnemonic::parse(text).map(|it| (it.facility, it.severity, it.code));
        assert_eq!(read("%ASA-6-302013"), Some(("ASA", 6, "302013")));
        assert_eq!(read("%%10SHELL/5/SHELL_LOGIN: x"), Some(("SHELL", 5, "SHELL_LOGIN")));
        assert_eq!(read("%%01SHELL/5/CMDRECORD(s)"), Some(("SHELL", 5, "CMDRECORD")));
        assert_eq!(read("%MGBL-CONFIG-6-DB_COMMIT : x"), Some(("MGBL-CONFIG", 6, "DB_COMMIT")));
        for none in [
            "%DAEMON-4: x",
            "%A-8-B",
            "%-1-B",
            "ASA-6-1",
            "%A-6-",
            "% a-6-b",
            "%%1A/5/B",
            "%%10A/8/B",
            "%%10/5/B",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
