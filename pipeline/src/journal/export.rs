//! Where an entry of the Journal Export Format ends, and the cursor in it.

/// A whole entry at the start of the bytes: its own length, and where the next one may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: usize,
    pub(super) end: usize,
}

/// What a cursor says about an entry's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// As journalctl wrote it.
    pub(super) text: String,
    /// `s=`: the sequence that the entry is numbered in.
    pub(super) sequence: [u8; 16],
    /// `i=`: its number there.
    pub(super) number: u64,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            text: text.to_owned(),
            sequence: u128::from_str_radix(field("s")?, 16).ok()?.to_be_bytes(),
            number: u64::from_str_radix(field("i")?, 16).ok()?,
        })
    }
}

/// `None` if more bytes are needed.
pub(super) fn entry(bytes: &[u8]) -> Option<Entry> {
    let mut at = 0;
    loop {
        let line = at + memchr::memchr(b'\n', &bytes[at..])?;
        if line == at {
            return Some(Entry { text: at.saturating_sub(1), end: at + 1 });
        }
        at = if bytes[at..line].contains(&b'=') {
            line + 1
        } else {
            let length = bytes.get(line + 1..line + 9)?;
            let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
            (line + 10).checked_add(usize::try_from(length).ok()?)?
        };
        if at > bytes.len() {
            return None;
        }
    }
}

/// The cursor, which journalctl writes first.
pub(super) fn cursor(entry: &[u8]) -> Option<Cursor> {
    let line = entry.strip_prefix(b"__CURSOR=")?.split(|byte| *byte == b'\n').next()?;
    Cursor::parse(std::str::from_utf8(line).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &[u8] =
        b"__CURSOR=s=0f;i=1a;b=1\nMESSAGE\n\x03\0\0\0\0\0\0\0a\n\n\nPRIORITY=6\n\n";

    #[test]
    fn an_entry_ends_at_its_empty_line_and_not_inside_a_binary_value() {
        for end in 0..ENTRY.len() {
            assert_eq!(entry(&ENTRY[..end]), None, "{end} bytes");
        }
        let whole = Entry { text: ENTRY.len() - 2, end: ENTRY.len() };
        assert_eq!(entry(ENTRY), Some(whole));
    }

    #[test]
    fn a_cursor_gives_sequence_and_number() {
        let cursor = cursor(ENTRY).expect("there is one");
        assert_eq!((cursor.sequence[15], cursor.number), (15, 26));
        assert_eq!(cursor.text, "s=0f;i=1a;b=1");
        assert_eq!(Cursor::parse("s=;i=1"), None);
    }
}
