//! What stands before a message, in all versions.

use crate::time::{self, Stamp};

/// `pid:role stamp level message`, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub pid: Option<u32>,
    /// The letter or, in lines of `key=value`, the word.
    pub role: Option<&'a str>,
    pub stamp: Stamp,
    pub level: Option<&'static str>,
    /// The level's word in the line, where there is one.
    pub level_written: &'static str,
    /// Where the message begins.
    pub end: usize,
    /// The message as lines of `key=value` have it: in quotes, without any inside.
    pub quoted: bool,
}

impl<'a> Head<'a> {
    pub fn parse(line: &'a [u8], read_at_ms: i64) -> Option<Self> {
        if line.starts_with(b"pid=") {
            return Self::of_pairs(line, read_at_ms);
        }
        let (pid, role, at) = process(line)?;
        let rest = &line[at..];
        if role == Some("signal-handler") {
            let inside = rest.strip_prefix(b"(")?;
            let length = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let after = inside[length..].strip_prefix(b")")?;
            let stamp = epoch(&inside[..length])?;
            let end = at + length + 2 + usize::from(after.starts_with(b" "));
            let (level, level_written) = (None, "");
            return Some(Self { pid, role: None, stamp, level, level_written, end, quoted: false });
        }
        let (stamp, length) = stamp(rest, read_at_ms)?;
        let [b' ', level, after @ ..] = &rest[length..] else { return None };
        let (level, level_written) = (Some(level_of(*level)?), "");
        let space = match after {
            [] | [b'\n' | b'\r', ..] => 0,
            [b' ', ..] => 1,
            _ => return None,
        };
        let end = at + length + 2 + space;
        Some(Self { pid, role, stamp, level, level_written, end, quoted: false })
    }

    /// `pid=1 role=primary timestamp="…" level=notice message="…"`
    fn of_pairs(line: &'a [u8], read_at_ms: i64) -> Option<Self> {
        let mut at = 4;
        let pid = number(value(line, &mut at, b' ')?).and_then(|pid| u32::try_from(pid).ok());
        let role = value(line, key(line, &mut at, b"role=")?, b' ')?;
        let text = value(line, key(line, &mut at, b"timestamp=\"")?, b'"')?;
        at += 1;
        let (stamp, length) = stamp(text, read_at_ms)?;
        let level = value(line, key(line, &mut at, b"level=")?, b' ')?;
        // Valkey calls the level of `-` so here.
        let levels = [("debug", "debug"), ("info", "verbose"), ("verbose", "verbose")];
        let levels = levels.into_iter().chain([("notice", "notice"), ("warning", "warning")]);
        let found = levels.into_iter().find(|(name, _)| name.as_bytes() == level);
        let (level_written, level) = found.map_or(("", None), |(name, level)| (name, Some(level)));
        let end = *key(line, &mut at, b"message=\"")?;
        let role = std::str::from_utf8(role).ok();
        let head = Self { pid, role, stamp, level, level_written, end, quoted: true };
        (length == text.len()).then_some(head)
    }
}

/// Moves behind a key.
fn key<'c>(line: &[u8], at: &'c mut usize, name: &[u8]) -> Option<&'c mut usize> {
    line.get(*at..)?.starts_with(name).then(|| {
        *at += name.len();
        at
    })
}

/// The value up to `end`, which is skipped.
fn value<'l>(line: &'l [u8], at: &mut usize, end: u8) -> Option<&'l [u8]> {
    let rest = line.get(*at..)?;
    let length = memchr::memchr(end, &rest[..rest.len().min(64)])?;
    *at += length + 1;
    Some(&rest[..length])
}

/// `12:M `, `[12] ` or nothing: the process, its role, and where the time begins.
fn process(line: &[u8]) -> Option<(Option<u32>, Option<&str>, usize)> {
    let bracket = usize::from(line.starts_with(b"["));
    let length = line[bracket..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let pid = number(&line[bracket..bracket + length]).and_then(|pid| u32::try_from(pid).ok());
    let after = &line[bracket + length..];
    if bracket == 1 {
        return after.starts_with(b"] ").then_some((pid, None, length + 3));
    }
    let Some(after) = after.strip_prefix(b":") else { return Some((None, None, 0)) };
    let role = &after[..memchr::memchr(b' ', &after[..after.len().min(16)])?];
    let known = matches!(role, [letter] if letter.is_ascii_alphabetic());
    let known = known || role == b"signal-handler";
    let at = length + role.len() + 2;
    let role = std::str::from_utf8(role).ok();
    known.then_some((pid, role, at))
}

/// A time in any of the forms that can be configured.
pub(super) fn stamp(text: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    if let Some(found) = time::parse_day_first(text, read_at_ms) {
        return Some(found);
    }
    if let Some(found) = time::parse_iso(text) {
        return Some(found);
    }
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Milliseconds since the epoch have thirteen digits until the year 2286.
    let (seconds, ms) = text[..length].split_at_checked(10).filter(|_| length == 13)?;
    let ms = u32::try_from(number(ms)?).ok()?;
    Some((Stamp { nanos: ms * 1_000_000, digits: 3, ..epoch(seconds)? }, length))
}

fn epoch(seconds: &[u8]) -> Option<Stamp> {
    let local_s = i64::try_from(number(seconds)?).ok()?;
    Some(Stamp::utc(local_s, 0, 0))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn level_of(sign: u8) -> Option<&'static str> {
    Some(match sign {
        b'.' => "debug",
        b'-' => "verbose",
        b'*' => "notice",
        b'#' => "warning",
        _ => return None,
    })
}
