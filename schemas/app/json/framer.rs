//! An object is a line. Other text goes on over the lines that are indented, as stacks are.

use memchr::{memchr, memrchr};
use tahoe_seams::{Cut, Framer};

use super::{parser, stamp};
use crate::{LineFramer, lines};

/// Carries the text of the last time.
pub(super) struct ObjectFramer;

impl Framer for ObjectFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        // A text that goes on was seen whole lines of.
        let seen = if bytes.first() == Some(&b'{') { scanned } else { 0 };
        let (text, end) = match LineFramer.cut(bytes, seen, ended) {
            Cut::Record { text, end, .. } => (text, end),
            cut => return cut,
        };
        if bytes[..text].trim_ascii_start().starts_with(b"{") {
            let object = &bytes[..text];
            return Cut::Record { text, end, head: lines::head(object, stamp::text(object)) };
        }
        let line = &bytes[..text];
        let stamp = parser::head_stamp(line).map(|(_, used)| &line[..used]);
        let head = lines::head(line, stamp.map(|stamp| stamp.strip_prefix(b"[").unwrap_or(stamp)));
        let (mut text, mut end) = (text, end);
        let known = memrchr(b'\n', &bytes[..scanned.min(bytes.len())]).map_or(0, |at| at + 1);
        if known > end {
            end = known;
            text = lines::trimmed(&bytes[..end]);
        }
        loop {
            let rest = &bytes[end..];
            let length = match memchr(b'\n', rest) {
                Some(at) => at + 1,
                None if ended && !rest.is_empty() => rest.len(),
                None if ended => return Cut::Record { text, end, head },
                None => return Cut::Open { text, end, head },
            };
            let is_indented = matches!(rest[0], b' ' | b'\t');
            if !is_indented || rest[..length].trim_ascii_start().starts_with(b"{") {
                return Cut::Record { text, end, head };
            }
            end += length;
            text = lines::trimmed(&bytes[..end]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    #[test]
    fn records_are_the_same_however_the_bytes_arrive() {
        let bytes = b"{\"time\":\"2026-03-04T09:27:05Z\"}\nTrace\r\n  one\n\ttwo\n\n {\"a\":1}\n\
            2026-03-04 09:27:06 x\n y\n \t\n{\"b\":1}\n \t\n{\"c\":1}\nlast";
        let mut expected = None;
        for step in 1..=bytes.len() {
            let (mut frames, mut used, mut found) = (Frames::new(&ObjectFramer), 0, Vec::new());
            for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                used += frames.feed(&bytes[used..end], end == bytes.len(), &mut |frame| {
                    let text = String::from_utf8(frame.bytes.to_vec()).expect("it is UTF-8");
                    found.push((text, frame.context.to_vec(), frame.end));
                });
            }
            let expected = expected.get_or_insert_with(|| found.clone());
            assert_eq!(&found, expected, "in steps of {step}");
        }
        let found = expected.expect("there were steps");
        let texts: Vec<_> = found.iter().map(|(text, ..)| text.as_str()).collect();
        assert_eq!(
            texts[1..],
            [
                "Trace\r\n  one\n\ttwo",
                " {\"a\":1}",
                "2026-03-04 09:27:06 x\n y\n \t",
                "{\"b\":1}",
                " \t",
                "{\"c\":1}",
                "last"
            ]
        );
        assert_eq!(found[1].1, b"2026-03-04T09:27:05Z");
        assert_eq!(found[7].1, b"2026-03-04 09:27:06");
    }
}
