//! An entry in the export format says itself where it ends; everything else is a line.

use tahoe_seams::{Beginning, Cut, Framer};

use super::export::{Extent, extent_of_entry};
use crate::LineFramer;

/// Entries in either form. Nothing is carried: each has its time.
pub(super) struct EntryFramer;

impl Framer for EntryFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        match extent_of_entry(bytes) {
            Extent::Whole { text, end } => Cut::Record { text, end, head: Beginning::Own },
            Extent::Open if !ended => Cut::Partial,
            Extent::Open => {
                let text = bytes.strip_suffix(b"\n").unwrap_or(bytes).len();
                Cut::Record { text, end: bytes.len(), head: Beginning::Own }
            }
            // Until an entry turned out to be none, lines of it were seen.
            Extent::None if is_line(bytes) => LineFramer.cut(bytes, scanned, ended),
            Extent::None => LineFramer.cut(bytes, 0, ended),
        }
    }
}

/// It cannot have looked like an entry before more of it was seen.
fn is_line(bytes: &[u8]) -> bool {
    let is_of_name =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    bytes.first().is_some_and(|byte| !is_of_name(byte))
}
