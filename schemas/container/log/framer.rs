//! A line is a record unless its runtime cut it; then the record goes on until the rest is there.

use memchr::memchr;
use tahoe_seams::{Beginning, Cut, Framer};

use super::line;
use crate::{LineFramer, PART_BYTES_MAX};

/// Carries the text of the last time, and behind a line feed the streams of which a line is cut.
pub(super) struct OutputFramer;

impl Framer for OutputFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let near = &bytes[..bytes.len().min(PART_BYTES_MAX)];
        let seen = if memchr(b'\n', near).is_some() { 0 } else { scanned };
        let (mut text, mut end) = match LineFramer.cut(bytes, seen, ended) {
            Cut::Record { text, end, .. } => (text, end),
            cut => return cut,
        };
        let mut next = line::outline(&bytes[..text]);
        let orphan = line::stamp_text(&bytes[..text], next).is_none();
        let head = Beginning::Asked { orphan };
        let mut open = Open::default();
        while let Some(line) = next {
            open.set(line.stream, line.partial);
            if !open.is_any() {
                break;
            }
            let rest = &bytes[end..];
            match LineFramer.cut(rest, 0, ended) {
                Cut::Record { text: length, end: whole, .. } => {
                    next = line::outline(&rest[..length]);
                    // What is cut for ever, or too long, ends here.
                    if next.is_none() || end + whole > PART_BYTES_MAX {
                        break;
                    }
                    (text, end) = (end + length, end + whole);
                }
                Cut::Blank { .. } => break,
                _ if ended || end + rest.len() > PART_BYTES_MAX => break,
                _ => return Cut::Open { text, end, head },
            }
        }
        Cut::Record { text, end, head }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        let mut open = Open::carried(context);
        let mut rest = record;
        let last = loop {
            let end = memchr(b'\n', rest);
            let raw = &rest[..end.unwrap_or(rest.len())];
            let outline = line::outline(raw);
            if let Some(line) = outline {
                open.set(line.stream, line.partial);
            }
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => break line::stamp_text(raw, outline),
            }
        };
        let kept = context.iter().position(|byte| *byte == b'\n');
        context.truncate(kept.unwrap_or(context.len()));
        if let Some(stamp) = last {
            context.clear();
            context.extend_from_slice(stamp);
        }
        let word: &[u8] = match (open.output, open.error) {
            (false, false) => return,
            (true, false) => b"\nstdout",
            (false, true) => b"\nstderr",
            (true, true) => b"\nstdout stderr",
        };
        context.extend_from_slice(word);
    }

    fn continues(&self, context: &[u8]) -> bool {
        context.contains(&b'\n')
    }
}

/// Streams of which a line is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    output: bool,
    error: bool,
}

impl Open {
    /// Those of which a line was cut before the record.
    pub(super) fn carried(context: &[u8]) -> Self {
        let mut open = Self::default();
        let words = context.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
        for stream in words.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            open.set(stream, true);
        }
        open
    }

    /// Whether a line of this stream is cut; asked once.
    pub(super) fn take(&mut self, stream: &[u8]) -> bool {
        std::mem::take(if stream == b"stderr" { &mut self.error } else { &mut self.output })
    }

    fn set(&mut self, stream: &[u8], partial: bool) {
        match stream {
            b"stderr" => self.error = partial,
            _ => self.output = partial,
        }
    }

    fn is_any(self) -> bool {
        self.output || self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    #[test]
    fn records_are_the_same_however_the_bytes_arrive() {
        let bytes = include_bytes!("samples/cri.log");
        let docker = include_bytes!("samples/docker.log");
        for bytes in [&bytes[..], docker] {
            let mut expected = None;
            for step in [1, 2, 3, 7, 50, 1000, bytes.len()] {
                let (mut frames, mut used) = (Frames::new(&OutputFramer), 0);
                let mut found = Vec::new();
                for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                    let ended = end == bytes.len();
                    used += frames.feed(&bytes[used..end], ended, &mut |frame| {
                        found.push((frame.bytes.to_vec(), frame.context.to_vec(), frame.end));
                    });
                }
                let expected = expected.get_or_insert_with(|| found.clone());
                assert_eq!(&found, expected, "in steps of {step}");
            }
        }
    }

    #[test]
    fn a_line_that_is_cut_for_ever_ends_at_a_limit() {
        let piece = format!("2026-03-04T09:27:05Z stdout P {}\n", "x".repeat(16 * 1024));
        let bytes = piece.repeat(100);
        let Cut::Record { end, .. } = OutputFramer.cut(bytes.as_bytes(), 0, false) else {
            panic!("it goes on")
        };
        assert!(end % piece.len() == 0 && end <= PART_BYTES_MAX && end > PART_BYTES_MAX / 2);
    }
}
