//! A line with a time begins a record, and so does what nginx says before it has opened its log.

use tahoe_seams::{Cut, Framer};

use crate::{lines, time};

/// `YYYY/MM/DD hh:mm:ss`
const STAMP_BYTES: usize = 19;

pub(super) struct ErrorFramer;

impl Framer for ErrorFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let begins = |_: &[u8], line: &[u8]| is_stamped(line) || line.starts_with(b"nginx: [");
        lines::cut(bytes, scanned, ended, &begins, &|record| {
            lines::head(record, is_stamped(record).then(|| &record[..STAMP_BYTES]))
        })
    }
}

pub(super) fn is_stamped(line: &[u8]) -> bool {
    line.get(STAMP_BYTES..).is_some_and(|rest| rest.starts_with(b" ["))
        && line[4] == b'/'
        && time::parse_iso(&line[..STAMP_BYTES]).is_some()
}
