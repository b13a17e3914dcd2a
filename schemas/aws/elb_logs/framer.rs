//! A line is an entry. The last time seen is carried for lines that have none.

use tahoe_seams::{Cut, Framer};

use super::parser;
use crate::{LineFramer, lines};

pub(super) struct EntryFramer;

impl Framer for EntryFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        match LineFramer.cut(bytes, scanned, ended) {
            Cut::Record { text, end, .. } => {
                let record = &bytes[..text];
                Cut::Record { text, end, head: lines::head(record, parser::stamp_text(record)) }
            }
            cut => cut,
        }
    }
}
