//! A block is up to 60 KiB of one partition's records, in order, as one value of the engine: a
//! million records then cost thousands of entries, not a million.
//!
//! Format 1, little endian: `u32` records, `i64` milliseconds when it was written, then for each
//! record `u32` length of the value, `u32` of the key, `u32` of the headers, `i64` timestamp, key,
//! headers, value. A header is `u16` length of the name, `u32` of the value, name, value.

use crate::header;
use crate::log::headers_of;
use crate::seams::{FindHeader, LogRecord, MoreHeaders, Outgoing};

/// The engine rounds large values up to pages of a power of two: 60 KiB and the entry's own
/// overhead fit one of 64 KiB.
pub(super) const BLOCK_BYTES: usize = 60 << 10;

/// Bytes of a block before its first record.
const HEAD: usize = 4 + 8;

fn headers_size(record: &Outgoing<'_>) -> usize {
    headers_of(record).map(|(name, value)| 6 + name.len() + value.len()).sum()
}

/// Adds one record as it stands in a block.
pub(super) fn encode(record: &Outgoing<'_>, out: &mut Vec<u8>) {
    for length in [record.value.len(), record.key.len(), headers_size(record)] {
        out.extend_from_slice(&length_u32(length).to_le_bytes());
    }
    out.extend_from_slice(&record.timestamp_ms.to_le_bytes());
    out.extend_from_slice(record.key);
    for (name, value) in headers_of(record) {
        let name_length = u16::try_from(name.len()).expect("names of headers are our own words");
        out.extend_from_slice(&name_length.to_le_bytes());
        out.extend_from_slice(&length_u32(value.len()).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
    out.extend_from_slice(record.value);
}

/// Bytes that a record needs in a block.
pub(super) fn size(record: &Outgoing<'_>) -> usize {
    20 + record.key.len() + headers_size(record) + record.value.len()
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("append refuses records over --kafka-record-bytes-max")
}

/// Starts a block whose records are still to be added.
pub(super) fn begin(written_ms: i64) -> Vec<u8> {
    let mut block = vec![0; 4];
    block.extend_from_slice(&written_ms.to_le_bytes());
    block
}

/// Says how many records were added.
pub(super) fn finish(block: &mut [u8], records: u32) {
    block[..4].copy_from_slice(&records.to_le_bytes());
}

/// A block as it was read back.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub records: u32,
    pub written_ms: i64,
    body: &'a [u8],
    headers: Headers<'a>,
}

/// The headers of one record, as they stand in a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Headers<'a>(&'a [u8]);

impl FindHeader for Headers<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        find(self.0, name.as_bytes())
    }
}

impl<'a> Block<'a> {
    /// `None` if it is shorter than its own head.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let records = u32::from_le_bytes(head[..4].try_into().ok()?);
        let written_ms = i64::from_le_bytes(head[4..].try_into().ok()?);
        Some(Self { records, written_ms, body, headers: Headers::default() })
    }

    /// All headers of the record that was taken last.
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// Takes the next record, without its further headers; `None` if what is left is not one.
    pub fn next(&mut self, topic: &'a str, partition: u32, offset: u64) -> Option<LogRecord<'a>> {
        let (head, rest) = self.body.split_at_checked(20)?;
        let length = |at: usize| -> Option<usize> {
            usize::try_from(u32::from_le_bytes(head[at..at + 4].try_into().ok()?)).ok()
        };
        let timestamp_ms = i64::from_le_bytes(head[12..].try_into().ok()?);
        let (key, rest) = rest.split_at_checked(length(4)?)?;
        let (headers, rest) = rest.split_at_checked(length(8)?)?;
        let (value, rest) = rest.split_at_checked(length(0)?)?;
        self.body = rest;
        self.headers = Headers(headers);
        let header = find(headers, header::NAME.as_bytes());
        let more_headers = MoreHeaders::default();
        Some(LogRecord { topic, partition, offset, timestamp_ms, key, value, header, more_headers })
    }
}

fn find<'a>(mut headers: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while let Some((head, rest)) = headers.split_at_checked(6) {
        let name = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let value = u32::from_le_bytes(head[2..].try_into().ok()?) as usize;
        let (name, rest) = rest.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        if name == wanted {
            return Some(value);
        }
        headers = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Outgoing<'static> = Outgoing {
        topic: "t",
        partition: 1,
        key: b"key",
        value: b"value",
        timestamp_ms: -5,
        header: Some(b"header"),
        more_headers: &[("reason", b"no_timestamp")],
    };

    #[test]
    fn a_record_comes_back_with_its_key_time_and_our_header() {
        let mut bytes = begin(7);
        encode(&RECORD, &mut bytes);
        finish(&mut bytes, 1);
        assert_eq!(bytes.len(), HEAD + size(&RECORD));
        let mut block = Block::open(&bytes).expect("a block");
        assert_eq!((block.records, block.written_ms), (1, 7));
        let read = block.next("t", 1, 9).expect("a record");
        assert_eq!((read.key, read.value), (RECORD.key, RECORD.value));
        assert_eq!((read.offset, read.timestamp_ms), (9, -5));
        assert_eq!(read.header, Some(&b"header"[..]));
        assert_eq!(block.headers().find("reason"), Some(&b"no_timestamp"[..]));
        assert_eq!(block.headers().find("offset"), None);
        assert!(block.next("t", 1, 10).is_none());
    }

    #[test]
    fn a_block_that_was_cut_anywhere_gives_no_record_and_no_panic() {
        let mut bytes = begin(7);
        encode(&RECORD, &mut bytes);
        for end in 0..bytes.len() {
            let read = Block::open(&bytes[..end]).and_then(|mut block| {
                let record = block.next("t", 1, 0)?;
                Some(record.value.len())
            });
            assert_eq!(read, None);
        }
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let mut bytes = begin(1);
        let record = Outgoing { key: b"k", value: b"v", header: Some(b"h"), ..RECORD };
        encode(&Outgoing { more_headers: &[], ..record }, &mut bytes);
        finish(&mut bytes, 1);
        let expected = b"\x01\0\0\0\x01\0\0\0\0\0\0\0\
            \x01\0\0\0\x01\0\0\0\x0c\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff\
            k\x05\0\x01\0\0\0tahoehv";
        assert_eq!(bytes, expected);
    }
}
