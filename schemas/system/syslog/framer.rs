//! A line that begins with a space or tab belongs to the record before it, so a record ends only
//! where the next line's first byte is known; until then it is open. An entry of the systemd
//! journal says itself where it ends.

use memchr::memchr;
use tahoe_seams::{Beginning, Cut, Framer};

use super::envelope;
use crate::datasets::journald_log::{self, Extent};
use crate::lines;

/// Lines, each with the indented ones after it. Carries the text of the last stamp.
#[derive(Clone, Copy, Debug)]
pub struct SyslogFramer;

impl Framer for SyslogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        match bytes {
            [b'\n', ..] => return Cut::Blank { end: 1 },
            [b'\r', b'\n', ..] => return Cut::Blank { end: 2 },
            [b'\r'] if ended => return Cut::Blank { end: 1 },
            _ => {}
        }
        match journald_log::extent(bytes) {
            Extent::Whole { text, end } => return Cut::Record { text, end, head: Beginning::Own },
            Extent::Open if !ended => return Cut::Partial,
            Extent::Open => {
                let text = bytes.strip_suffix(b"\n").unwrap_or(bytes).len();
                return Cut::Record { text, end: bytes.len(), head: Beginning::Own };
            }
            Extent::None => {}
        }
        // The last byte seen may be a line end whose next line was not there yet; and while it might
        // have been an entry, nobody looked for its lines.
        let is_line = bytes.first().is_some_and(|first| *first == b'<');
        let mut at = if is_line { scanned.saturating_sub(1) } else { 0 };
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            at += length + 1;
            match bytes.get(at) {
                Some(b' ' | b'\t') => {}
                None if !ended => {
                    let (text, head) = record(&bytes[..at - 1]);
                    return Cut::Open { text, end: at, head };
                }
                Some(_) | None => {
                    let (text, head) = record(&bytes[..at - 1]);
                    return Cut::Record { text, end: at, head };
                }
            }
        }
        if !ended || bytes.is_empty() {
            return Cut::Partial;
        }
        let (text, head) = record(bytes);
        Cut::Record { text, end: bytes.len(), head }
    }
}

/// The length without a carriage return, and the record's time.
fn record(bytes: &[u8]) -> (usize, Beginning) {
    let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let head = match envelope::stamp_text(text) {
        None if journald_log::is_entry(text) => Beginning::Own,
        stamp => lines::head(text, stamp),
    };
    (text.len(), head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    const BYTES: &[u8] =
        b"Oct 11 22:14:15 h a: one\r\n\ttwo\n  three\n\nnone\nOct 12 00:00:00 h b: x";

    #[test]
    fn indented_lines_belong_to_the_record_before_however_the_bytes_arrive() {
        let expected: [(&[u8], &[u8]); 3] = [
            (b"Oct 11 22:14:15 h a: one\r\n\ttwo\n  three", b""),
            (b"none", b"Oct 11 22:14:15"),
            (b"Oct 12 00:00:00 h b: x", b""),
        ];
        for step in 1..=BYTES.len() {
            let (mut frames, mut used, mut found) = (Frames::new(&SyslogFramer), 0, Vec::new());
            for end in (0..BYTES.len()).step_by(step).chain([BYTES.len()]) {
                used += frames.feed(&BYTES[used..end], end == BYTES.len(), &mut |frame| {
                    found.push((frame.bytes.to_vec(), frame.context.to_vec()));
                });
            }
            let expected = expected.map(|(bytes, context)| (bytes.to_vec(), context.to_vec()));
            assert_eq!(found, expected, "in steps of {step}");
        }
    }

    #[test]
    fn the_last_record_is_open_until_the_next_line_begins() {
        let line = b"Oct 11 22:14:15 h a: one\n";
        const STAMP: Beginning = Beginning::Stamp { from: 0, to: 15 };
        let open = SyslogFramer.cut(line, 0, false);
        assert!(matches!(open, Cut::Open { text: 24, end: 25, head: STAMP }));
        let closed = SyslogFramer.cut(b"Oct 11 22:14:15 h a: one\nO", line.len(), false);
        assert!(matches!(closed, Cut::Record { text: 24, end: 25, head: STAMP }));
    }
}
