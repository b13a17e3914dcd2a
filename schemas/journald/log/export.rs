//! `NAME=text` lines; or, for a value of any bytes, a line with the name alone, its length in eight
//! bytes (little endian), the bytes and a line end. An empty line ends the entry.

use memchr::memchr;
use tahoe_seams::Rejection;

use super::entry::Named;

/// What journalctl and journald's own exporters begin an entry with.
const BEGINNINGS: [&[u8]; 2] = [b"__CURSOR=", b"__REALTIME_TIMESTAMP="];
/// journald's own limit of a name.
const NAME_BYTES_MAX: usize = 64;
const LENGTH_BYTES: usize = 8;

/// How far the entry at the start of some bytes reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Its own bytes, without the last line end, and where the next one begins.
    Whole { text: usize, end: usize },
    /// Its end is not there yet.
    Open,
    /// It is no entry.
    None,
}

pub(super) fn begins(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// Finds the end of an entry. Whatever is not just as an entry is, is left to others, so that a
/// line that merely begins like one swallows nothing.
pub(crate) fn extent(bytes: &[u8]) -> Extent {
    if begins(bytes) { walk(bytes) } else { Extent::None }
}

/// The same where nothing but entries is expected, which may begin with any field.
pub(super) fn extent_of_entry(bytes: &[u8]) -> Extent {
    match step(bytes, 0) {
        Step::Field { .. } | Step::Short if begins_with_name(bytes) => walk(bytes),
        _ => Extent::None,
    }
}

/// A name as far as it is there.
fn begins_with_name(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap_or(bytes.len());
    name(&bytes[..end]).is_some()
}

fn walk(bytes: &[u8]) -> Extent {
    let mut at = 0;
    loop {
        match step(bytes, at) {
            Step::Field { end, .. } => at = end,
            Step::End => return Extent::Whole { text: at - 1, end: at + 1 },
            Step::Short => return Extent::Open,
            Step::Wrong => return Extent::None,
        }
    }
}

/// Gives the fields of an entry. With `cut_off`, the last one may break off.
pub(super) fn fields<'a>(
    bytes: &'a [u8],
    cut_off: bool,
    mut visit: impl FnMut(Named<'a>),
) -> Result<(), Rejection> {
    let malformed = |at| Rejection::at("malformed_entry", "not a field of a journal entry", at);
    let mut at = 0;
    while at < bytes.len() {
        match step(bytes, at) {
            Step::Field { name, value, end } => {
                visit(named(name, value));
                at = end;
            }
            Step::End => at += 1,
            Step::Wrong => return Err(malformed(at)),
            Step::Short => {
                // The reader took the last line end away.
                let rest = &bytes[at..];
                match text(rest).or_else(|| last(rest, cut_off)) {
                    Some(field) => visit(field),
                    None if cut_off => {}
                    None => return Err(malformed(at)),
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

enum Step<'a> {
    Field { name: &'a str, value: &'a [u8], end: usize },
    End,
    Short,
    Wrong,
}

fn step(bytes: &[u8], at: usize) -> Step<'_> {
    let rest = &bytes[at..];
    let Some(line) = memchr(b'\n', rest) else {
        let is_name = name(rest.split(|byte| *byte == b'=').next().unwrap_or(rest)).is_some();
        return if is_name || rest.is_empty() { Step::Short } else { Step::Wrong };
    };
    if line == 0 {
        return Step::End;
    }
    if let Some(Named { name, value, .. }) = text(&rest[..line]) {
        return Step::Field { name, value, end: at + line + 1 };
    }
    let Some(name) = name(&rest[..line]) else { return Step::Wrong };
    let Some((value, end)) = binary(&rest[line + 1..]) else { return Step::Short };
    if rest.get(line + 1 + end) != Some(&b'\n') {
        return if rest.len() == line + 1 + end { Step::Short } else { Step::Wrong };
    }
    Step::Field { name, value, end: at + line + 1 + end + 1 }
}

/// `NAME=text`
fn text(line: &[u8]) -> Option<Named<'_>> {
    let equals = memchr(b'=', line)?;
    Some(named(name(&line[..equals])?, &line[equals + 1..]))
}

fn named<'a>(name: &'a str, value: &'a [u8]) -> Named<'a> {
    Named { name, value, is_json: false }
}

/// A value behind its length, and where it ends.
fn binary(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    Some((rest.get(..length)?, LENGTH_BYTES + length))
}

/// A binary field without its line end, or cut off.
fn last(bytes: &[u8], cut_off: bool) -> Option<Named<'_>> {
    let line = memchr(b'\n', bytes)?;
    let (name, rest) = (name(&bytes[..line])?, &bytes[line + 1..]);
    match binary(rest) {
        Some((value, end)) if end == rest.len() => Some(named(name, value)),
        _ if cut_off => Some(named(name, rest.get(LENGTH_BYTES..)?)),
        _ => None,
    }
}

fn name(bytes: &[u8]) -> Option<&str> {
    let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let valid = (1..=NAME_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(fits);
    std::str::from_utf8(bytes).ok().filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &[u8] =
        b"__CURSOR=s=0f;i=1a\nMESSAGE\n\x03\0\0\0\0\0\0\0a\n\n\nA_1=x=y\nB\n\x01\0\0\0\0\0\0\0\xff\n\nnext";
    const END: usize = ENTRY.len() - 4;

    fn found(bytes: &[u8], cut_off: bool) -> Option<Vec<(&str, &[u8])>> {
        let mut found = Vec::new();
        fields(bytes, cut_off, |field| found.push((field.name, field.value))).ok()?;
        Some(found)
    }

    #[test]
    fn an_entry_ends_at_its_empty_line_and_not_inside_a_binary_value() {
        for end in 0..END {
            let expected = if begins(&ENTRY[..end]) { Extent::Open } else { Extent::None };
            assert_eq!(extent(&ENTRY[..end]), expected, "{end} bytes");
        }
        assert_eq!(extent(ENTRY), Extent::Whole { text: END - 2, end: END });
    }

    #[test]
    fn fields_of_both_kinds_are_found_with_and_without_the_last_line_end() {
        let expected: [(&str, &[u8]); 4] =
            [("__CURSOR", b"s=0f;i=1a"), ("MESSAGE", b"a\n\n"), ("A_1", b"x=y"), ("B", b"\xff")];
        for end in [END, END - 1, END - 2] {
            assert_eq!(found(&ENTRY[..end], false).as_deref(), Some(&expected[..]), "{end}");
        }
        let cut = &ENTRY[..37];
        assert_eq!(found(cut, false), None);
        assert_eq!(found(cut, true).expect("taken as it is")[1], ("MESSAGE", &b"a\n"[..]));
    }

    #[test]
    fn a_line_that_begins_like_an_entry_swallows_nothing() {
        assert_eq!(extent(b"__CURSOR=x\nOct 11 22:14:15 h a: one\n\n"), Extent::None);
        assert_eq!(extent(b"__CURSOR=x\nlower=1\n\n"), Extent::None);
        assert_eq!(extent(b"__CURSOR=x\nA\n\x01\0\0\0\0\0\0\0ab\n\n"), Extent::None);
    }
}
