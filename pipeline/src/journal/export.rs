//! Where an entry of the Journal Export Format ends, and the cursor in it.

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

/// Looks for the end of an entry, which may come in pieces and be longer than memory.
#[derive(Default)]
pub(super) struct Scan {
    /// Bytes that were looked at.
    at: usize,
    inside: Inside,
    end: Option<usize>,
}

enum Inside {
    /// So many bytes of it are passed, an equals sign among them or not.
    Line {
        length: usize,
        is_text: bool,
    },
    /// Before the length of a binary value.
    Length,
    Binary {
        left: u64,
    },
}

impl Default for Inside {
    fn default() -> Self {
        Self::Line { length: 0, is_text: false }
    }
}

impl Scan {
    /// Where the next entry begins, if it is seen. `bytes` are those of the last call that were not
    /// consumed, and more.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.end.is_none() {
            let rest = &bytes[self.at..];
            match self.inside {
                Inside::Line { length, is_text } => {
                    let found = memchr::memchr(b'\n', rest);
                    let line = &rest[..found.unwrap_or(rest.len())];
                    let is_text = is_text || line.contains(&b'=');
                    let length = length + line.len();
                    self.at += line.len();
                    if found.is_none() {
                        self.inside = Inside::Line { length, is_text };
                        return None;
                    }
                    self.at += 1;
                    self.inside = if is_text { Inside::default() } else { Inside::Length };
                    if length == 0 {
                        self.end = Some(self.at);
                    }
                }
                Inside::Length => {
                    let length = u64::from_le_bytes(*rest.first_chunk()?);
                    self.at += 8;
                    // A line end follows the value.
                    self.inside = Inside::Binary { left: length.saturating_add(1) };
                }
                Inside::Binary { left } => {
                    let some = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.at += some;
                    let left = left - some as u64;
                    if left > 0 {
                        self.inside = Inside::Binary { left };
                        return None;
                    }
                    self.inside = Inside::default();
                }
            }
        }
        self.end
    }

    /// Bytes that were looked at and not consumed.
    pub(super) fn seen(&self) -> usize {
        self.at
    }

    /// So many bytes of the entry are taken away; with its end, the next entry begins.
    pub(super) fn consume(&mut self, bytes: usize) {
        match self.end {
            Some(end) if bytes >= end => *self = Self::default(),
            end => {
                self.end = end.map(|end| end - bytes);
                self.at -= bytes;
            }
        }
    }
}

/// `__REALTIME_TIMESTAMP`, in microseconds since the epoch.
pub(super) fn realtime_us(entry: &[u8]) -> Option<i64> {
    let mut lines = entry.split(|byte| *byte == b'\n').take(4);
    let line = lines.find_map(|line| line.strip_prefix(b"__REALTIME_TIMESTAMP="))?;
    std::str::from_utf8(line).ok()?.parse().ok()
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
            assert_eq!(Scan::default().end(&ENTRY[..end]), None, "{end} bytes");
        }
        assert_eq!(Scan::default().end(ENTRY), Some(ENTRY.len()));
    }

    #[test]
    fn an_entry_may_come_and_go_in_pieces() {
        for piece in 1..ENTRY.len() {
            let (mut scan, mut consumed, mut found) = (Scan::default(), 0, None);
            for there in (0..ENTRY.len()).step_by(piece).chain([ENTRY.len()]) {
                found = scan.end(&ENTRY[consumed..there]).map(|end| consumed + end);
                if found.is_none() {
                    consumed += scan.seen();
                    scan.consume(scan.seen());
                }
            }
            assert_eq!(found, Some(ENTRY.len()), "pieces of {piece}");
        }
    }

    #[test]
    fn a_cursor_gives_sequence_and_number() {
        let cursor = cursor(ENTRY).expect("there is one");
        assert_eq!((cursor.sequence[15], cursor.number), (15, 26));
        assert_eq!(cursor.text, "s=0f;i=1a;b=1");
        assert_eq!(realtime_us(b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=17\nA=b"), Some(17));
        assert_eq!(Cursor::parse("s=;i=1"), None);
    }
}
