//! A line is a record, but an object ends where it ends: in the middle of a line, or lines below if
//! its first line is a brace alone. A header of VPC flow logs goes with the line below it.
//!
//! Carried are the last time and, on a line below, the header.

use memchr::memchr;
use tahoe_seams::{Beginning, Cut, Framer};

use super::{flow, stamp};
use crate::scan::{Flaw, Scan};
use crate::{LineFramer, PART_BYTES_MAX};

/// What a record leaves depends on the header above it, and so does what a line means.
const ORPHAN: Beginning = Beginning::Asked { orphan: true };
const OWN: Beginning = Beginning::Asked { orphan: false };

pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        if matches!(bytes.first(), Some(b'{' | b'[')) {
            match object(&bytes[..bytes.len().min(PART_BYTES_MAX)]) {
                Ok(Some(cut)) => return cut,
                Ok(None) if !ended && bytes.len() <= PART_BYTES_MAX => return Cut::Partial,
                _ => {}
            }
        }
        let (text, end) = match LineFramer.cut(bytes, seen(bytes, scanned), ended) {
            Cut::Record { text, end, .. } => (text, end),
            cut => return cut,
        };
        if !flow::is_header(&bytes[..text]) {
            return Cut::Record { text, end, head: ORPHAN };
        }
        match LineFramer.cut(&bytes[end..], 0, ended) {
            Cut::Record { text: length, end: next, .. }
                if !flow::is_header(&bytes[end..end + length]) =>
            {
                Cut::Record { text: end + length, end: end + next, head: OWN }
            }
            Cut::Partial if !ended && bytes.len() - end <= PART_BYTES_MAX => {
                Cut::Open { text, end, head: ORPHAN }
            }
            _ => Cut::Record { text, end, head: ORPHAN },
        }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        let carried = Carried::parse(context);
        let first = &record[..memchr(b'\n', record).unwrap_or(record.len())];
        if !record.starts_with(b"{") && flow::is_header(first) {
            let next = [carried.time, b"\n", first.trim_ascii_end()].concat();
            *context = next;
        } else if carried.header.is_empty()
            && let Some(time) = stamp::text(record)
        {
            context.clear();
            context.extend_from_slice(time);
        }
    }
}

/// A line that was seen in part holds no end; two lines may have been seen of a header.
fn seen(bytes: &[u8], scanned: usize) -> usize {
    let near = &bytes[..bytes.len().min(PART_BYTES_MAX)];
    if memchr(b'\n', near).is_some() { 0 } else { scanned }
}

/// The object at the start, if it ends; `None` if more of it may follow.
fn object(bytes: &[u8]) -> Result<Option<Cut>, Flaw> {
    // One that goes on over lines has its brace alone on the first.
    let may_go_on = |end: usize| match memchr(b'\n', &bytes[..end]) {
        Some(line) => bytes[1..line].trim_ascii().is_empty(),
        None => true,
    };
    let text = match Scan::without_entries(bytes).run() {
        Ok(text) if may_go_on(text) => text,
        Ok(text) => return Err(Flaw::At(text)),
        Err(Flaw::Unfinished) if may_go_on(bytes.len()) => return Ok(None),
        Err(flaw) => return Err(flaw),
    };
    let head = Beginning::Asked { orphan: stamp::text(&bytes[..text]).is_none() };
    let space = bytes[text..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    // Up to the end of the line, so that the next record begins one.
    if let Some(at) = memchr(b'\n', &bytes[text..text + space]) {
        return Ok(Some(Cut::Record { text, end: text + at + 1, head }));
    }
    match bytes.get(text + space) {
        Some(b'{' | b'[') => Ok(Some(Cut::Record { text, end: text + space, head })),
        Some(_) => Err(Flaw::At(text)),
        None => Ok(None),
    }
}

/// The context in its two parts.
#[derive(Clone, Copy)]
pub(super) struct Carried<'a> {
    /// Text of the last time, or empty.
    pub time: &'a [u8],
    /// Header of VPC flow logs, or empty.
    pub header: &'a [u8],
}

impl<'a> Carried<'a> {
    pub fn parse(context: &'a [u8]) -> Self {
        match memchr(b'\n', context) {
            Some(at) => Self { time: &context[..at], header: &context[at + 1..] },
            None => Self { time: context, header: b"" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    #[test]
    fn records_are_the_same_however_the_bytes_arrive() {
        for bytes in [
            &include_bytes!("samples/subscription.log")[..],
            include_bytes!("samples/flow_header.log"),
            include_bytes!("samples/lines.log"),
            b"{\n\"a\":-1.5e+3,\"b\":true,\"c\":[\"\\ud83d\\ude00\",null]\n}\nnext\n",
        ] {
            let mut expected = None;
            for step in [1, 3, 17, 500, bytes.len()] {
                let (mut frames, mut used) = (Frames::new(&LogFramer), 0);
                let mut found = Vec::new();
                for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                    let ended = end == bytes.len();
                    used += frames.feed(&bytes[used..end], ended, &mut |frame| {
                        let text = String::from_utf8_lossy(frame.bytes).into_owned();
                        found.push((text, frame.context.to_vec(), frame.end));
                    });
                }
                let expected = expected.get_or_insert_with(|| found.clone());
                assert_eq!(&found, expected, "in steps of {step}");
            }
        }
    }

    #[test]
    fn objects_end_where_they_end() {
        let cut = |bytes: &[u8]| LogFramer.cut(bytes, 0, false);
        let record = |text, end| Cut::Record { text, end, head: ORPHAN };
        assert_eq!(cut(b"{\"a\":1}{\"a\":2}\n"), record(7, 7));
        assert_eq!(cut(b"{\n \"a\":1\n}\nnext\n"), record(10, 11));
        assert_eq!(cut(b"{\"a\":1} {"), record(7, 8));
        assert_eq!(cut(b"{\"a\":1}"), Cut::Partial);
        assert_eq!(cut(b"{\n \"a\":"), Cut::Partial);
        assert_eq!(cut(b"{\"a\":\nx\n"), Cut::Record { text: 5, end: 6, head: ORPHAN });
        assert_eq!(cut(b"{\"a\":1} x\n"), Cut::Record { text: 9, end: 10, head: ORPHAN });
    }
}
