//! Where messages begin and end in a byte stream (RFC 6587), decided message by message: a count
//! (`LEN SP MSG`) or a line. A line ends with LF, CRLF or NUL; the first one seen decides for the
//! connection, because the other may then be data. A message over the limit is given in parts.

use std::ops::Range;

use tahoe_seams::Part;

/// Digits of the longest count that is believed: 999,999,999 bytes.
const COUNT_DIGITS_MAX: usize = 9;

/// What the bytes begin with. `end` is how many of them are used up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Message {
        text: Range<usize>,
        part: Option<Part>,
        end: usize,
    },
    /// Nothing of a message: a count, or an empty line.
    Blank {
        end: usize,
    },
    /// More bytes are needed.
    Partial,
}

#[derive(Clone, Copy, Default)]
enum Inside {
    #[default]
    Between,
    Counted {
        left: usize,
        index: u32,
    },
    Line {
        index: u32,
    },
}

/// The state of one connection.
#[derive(Default)]
pub(super) struct Decoder {
    inside: Inside,
    counted_before: bool,
    trailer: Option<u8>,
    scanned: usize,
}

impl Decoder {
    /// Looks at `bytes`, which begin where the last step ended. `limit` is the longest text of one
    /// record; `ended` says that no further byte will come.
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize, ended: bool) -> Step {
        loop {
            match self.inside {
                Inside::Between => match self.begin(bytes, ended) {
                    Some(step) => return step,
                    None => self.inside = Inside::Line { index: 0 },
                },
                Inside::Counted { left, index } => {
                    return self.counted(bytes, left, index, limit, ended);
                }
                Inside::Line { index } => return self.line(bytes, index, limit, ended),
            }
        }
    }

    /// `None` if a line begins here.
    fn begin(&mut self, bytes: &[u8], ended: bool) -> Option<Step> {
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        if blank > 0 {
            return Some(Step::Blank { end: blank });
        }
        let partial = (!ended).then_some(Step::Partial);
        let first = match bytes.first() {
            Some(first) => first,
            None => return Some(Step::Partial),
        };
        if !(b'1'..=b'9').contains(first) {
            return None;
        }
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > COUNT_DIGITS_MAX {
            return None;
        }
        match (bytes.get(digits), bytes.get(digits + 1)) {
            (None, _) => partial,
            (Some(b' '), None) if !self.counted_before => partial,
            // A line may begin with a number too: a count is believed before `<`, and after counts.
            (Some(b' '), next) if next == Some(&b'<') || self.counted_before => {
                let count = bytes[..digits].iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
                self.inside = Inside::Counted { left: count, index: 0 };
                self.counted_before = true;
                Some(Step::Blank { end: digits + 1 })
            }
            _ => None,
        }
    }

    fn counted(
        &mut self,
        bytes: &[u8],
        left: usize,
        index: u32,
        limit: usize,
        ended: bool,
    ) -> Step {
        if left > limit && bytes.len() >= limit {
            self.inside = Inside::Counted { left: left - limit, index: index + 1 };
            return Step::Message {
                text: 0..limit,
                part: Some(Part { index, last: false }),
                end: limit,
            };
        }
        let end = match bytes.len() {
            len if len >= left => left,
            0 => return Step::Partial,
            len if ended => len,
            _ => return Step::Partial,
        };
        self.inside = Inside::Between;
        whole(strip(&bytes[..end]), end, index)
    }

    fn line(&mut self, bytes: &[u8], index: u32, limit: usize, ended: bool) -> Step {
        // Room for a CRLF after a text of just `limit` bytes.
        let window = &bytes[..bytes.len().min(limit + 2)];
        let from = self.scanned.min(window.len());
        let found = match self.trailer {
            Some(trailer) => memchr::memchr(trailer, &window[from..]),
            None => memchr::memchr2(b'\n', 0, &window[from..]),
        }
        .map(|at| at + from);
        let (text, end) = match found {
            Some(at) => {
                self.trailer = Some(window[at]);
                (strip_cr(&window[..at]), at + 1)
            }
            None if ended && bytes.len() <= limit => (bytes.len(), bytes.len()),
            None if window.len() == limit + 2 || ended => (limit + 1, 0),
            None => {
                self.scanned = window.len();
                return Step::Partial;
            }
        };
        self.scanned = 0;
        if text > limit {
            self.inside = Inside::Line { index: index + 1 };
            let part = Some(Part { index, last: false });
            return Step::Message { text: 0..limit, part, end: limit };
        }
        if end == 0 {
            return Step::Partial;
        }
        self.inside = Inside::Between;
        whole(text, end, index)
    }
}

/// A message, or the last part of one. An empty text is no record.
fn whole(text: usize, end: usize, index: u32) -> Step {
    match (text, index) {
        (0, 0) => Step::Blank { end },
        (0, _) => Step::Message { text: 0..end, part: Some(Part { index, last: true }), end },
        (text, 0) => Step::Message { text: 0..text, part: None, end },
        (text, _) => Step::Message { text: 0..text, part: Some(Part { index, last: true }), end },
    }
}

fn strip_cr(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}

/// The length without one trailing LF, CRLF or NUL.
pub(super) fn strip(text: &[u8]) -> usize {
    match text {
        [rest @ .., b'\n'] => strip_cr(rest),
        [rest @ .., 0] => rest.len(),
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `piece` bytes, as a socket may.
    fn messages(bytes: &[u8], piece: usize, limit: usize) -> Vec<(String, Option<(u32, bool)>)> {
        let mut decoder = Decoder::default();
        let mut held: Vec<u8> = Vec::new();
        let mut found = Vec::new();
        let mut pieces = bytes.chunks(piece).peekable();
        while let Some(next) = pieces.next() {
            held.extend_from_slice(next);
            let ended = pieces.peek().is_none();
            loop {
                match decoder.step(&held, limit, ended) {
                    Step::Message { text, part, end } => {
                        let text = String::from_utf8_lossy(&held[text]).into_owned();
                        found.push((text, part.map(|part| (part.index, part.last))));
                        held.drain(..end);
                    }
                    Step::Blank { end } => drop(held.drain(..end)),
                    Step::Partial => break,
                }
            }
        }
        assert!(held.is_empty(), "left over: {held:?}");
        found
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        let whole = messages(bytes, bytes.len(), 1000);
        for piece in 1..bytes.len() {
            assert_eq!(messages(bytes, piece, 1000), whole, "in pieces of {piece}");
        }
        whole.into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn lines_and_counts_may_be_mixed_in_one_connection() {
        assert_eq!(
            texts(b"<1>one\n8 <1>a\nb c\n<1>two\r\n\n5 <1>xy<1>end"),
            ["<1>one", "<1>a\nb c", "<1>two", "<1>xy", "<1>end"]
        );
    }

    #[test]
    fn a_line_that_begins_with_a_number_is_a_line() {
        assert_eq!(texts(b"2024-01-01 x\n12 monkeys\n"), ["2024-01-01 x", "12 monkeys"]);
    }

    #[test]
    fn the_first_trailer_decides_and_the_other_is_data() {
        assert_eq!(texts(b"<1>a\nb\0<1>c\0")[0], "<1>a");
        assert_eq!(texts(b"<1>a\0<1>b\nc\0"), ["<1>a", "<1>b\nc"]);
    }

    #[test]
    fn a_long_message_comes_in_parts_and_loses_nothing() {
        let expected =
            [("abcd", Some((0, false))), ("efgh", Some((1, false))), ("ij", Some((2, true)))]
                .map(|(text, part)| (text.to_owned(), part));
        for piece in 1..12 {
            assert_eq!(messages(b"abcdefghij\r\n", piece, 4), expected);
            assert_eq!(messages(b"abcd\r\n", piece, 4), [("abcd".to_owned(), None)]);
        }
        let counted = messages(b"10 <bcdefghij", 3, 4);
        assert_eq!(counted.iter().map(|(text, _)| text.as_str()).collect::<String>(), "<bcdefghij");
        assert_eq!(counted.last().and_then(|(_, part)| *part), Some((2, true)));
    }

    #[test]
    fn what_a_broken_connection_left_is_kept() {
        assert_eq!(texts(b"<1>one\n<1>tw"), ["<1>one", "<1>tw"]);
        assert_eq!(texts(b"100 <1>short"), ["<1>short"]);
    }
}
