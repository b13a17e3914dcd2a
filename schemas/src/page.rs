//! Text in the making, in a block of memory of a fixed size: what is short goes there in copies of a
//! fixed number of bytes, of which more may be written than there is to say, without a look at the
//! room for each. A full block is appended to the document, and so is what is long.

use crate::json::{self, escapes_in, must_be_escaped};

/// Bytes of a block; a power of two, so that no place in it needs to be checked.
const BLOCK: usize = 4096;
/// Bytes that may be written after [`Page::turn`]: what closes objects, a field's keys, and a short
/// text.
pub(crate) const ROOM: usize = 1024;
/// Bytes that one copy may write.
const COPY_MAX: usize = 32;
/// Texts of more bytes are not worth a copy into the block.
pub(crate) const SHORT_MAX: usize = 512;

/// The memory of a [`Page`], for any number of them.
pub(crate) struct Block([u8; BLOCK + COPY_MAX]);

impl Block {
    pub fn new() -> Box<Self> {
        Box::new(Self([0; BLOCK + COPY_MAX]))
    }
}

/// Text that is appended to a list of bytes, which has all of it after [`Page::finish`].
pub(crate) struct Page<'p> {
    out: &'p mut Vec<u8>,
    block: &'p mut Block,
    at: usize,
}

impl<'p> Page<'p> {
    pub fn begin(out: &'p mut Vec<u8>, block: &'p mut Block) -> Self {
        Self { out, block, at: 0 }
    }

    pub fn finish(mut self) {
        self.append();
    }

    /// The end of what is written, in the list.
    pub fn at(&self) -> usize {
        self.out.len() + self.at
    }

    /// Makes [`ROOM`]. Copies need it and do not look.
    #[inline(always)]
    pub fn turn(&mut self) {
        if self.at > BLOCK - ROOM {
            self.append();
        }
    }

    #[cold]
    #[inline(never)]
    fn append(&mut self) {
        self.out.extend_from_slice(&self.block.0[..self.at]);
        self.at = 0;
    }

    /// Copies `from` to a place behind the end of what is written.
    #[inline(always)]
    fn copy<const N: usize>(&mut self, behind: usize, from: &[u8; N]) {
        const { assert!(N <= COPY_MAX) };
        debug_assert!(self.at + behind < BLOCK, "there was no room");
        let at = (self.at + behind) % BLOCK;
        self.block.0[at..at + N].copy_from_slice(from);
    }

    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.copy(0, &[byte]);
        self.at += 1;
    }

    /// The first `length` bytes of `padded`.
    #[inline(always)]
    pub fn padded<const N: usize>(&mut self, padded: &[u8; N], length: usize) {
        self.copy(0, padded);
        self.at += length;
    }

    /// Bytes of any number; there is [`ROOM`] afterwards.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > SHORT_MAX {
            self.append();
            self.out.extend_from_slice(bytes);
            return;
        }
        self.turn();
        self.block.0[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        self.turn();
    }

    /// A JSON string, quotes included (RFC 8259, section 7); there is [`ROOM`] afterwards.
    #[inline(always)]
    pub fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.copy(0, b"\"");
        let plain = match bytes.len() {
            0..16 => self.is_plain_short(bytes),
            16..=SHORT_MAX => self.is_plain(bytes),
            _ => false,
        };
        if plain {
            self.copy(1 + bytes.len(), b"\"");
            self.at += 2 + bytes.len();
        } else {
            self.long_string(text);
        }
        self.turn();
    }

    #[inline(never)]
    fn long_string(&mut self, text: &str) {
        self.append();
        json::write_str(text, self.out);
    }

    /// Copies a text behind the quotation mark, unless something in it must be escaped.
    #[inline(always)]
    fn is_plain(&mut self, text: &[u8]) -> bool {
        let mut found = false;
        for (at, chunk) in text.as_chunks::<16>().0.iter().enumerate() {
            found |= must_escape(chunk);
            self.copy(1 + at * 16, chunk);
        }
        if let Some(last) = text.last_chunk::<16>() {
            found |= must_escape(last);
            self.copy(1 + text.len() - 16, last);
        }
        !found
    }

    /// The same for less than 16 bytes.
    #[inline(always)]
    fn is_plain_short(&mut self, text: &[u8]) -> bool {
        let length = text.len();
        if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            self.copy(1, first);
            self.copy(1 + length - 8, last);
            escapes_in(u64::from_le_bytes(*first)) | escapes_in(u64::from_le_bytes(*last)) == 0
        } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>())
        {
            self.copy(1, first);
            self.copy(1 + length - 4, last);
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            escapes_in(u64::from(first) | u64::from(last) << 32) == 0
        } else {
            for (at, byte) in text.iter().enumerate() {
                self.copy(1 + at, &[*byte]);
            }
            !text.iter().any(|byte| must_be_escaped(*byte))
        }
    }
}

/// Without a branch inside, the compiler compares all at once.
#[inline(always)]
fn must_escape(chunk: &[u8; 16]) -> bool {
    chunk.iter().fold(false, |found, byte| found | must_be_escaped(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_read_back_as_they_were(
            texts in proptest::collection::vec(
                ("(?s)[\"\\\\\\x00-\\x7f]{0,5}.{0,90}", 0usize..40), 0..12),
        ) {
            let texts: Vec<String> = texts.iter().map(|(text, times)| text.repeat(*times)).collect();
            let (mut out, mut block) = (b"[".to_vec(), Block::new());
            let mut page = Page::begin(&mut out, &mut block);
            for (index, text) in texts.iter().enumerate() {
                page.bytes(&b","[..index.min(1)]);
                page.string(text);
            }
            page.bytes(b"]");
            page.finish();
            let read: Vec<String> = serde_json::from_slice(&out).expect("it is JSON");
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn what_must_be_escaped_is_found_wherever_it_stands(
            plain in "[a-zé ]{0,80}", byte in 0u8..128, rest in "[a-z\"]{0,40}",
        ) {
            let text = format!("{plain}{}{rest}", char::from(byte));
            let (mut out, mut block) = (Vec::new(), Block::new());
            let mut page = Page::begin(&mut out, &mut block);
            page.string(&text);
            page.finish();
            let read: String = serde_json::from_slice(&out).expect("it is JSON");
            prop_assert_eq!(read, text);
        }
    }
}
