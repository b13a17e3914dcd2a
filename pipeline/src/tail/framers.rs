//! Two simple framers to test the tail with.

use tahoe_seams::{Beginning, Cut, Framer};

/// Every line is a record; empty lines are blank.
pub(crate) struct Lines;

impl Framer for Lines {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let text = match memchr::memchr(b'\n', &bytes[scanned..]) {
            Some(at) => scanned + at,
            None if ended => {
                return Cut::Record { text: bytes.len(), end: bytes.len(), head: Beginning::Own };
            }
            None => return Cut::Partial,
        };
        let end = text + 1;
        let text = if bytes[..text].ends_with(b"\r") { text - 1 } else { text };
        if text == 0 { Cut::Blank { end } } else { Cut::Record { text, end, head: Beginning::Own } }
    }
}

/// A record begins with `[` at the start of a line; it carries its first line.
pub(crate) struct Brackets;

impl Framer for Brackets {
    fn cut(&self, bytes: &[u8], _scanned: usize, ended: bool) -> Cut {
        let head =
            if bytes[0] == b'[' { Beginning::Asked { orphan: false } } else { Beginning::Missing };
        let mut last = None;
        for at in memchr::memchr_iter(b'\n', bytes) {
            last = Some(at);
            if bytes.get(at + 1) == Some(&b'[') {
                return Cut::Record { text: at, end: at + 1, head };
            }
        }
        match last {
            _ if ended => {
                let text = if bytes.ends_with(b"\n") { bytes.len() - 1 } else { bytes.len() };
                Cut::Record { text, end: bytes.len(), head }
            }
            Some(at) if at + 1 == bytes.len() => Cut::Open { text: at, end: at + 1, head },
            _ => Cut::Partial,
        }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        if record.starts_with(b"[") {
            context.clear();
            context.extend_from_slice(record.split(|byte| *byte == b'\n').next().unwrap_or(b""));
        }
    }
}
