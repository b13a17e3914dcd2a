//! Records without an end of their own: each goes on until a line that begins another.

use crate::find::Find;

use memchr::{memchr, memrchr};
use tahoe_seams::{Beginning, Cut};

/// Bytes of a stamp that are carried.
const STAMP_BYTES_MAX: usize = 64;

/// The record at the start of `bytes`. `begins` is asked of every later line, with what the record
/// has before it; `head` of the whole record.
pub(crate) fn cut(
    bytes: &[u8],
    scanned: usize,
    ended: bool,
    begins: &dyn Fn(&[u8], &[u8]) -> bool,
    head: &dyn Fn(&[u8]) -> Beginning,
) -> Cut {
    let Some(first) = line_end(bytes, 0, ended) else { return Cut::Partial };
    if bytes[..first].trim_ascii().is_empty() {
        return Cut::Blank { end: first };
    }
    // The last line that an earlier call saw may not have been whole.
    let seen = scanned.saturating_sub(1).min(bytes.len());
    let mut at = memrchr(b'\n', &bytes[..seen]).map_or(0, |end| end + 1).max(first);
    while at < bytes.len() {
        let Some(end) = line_end(bytes, at, ended) else { break };
        if begins(&bytes[..at], bytes[at..end].trim_ascii_end()) {
            let text = trimmed(&bytes[..at]);
            return Cut::Record { text, end: at, head: head(&bytes[..text]) };
        }
        at = end;
    }
    let text = trimmed(&bytes[..at]);
    let head = head(&bytes[..text]);
    match ended {
        true => Cut::Record { text, end: at, head },
        false => Cut::Open { text, end: at, head },
    }
}

/// One past the line that begins at `at`; `None` if its end was not seen.
fn line_end(bytes: &[u8], at: usize, ended: bool) -> Option<usize> {
    match memchr(b'\n', &bytes[at..]) {
        Some(length) => Some(at + length + 1),
        None => (ended && at < bytes.len()).then_some(bytes.len()),
    }
}

/// The length without the line ends behind it.
pub(crate) fn trimmed(record: &[u8]) -> usize {
    record.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1)
}

/// The first line of a text, without its end.
pub(crate) fn first(text: &[u8]) -> &[u8] {
    text[..memchr(b'\n', text).unwrap_or(text.len())].trim_ascii_end()
}

/// The last line of a text that ends with one.
pub(crate) fn last(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text[memrchr(b'\n', text).map_or(0, |end| end + 1)..].trim_ascii_end()
}

/// Splits a text after its first line.
pub(crate) fn split_first(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_on_byte(b'\n').unwrap_or((text, ""));
    (line.trim_end(), rest)
}

/// The head of a record that may have a stamp.
pub(crate) fn head(record: &[u8], stamp: Option<&[u8]>) -> Beginning {
    Beginning::of(record, stamp, STAMP_BYTES_MAX)
}

/// Replaces the stamp that is carried.
pub(crate) fn carry_stamp(stamp: &[u8], context: &mut Vec<u8>) {
    context.clear();
    context.extend_from_slice(&stamp[..stamp.len().min(STAMP_BYTES_MAX)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_the_same_however_the_bytes_arrive() {
        let text = b"* one\n more\n\n more\n* two\r\n\r\n* three";
        let begins = |_: &[u8], line: &[u8]| line.starts_with(b"*");
        let whole = cut(text, 0, true, &begins, &|_| Beginning::Own);
        assert_eq!(whole, Cut::Record { text: 18, end: 19, head: Beginning::Own });
        for seen in 0..text.len() {
            let done = cut(&text[..seen], 0, false, &begins, &|_| Beginning::Own);
            if let Cut::Record { .. } = done {
                assert_eq!(done, whole, "{seen}");
            } else {
                assert_eq!(cut(text, seen, true, &begins, &|_| Beginning::Own), whole, "{seen}");
            }
        }
    }
}
