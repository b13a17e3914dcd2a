//! Where a record ends, and where one that is too long is split: a function of the bytes alone,
//! so that neither the size of a read nor a restart moves a boundary.

use tahoe_seams::{Beginning, Cut, Framer, Part};

/// A decision about a record over the maximum is taken on exactly this many bytes more, so that it
/// does not depend on how many were there: room for the terminator and the next record's beginning.
pub(super) const LOOKAHEAD: usize = 64 * 1024;

/// Line ends and continuation bytes that a split steps back over at most.
const STEP_BACK_MAX: usize = 64;

/// What may still follow the bytes at hand, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Following {
    /// Perhaps more, soon.
    Soon,
    /// Nothing came for the quiet time.
    Quiet,
    /// Nothing, ever.
    Never,
}

/// What to do with the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record of `text` bytes, its span `end` bytes long.
    Push { text: usize, end: usize, head: Beginning, part: Option<Part> },
    /// So many bytes between records.
    Skip(usize),
    /// No end yet.
    Wait { scanned: usize },
}

/// The first step in `bytes`; `part` is the index of the part that they begin with, 0 at a boundary.
pub(super) fn step(
    framer: &dyn Framer,
    bytes: &[u8],
    scanned: usize,
    part: u32,
    max: usize,
    following: Following,
) -> Step {
    let full = bytes.len() >= max + LOOKAHEAD;
    let seen = &bytes[..bytes.len().min(max + LOOKAHEAD)];
    if seen.is_empty() {
        return Step::Wait { scanned: 0 };
    }
    let ended = following == Following::Never && bytes.len() == seen.len();
    match framer.cut(seen, scanned.min(seen.len()), ended) {
        Cut::Record { text, end, head } => record(seen, (text, end), head, part, max),
        Cut::Open { text, end, head } if full || following != Following::Soon => {
            record(seen, (text, end), head, part, max)
        }
        Cut::Open { .. } => Step::Wait { scanned: 0 },
        Cut::Blank { end } => Step::Skip(end.max(1)),
        Cut::Partial if full || ended => {
            let head = Beginning::Asked { orphan: part > 0 };
            record(seen, (seen.len(), seen.len()), head, part, max)
        }
        Cut::Partial => Step::Wait { scanned: seen.len() },
    }
}

fn record(
    seen: &[u8],
    (text, end): (usize, usize),
    head: Beginning,
    part: u32,
    max: usize,
) -> Step {
    if text <= max {
        let part = (part > 0).then_some(Part { index: part, last: true });
        return Step::Push { text, end: end.max(1), head, part };
    }
    let at = split_point(seen, max);
    Step::Push { text: at, end: at, head, part: Some(Part { index: part, last: false }) }
}

/// At most `max`: not inside a character, and not before a line end, which would look like an
/// empty line between records.
fn split_point(bytes: &[u8], max: usize) -> usize {
    let inside =
        |at: usize| bytes.get(at).is_some_and(|byte| matches!(byte, b'\n' | b'\r' | 0x80..=0xBF));
    let lowest = max.saturating_sub(STEP_BACK_MAX).max(1);
    (lowest..=max).rev().find(|at| !inside(*at)).unwrap_or(max)
}

/// The carried context as it is kept with a position: the index of the part that comes next in
/// four bytes (little endian), then the framer's own. At a boundary with nothing carried: empty.
pub(super) fn encode_context(part: u32, context: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if part > 0 || !context.is_empty() {
        out.extend_from_slice(&part.to_le_bytes());
        out.extend_from_slice(context);
    }
}

/// What [`encode_context`] wrote.
pub(super) fn decode_context(kept: &[u8]) -> (u32, &[u8]) {
    kept.split_first_chunk().map_or((0, kept), |(part, rest)| (u32::from_le_bytes(*part), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::framers::{Brackets, Lines};

    fn all(
        framer: &dyn Framer,
        bytes: &[u8],
        max: usize,
        chunk: usize,
    ) -> Vec<(usize, Option<Part>)> {
        let (mut at, mut there, mut scanned, mut part) = (0, 0, 0, 0);
        let mut out = Vec::new();
        loop {
            let following = if there == bytes.len() { Following::Never } else { Following::Soon };
            match step(framer, &bytes[at..there], scanned, part, max, following) {
                Step::Push { text, end, part: this, .. } => {
                    out.push((text, this));
                    (at, scanned) = (at + end, 0);
                    part = this.filter(|this| !this.last).map_or(0, |this| this.index + 1);
                }
                Step::Skip(end) => (at, scanned) = (at + end, 0),
                Step::Wait { .. } if there == bytes.len() => return out,
                Step::Wait { scanned: so_far } => {
                    (scanned, there) = (so_far, bytes.len().min(there + chunk));
                }
            }
        }
    }

    #[test]
    fn a_split_does_not_depend_on_how_the_bytes_were_read() {
        let max = 10_000;
        for length in [9_999, 10_000, 10_001, 20_000, 74_000, 74_001, 200_000] {
            let line = "é".repeat(length / 2) + &"x".repeat(length % 2);
            for text in [format!("{line}\r\nnext\n"), format!("[a\n{line}\n at b\n[c\n{line}")] {
                for framer in [&Lines as &dyn Framer, &Brackets] {
                    let once = all(framer, text.as_bytes(), max, usize::MAX / 2);
                    assert!(once.iter().all(|(text, _)| *text <= max));
                    for chunk in [511, 4096, 65_536, 70_000] {
                        assert_eq!(
                            all(framer, text.as_bytes(), max, chunk),
                            once,
                            "{length} {chunk}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_split_is_not_inside_a_character_and_not_before_a_line_end() {
        assert_eq!(split_point("abcdé".as_bytes(), 5), 4);
        assert_eq!(split_point(b"abcd\r\nx", 5), 3);
        assert_eq!(split_point(&[0x80; 200], 100), 100);
    }

    #[test]
    fn an_open_record_is_closed_by_quiet_only() {
        let open = b"[a\n at b\n";
        let wait = step(&Brackets, open, 0, 0, 100, Following::Soon);
        assert_eq!(wait, Step::Wait { scanned: 0 });
        let head = Beginning::Asked { orphan: false };
        let push = step(&Brackets, open, 0, 0, 100, Following::Quiet);
        assert_eq!(push, Step::Push { text: 8, end: 9, head, part: None });
    }
}
