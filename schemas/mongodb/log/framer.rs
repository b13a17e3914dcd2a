//! An object is a line. A text goes on until the next line that begins as a record does, so that a
//! backtrace, with its empty lines and its object, is part of the record that it explains.

use memchr::{memchr, memrchr};
use tahoe_seams::{Beginning, Cut, Framer};

use super::head;
use crate::time::ANY_YEAR_MS;
use crate::{LineFramer, lines};

/// What an object begins with.
const OBJECT_STAMP: &[u8] = b"{\"t\":{\"$date\":\"";
/// Bytes of a stamp that are carried.
const STAMP_BYTES_MAX: usize = 64;

/// Records of either kind. Carries the text of the last stamp.
pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let (line, next) = match LineFramer.cut(bytes, 0, ended) {
            Cut::Record { text, end, .. } => (&bytes[..text], end),
            cut => return cut,
        };
        if line.starts_with(b"{") && head::begins(line) {
            return Cut::Record { text: line.len(), end: next, head: object_head(line) };
        }
        let stamp = head::stamp(line, ANY_YEAR_MS).map(|(_, used)| &line[..used]);
        let head = match lines::head(line, stamp) {
            Beginning::Missing if !line.starts_with(b"*") && head::begins(line) => Beginning::Own,
            head => head,
        };
        let whole = if ended { bytes.len() } else { memrchr(b'\n', bytes).map_or(0, |at| at + 1) };
        // What an earlier call saw of its last line may not have been all of it.
        let seen = memrchr(b'\n', &bytes[..scanned.min(bytes.len())]).map_or(0, |at| at + 1);
        let mut at = next.max(seen);
        while at < whole {
            let length = memchr(b'\n', &bytes[at..whole]).unwrap_or(whole - at);
            if head::begins(&bytes[at..at + length]) {
                return Cut::Record { text: lines::trimmed(&bytes[..at]), end: at, head };
            }
            at += length + 1;
        }
        let text = lines::trimmed(&bytes[..whole]);
        if ended {
            Cut::Record { text, end: whole, head }
        } else {
            Cut::Open { text, end: whole, head }
        }
    }
}

fn object_head(line: &[u8]) -> Beginning {
    let Some(rest) = line.strip_prefix(OBJECT_STAMP) else { return Beginning::Missing };
    let stamp = &rest[..memchr(b'"', &rest[..rest.len().min(STAMP_BYTES_MAX)]).unwrap_or(0)];
    if stamp.is_empty() { Beginning::Own } else { lines::head(line, Some(stamp)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    const BYTES: &[u8] = b" rest of a trace\n\nand more\r\n\
        2026-11-21T09:00:00.123+0100 F -        [conn1] Got signal: 11\n\n 0x1 0x2\n\
        {\"backtrace\":[]}\n-----  END BACKTRACE  -----\n\
        {\"t\":{\"$date\":\"2026-11-21T09:00:01.000+00:00\"},\"s\":\"I\"}\nlost\n\
        Sat Nov 21 09:00:02 [conn2] x\r\n***** SERVER RESTARTED *****\n";

    #[test]
    fn a_text_goes_on_until_the_next_record_however_the_bytes_arrive() {
        let mut expected = None;
        for step in 1..=BYTES.len() {
            let (mut frames, mut used, mut found) = (Frames::new(&LogFramer), 0, Vec::new());
            for end in (0..BYTES.len()).step_by(step).chain([BYTES.len()]) {
                used += frames.feed(&BYTES[used..end], end == BYTES.len(), &mut |frame| {
                    let text = String::from_utf8(frame.bytes.to_vec()).expect("it is UTF-8");
                    found.push((text, frame.context.to_vec(), frame.end));
                });
            }
            assert_eq!(used, BYTES.len());
            let expected = expected.get_or_insert_with(|| found.clone());
            assert_eq!(&found, expected, "in steps of {step}");
        }
        let found = expected.expect("there were steps");
        let begins: Vec<&str> = found.iter().map(|(text, ..)| &text[..4]).collect();
        assert_eq!(begins, [" res", "2026", "{\"t\"", "lost", "Sat ", "****"]);
        assert!(found[1].0.ends_with("END BACKTRACE  -----"), "{found:?}");
        assert_eq!(found[3].1, b"2026-11-21T09:00:01.000+00:00");
    }

    #[test]
    fn the_last_text_is_open_until_the_next_begins() {
        let line = b"2026-11-21T09:00:00.123+0100 I X\n";
        let open = LogFramer.cut(line, 0, false);
        let head = Beginning::Stamp { from: 0, to: 28 };
        assert_eq!(open, Cut::Open { text: 32, end: 33, head });
        let half = b"2026-11-21T09:00:00.123+0100 I X\n2026-";
        assert_eq!(LogFramer.cut(half, line.len(), false), open);
    }
}
