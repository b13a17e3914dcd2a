//! Cutting bytes into records as a reader of files does, for whoever has the bytes already: the
//! operator's `parse`, tests.

use memchr::{memchr, memchr_iter};
use tahoe_seams::{Beginning, Cut, Framer, Part};

/// Bytes of a text that one record takes; what is longer becomes parts.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// One record a line: LF or CRLF ends it, empty lines are skipped.
#[derive(Clone, Copy, Debug)]
pub struct LineFramer;

impl Framer for LineFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let (text, end) = match memchr(b'\n', &bytes[scanned..]) {
            Some(at) => (scanned + at, scanned + at + 1),
            None if ended && !bytes.is_empty() => (bytes.len(), bytes.len()),
            None => return Cut::Partial,
        };
        let text = if bytes[..text].ends_with(b"\r") { text - 1 } else { text };
        if text == 0 { Cut::Blank { end } } else { Cut::Record { text, end, head: Beginning::Own } }
    }
}

/// One record as it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its bytes, without the line end.
    pub bytes: &'a [u8],
    /// Position of its first byte.
    pub start: u64,
    /// One past its last, line end included.
    pub end: u64,
    /// Number of its first line, from 1.
    pub line: u64,
    /// What the framer carried, if the record needs it; else empty.
    pub context: &'a [u8],
    /// Set when it is a part of a longer text.
    pub part: Option<Part>,
}

/// The state between two pieces of one input.
pub struct Frames<'f> {
    framer: &'f dyn Framer,
    context: Vec<u8>,
    position: u64,
    line: u64,
    scanned: usize,
}

impl<'f> Frames<'f> {
    /// Begins at the first byte of an input.
    pub fn new(framer: &'f dyn Framer) -> Self {
        Self::with_context(framer, Vec::new())
    }

    /// The same with what the framer carries into it, as [`crate::datasets::with_line_prefix`] gives.
    pub fn with_context(framer: &'f dyn Framer, context: Vec<u8>) -> Self {
        Self { framer, context, position: 0, line: 1, scanned: 0 }
    }

    /// Cuts what can be cut from `bytes` and gives the number used up. The next call gets the rest
    /// again, with more behind it; `ended` says that nothing will ever follow.
    pub fn feed(&mut self, bytes: &[u8], ended: bool, visit: &mut dyn FnMut(Frame<'_>)) -> usize {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let (text, end, head) = match self.framer.cut(rest, self.scanned, ended) {
                Cut::Record { text, end, head } => (text, end, head),
                Cut::Open { text, end, head } if ended => (text, end, head),
                Cut::Blank { end } => (0, end, Beginning::Own),
                Cut::Partial if ended => {
                    (rest.len(), rest.len(), Beginning::Asked { orphan: false })
                }
                Cut::Open { .. } | Cut::Partial => {
                    self.scanned = rest.len();
                    return used;
                }
            };
            self.scanned = 0;
            // A framer that finds no end would be asked the same for ever.
            let end = end.max(1);
            if text > 0 {
                self.record(&rest[..text], end, head, visit);
            }
            self.line += line_ends(&rest[..end]);
            self.position += end as u64;
            used += end;
        }
        used
    }

    fn record(
        &mut self,
        text: &[u8],
        end: usize,
        head: Beginning,
        visit: &mut dyn FnMut(Frame<'_>),
    ) {
        let (start, line) = (self.position, self.line);
        let whole = text.len() <= PART_BYTES_MAX;
        let first = if whole { text.len() } else { part_length(text) };
        let needs_context = head.is_missing() || self.framer.continues(&self.context);
        visit(Frame {
            bytes: &text[..first],
            start,
            end: start + if whole { end } else { first } as u64,
            line,
            context: if needs_context { &self.context } else { b"" },
            part: (!whole).then_some(Part { index: 0, last: false }),
        });
        head.leave_by(self.framer, &text[..first], &mut self.context);
        let (mut at, mut index) = (first, 0);
        while at < text.len() {
            let length = part_length(&text[at..]);
            let last = at + length == text.len();
            index += 1;
            visit(Frame {
                bytes: &text[at..at + length],
                start: start + at as u64,
                end: start + if last { end } else { at + length } as u64,
                line,
                context: &self.context,
                part: Some(Part { index, last }),
            });
            at += length;
        }
    }
}

/// The number of line ends; most records have one, behind them.
fn line_ends(bytes: &[u8]) -> u64 {
    match memchr(b'\n', bytes) {
        None => 0,
        Some(at) if at + 1 == bytes.len() => 1,
        Some(at) => 1 + memchr_iter(b'\n', &bytes[at + 1..]).count() as u64,
    }
}

/// Where the first part of `text` ends: at most [`PART_BYTES_MAX`], and not inside a character.
fn part_length(text: &[u8]) -> usize {
    if text.len() <= PART_BYTES_MAX {
        return text.len();
    }
    let continues = |at: &usize| text[*at] & 0xc0 == 0x80;
    (PART_BYTES_MAX - 3..=PART_BYTES_MAX).rev().find(|at| !continues(at)).unwrap_or(PART_BYTES_MAX)
}

/// Cuts a whole input.
pub fn frame_all(framer: &dyn Framer, bytes: &[u8], visit: &mut dyn FnMut(Frame<'_>)) {
    Frames::new(framer).feed(bytes, true, visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let bytes = b"one\r\n\n\r\ntwo\nthree";
        let mut whole = Vec::new();
        frame_all(&LineFramer, bytes, &mut |f| {
            whole.push((f.bytes.to_vec(), f.start, f.end, f.line))
        });
        let expected = [("one", 0, 5, 1), ("two", 8, 12, 4), ("three", 12, 17, 5)];
        let expected = expected.map(|(text, a, b, line)| (text.as_bytes().to_vec(), a, b, line));
        assert_eq!(whole, expected);

        let mut pieces = Vec::new();
        let (mut frames, mut used) = (Frames::new(&LineFramer), 0);
        for end in 0..=bytes.len() {
            let ended = end == bytes.len();
            used += frames.feed(&bytes[used..end], ended, &mut |f| {
                pieces.push((f.bytes.to_vec(), f.start, f.end, f.line));
            });
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_long_text_becomes_parts_that_cut_no_character() {
        let text = "é".repeat(PART_BYTES_MAX) + "\nnext\n";
        let text = format!("x{text}");
        let mut parts = Vec::new();
        frame_all(&LineFramer, text.as_bytes(), &mut |f| {
            parts.push((
                String::from_utf8(f.bytes.to_vec()).expect("whole"),
                f.start,
                f.end,
                f.part,
            ));
        });
        let indices: Vec<_> =
            parts.iter().map(|p| p.3.map(|part| (part.index, part.last))).collect();
        assert_eq!(indices, [Some((0, false)), Some((1, false)), Some((2, true)), None]);
        assert!(parts.windows(2).all(|two| two[0].2 == two[1].1));
        assert_eq!(parts[3].0, "next");
    }
}
