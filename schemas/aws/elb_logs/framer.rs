//! A line is an entry. The last time seen is carried for lines that have none.

use tahoe_seams::{Cut, Framer};

use super::parser;
use crate::LineFramer;

pub(super) struct EntryFramer;

impl Framer for EntryFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        match LineFramer.cut(bytes, scanned, ended) {
            Cut::Record { text, end, .. } => {
                Cut::Record { text, end, orphan: parser::stamp_text(&bytes[..text]).is_none() }
            }
            cut => cut,
        }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        if let Some(stamp) = parser::stamp_text(record) {
            context.clear();
            context.extend_from_slice(stamp);
        }
    }
}
