//! One line of a runtime's file.

use crate::find::rfind;
use crate::scan::Scan;
use crate::time::{self, Stamp};

/// Bytes of a time that are carried.
const STAMP_BYTES_MAX: usize = 64;

/// A line and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// All of it, without its end.
    pub raw: &'a [u8],
    pub stamp: Stamp,
    pub stream: &'a [u8],
    /// What was written goes on in a later line of the stream.
    pub partial: bool,
    pub text: Text<'a>,
}

/// What the container wrote.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// A JSON string, and the `attrs` beside it.
    Docker(&'a [u8], Option<&'a [u8]>),
    Cri(&'a [u8]),
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if no runtime wrote it.
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        if raw.starts_with(b"{") { Self::docker(raw) } else { Self::cri(raw) }
    }

    fn docker(raw: &'a [u8]) -> Option<Self> {
        let mut scan = Scan::new(raw);
        let length = scan.run().ok()?;
        if !raw[length..].trim_ascii().is_empty() {
            return None;
        }
        let value = |key: &[u8]| {
            scan.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value)
        };
        let string = |key| value(key)?.strip_prefix(b"\"")?.strip_suffix(b"\"");
        let time = string(b"time")?;
        let (stamp, used) = time::parse_iso(time)?;
        let text = string(b"log").filter(|_| used == time.len())?;
        Some(Self {
            raw,
            stamp,
            stream: string(b"stream").unwrap_or_default(),
            partial: !ends_line(text),
            text: Text::Docker(value(b"log")?, value(b"attrs").filter(|v| v.starts_with(b"{"))),
        })
    }

    /// `<time> <stream> <tag>[:<tag>…] <text>`
    fn cri(raw: &'a [u8]) -> Option<Self> {
        let (head, text) = CriHead::parse(raw)?;
        let CriHead { stamp, stream, partial, .. } = head;
        Some(Self { raw, stamp, stream, partial, text: Text::Cri(text) })
    }
}

struct CriHead<'a> {
    time: &'a [u8],
    stamp: Stamp,
    stream: &'a [u8],
    partial: bool,
}

impl<'a> CriHead<'a> {
    fn parse(raw: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (stamp, used) = time::parse_iso(raw)?;
        let mut words = raw[used..].strip_prefix(b" ")?.splitn(3, |byte| *byte == b' ');
        let (stream, tags) = (words.next()?, words.next()?);
        let tag = tags.split(|byte| *byte == b':').next()?;
        let is_one = matches!(stream, b"stdout" | b"stderr") && matches!(tag, b"P" | b"F");
        let head = Self { time: &raw[..used], stamp, stream, partial: tag == b"P" };
        is_one.then(|| (head, words.next().unwrap_or_default()))
    }
}

/// What the framer has to know of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline<'a> {
    pub stream: &'a [u8],
    pub partial: bool,
    /// The text of its time, if that was looked at.
    time: Option<&'a [u8]>,
}

/// Its outline; `None` if no runtime wrote it.
pub(super) fn outline(raw: &[u8]) -> Option<Outline<'_>> {
    if !raw.starts_with(b"{") {
        let (CriHead { time, stream, partial, .. }, _) = CriHead::parse(raw)?;
        return Some(Outline { stream, partial, time: Some(time) });
    }
    // Docker writes its keys in this order; a quote inside the text would be escaped.
    let rest = raw.strip_prefix(b"{\"log\":\"")?;
    let after = rfind(rest, b"\",\"stream\":\"")?;
    let stream = &rest[after + b"\",\"stream\":\"".len()..];
    let stream = &stream[..memchr::memchr(b'"', stream)?];
    Some(Outline { stream, partial: !ends_line(&rest[..after]), time: None })
}

/// The text of a line's time.
pub(super) fn stamp_text<'a>(raw: &'a [u8], outline: Option<Outline<'a>>) -> Option<&'a [u8]> {
    if let Some(known) = outline.and_then(|outline| outline.time) {
        return Some(&known[..known.len().min(STAMP_BYTES_MAX)]);
    }
    let text = match raw.starts_with(b"{") {
        true => &raw[rfind(raw, b"\"time\":\"")? + b"\"time\":\"".len()..],
        false => raw,
    };
    let text = &text[..text.len().min(STAMP_BYTES_MAX)];
    time::parse_iso(text).map(|(_, used)| &text[..used])
}

/// The inside of a JSON string ends with a line feed: `\n` whose backslash is not itself escaped.
fn ends_line(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}
