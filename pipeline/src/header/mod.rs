//! The `tahoe` header: what travels with a record, byte by byte. Version 1, or 2 where a privacy
//! policy changed the record before it was sent (flags 16 and 32). Version 3 is 8 bytes of
//! milliseconds (big endian), which stand for the time of reading in place of the log's timestamp,
//! and then a whole header of version 1 or 2: of records that are loaded long after they were
//! written, whose own time retention must not go by.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 or 2 (behind 3 and its 8 bytes, if it was loaded) |
//! | 1 | flags: 1 part, 2 last part, 4 context, 8 pack, 16 hidden, 32 sealed |
//! | 16 | the record's id; with the pack flag 6, the segment's milliseconds, big endian |
//! | varint | start of the position |
//! | varint | end minus start |
//! | varint | index of the part, with flag 1 |
//! | varint + n | the context, with flag 4 |
//! | varint + n | with flag 16: what was hidden, as `tahoe.transformations` says it, a line each |
//! | varint + n × 2 varints | with flag 8: how many records, then for each the bytes of its text and of its span |
//! | 16 | the stream's id |
//! | varint | the stream's generation |
//! | 6 × (varint + n) | dataset, namespace, host, path, peer, time zone |
//! | varint + n × 2 × (varint + n) | labels |
//! | varint + n × (varint + n) | tags |
//!
//! Varints are LEB128, unsigned. Everything from the stream's id on is the same for all records of
//! a stream: it is encoded once and copied, and a reader that has seen the same bytes before does
//! not decode them again. A pack's texts are joined by one newline each; the ids of its records
//! follow from segment, stream and position, as [`RecordId::new`] makes them. Of a sealed record
//! value and context are encrypted, each unless it is empty; no record of a pack is hidden or sealed.

mod decode;

use std::sync::Arc;

use tahoe_seams::{Origin, Part, RecordId};

pub use self::decode::{Boundaries, Decoder};

/// The header's name in Kafka.
pub const NAME: &str = "tahoe";

/// The newest version that this code writes and reads.
pub const VERSION: u8 = 3;

/// The one of records that a policy changed.
const PRIVATE: u8 = 2;

/// The one of records that no policy changed, which every release reads.
const PLAIN: u8 = 1;

const PART: u8 = 1;
const LAST_PART: u8 = 2;
const CONTEXT: u8 = 4;
const PACK: u8 = 8;
const HIDDEN: u8 = 16;
const SEALED: u8 = 32;

/// What a privacy policy did to a record before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Privacy<'a> {
    /// Nothing.
    #[default]
    Plain,
    /// It hid values, as `tahoe.transformations` says it, a line each.
    Hidden(&'a str),
    /// It encrypted the whole.
    Sealed,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Written by a newer Tahoe: this one must not guess.
    #[error("header version {0} is newer than {VERSION}: update this binary before the producers")]
    Newer(u8),
    /// Not a header that any version wrote.
    #[error("header ends or breaks at byte {0}")]
    Broken(usize),
    /// The boundaries of a pack are not those of its value.
    #[error("the pack's boundaries reach to byte {reach}, its value has {bytes}")]
    Boundaries {
        /// Where the record ends that is not whole, or the last one.
        reach: usize,
        /// Bytes of the value.
        bytes: usize,
    },
}

/// The part of a header that is the same for a whole stream, encoded once.
pub fn encode_origin(origin: &Origin) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&origin.source.0);
    put_varint(&mut out, u64::from(origin.generation));
    let texts = [
        &origin.dataset,
        &origin.namespace,
        &origin.host,
        &origin.path,
        &origin.peer,
        &origin.time_zone,
    ];
    texts.into_iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
    put_varint(&mut out, origin.labels.len() as u64);
    for (name, value) in &origin.labels {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    put_varint(&mut out, origin.tags.len() as u64);
    origin.tags.iter().for_each(|tag| put_bytes(&mut out, tag.as_bytes()));
    out
}

/// Begins the header of a record for which another moment stands for the time of reading than the
/// log's timestamp; the rest is appended behind it.
pub fn begin_read_at(out: &mut Vec<u8>, read_at_ms: i64) {
    out.push(VERSION);
    out.extend_from_slice(&read_at_ms.to_be_bytes());
}

/// Appends the header of one record. `origin` is what [`encode_origin`] gave.
pub fn encode(
    out: &mut Vec<u8>,
    id: RecordId,
    span: (u64, u64),
    part: Option<Part>,
    context: &[u8],
    origin: &[u8],
) {
    encode_private(out, id, span, part, context, (Privacy::Plain, origin));
}

/// The same of a record that a privacy policy may have changed.
pub fn encode_private(
    out: &mut Vec<u8>,
    id: RecordId,
    span: (u64, u64),
    part: Option<Part>,
    context: &[u8],
    (privacy, origin): (Privacy<'_>, &[u8]),
) {
    let (version, mut flags) = match privacy {
        Privacy::Plain => (PLAIN, 0),
        Privacy::Hidden(_) => (PRIVATE, HIDDEN),
        Privacy::Sealed => (PRIVATE, SEALED),
    };
    if let Some(part) = part {
        flags |= PART | if part.last { LAST_PART } else { 0 };
    }
    if !context.is_empty() {
        flags |= CONTEXT;
    }
    out.extend_from_slice(&[version, flags]);
    out.extend_from_slice(&id.0);
    put_varint(out, span.0);
    put_varint(out, span.1 - span.0);
    if let Some(part) = part {
        put_varint(out, u64::from(part.index));
    }
    if !context.is_empty() {
        put_bytes(out, context);
    }
    if let Privacy::Hidden(done) = privacy {
        put_bytes(out, done.as_bytes());
    }
    out.extend_from_slice(origin);
}

/// Appends the header of a pack that begins at `start`; `lengths` are the bytes of each record's
/// text and of its span.
pub fn encode_pack(
    out: &mut Vec<u8>,
    segment_ms: i64,
    start: u64,
    lengths: &[(u32, u32)],
    origin: &[u8],
) {
    out.extend_from_slice(&[PLAIN, PACK]);
    out.extend_from_slice(&segment_ms.to_be_bytes()[2..]);
    put_varint(out, start);
    put_varint(out, lengths.iter().map(|(_, span)| u64::from(*span)).sum());
    put_varint(out, lengths.len() as u64);
    for (text, span) in lengths {
        put_varint(out, u64::from(*text));
        put_varint(out, u64::from(*span));
    }
    out.extend_from_slice(origin);
}

/// A header as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// What identifies the record, or each of the records.
    pub content: Content<'a>,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// Milliseconds that stand for the time of reading, if the log's timestamp does not.
    pub read_at_ms: Option<i64>,
    /// First byte, or ordinal, of the position.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// One record, or several in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// One record.
    Single {
        /// Its identity.
        id: RecordId,
        /// Set when it is a part of a longer text.
        part: Option<Part>,
        /// What the framer carried.
        context: &'a [u8],
        /// What a privacy policy did to it.
        privacy: Privacy<'a>,
    },
    /// Several.
    Pack {
        /// The first six bytes of their ids.
        segment_ms: i64,
        /// Their boundaries, for [`Boundaries`].
        boundaries: &'a [u8],
        /// How many they are.
        records: u64,
    },
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tahoe_seams::SourceId;

    use super::*;

    fn origin() -> Origin {
        Origin {
            source: SourceId(*b"0123456789abcdef"),
            generation: 3,
            dataset: "laravel.log".into(),
            namespace: "acme".into(),
            host: "web-1".into(),
            path: "/srv/app/storage/logs/laravel.log".into(),
            peer: String::new(),
            time_zone: "Europe/Madrid".into(),
            labels: vec![("deployment".into(), "blue".into())],
            tags: vec!["shop".into()],
        }
    }

    #[test]
    fn a_header_gives_back_what_was_written() {
        let part = Some(Part { index: 2, last: true });
        let mut bytes = Vec::new();
        encode(&mut bytes, RecordId([9; 16]), (300, 572), part, b"ctx", &encode_origin(&origin()));
        let mut decoder = Decoder::default();
        let header = decoder.decode(&bytes).expect("a header");
        assert_eq!((header.start, header.end), (300, 572));
        assert_eq!(*header.origin, origin());
        let id = RecordId([9; 16]);
        let single = |privacy| Content::Single { id, part, context: b"ctx", privacy };
        assert_eq!(header.content, single(Privacy::Plain));
        for privacy in [Privacy::Hidden("masked:user.email\nhashed:user.name"), Privacy::Sealed] {
            bytes.clear();
            let origin = encode_origin(&origin());
            encode_private(&mut bytes, id, (300, 572), part, b"ctx", (privacy, &origin));
            assert_eq!(bytes[0], 2, "older releases must not take it for what was read");
            assert_eq!(decoder.decode(&bytes).expect("a header").content, single(privacy));
        }
    }

    #[test]
    fn a_pack_gives_back_its_boundaries() {
        let mut bytes = Vec::new();
        let lengths = [(271, 272), (0, 1), (70_000, 70_002)];
        encode_pack(&mut bytes, 1_700_000_000_000, 10, &lengths, &encode_origin(&origin()));
        let mut decoder = Decoder::default();
        let header = decoder.decode(&bytes).expect("a header");
        assert_eq!((header.start, header.end), (10, 10 + 272 + 1 + 70_002));
        let Content::Pack { segment_ms, boundaries, records } = header.content else {
            panic!("a pack")
        };
        assert_eq!((segment_ms, records), (1_700_000_000_000, 3));
        let read: Vec<_> = Boundaries::new(boundaries).collect();
        assert_eq!(read, [(271, 272), (0, 1), (70_000, 70_002)]);
    }

    #[test]
    fn a_moment_that_stands_for_the_time_of_reading_is_before_any_header() {
        let (mut decoder, origin) = (Decoder::default(), encode_origin(&origin()));
        for read_at_ms in [1_700_000_000_000, -5] {
            let mut bytes = Vec::new();
            begin_read_at(&mut bytes, read_at_ms);
            encode_pack(&mut bytes, 1_800_000_000_000, 10, &[(271, 272)], &origin);
            let header = decoder.decode(&bytes).expect("a header");
            assert_eq!((header.read_at_ms, header.end), (Some(read_at_ms), 282));
            assert_eq!(bytes[0], 3, "older releases must not take it for another time");
            let plain = decoder.decode(&bytes[9..]).expect("a header");
            assert_eq!(plain, Header { read_at_ms: None, ..header });
        }
        let twice = [[3u8; 9], [3u8; 9]].concat();
        assert_eq!(decoder.decode(&twice), Err(HeaderError::Newer(3)));
    }

    #[test]
    fn a_newer_version_is_refused_and_says_what_to_update() {
        let error = Decoder::default().decode(&[4, 0, 0]).expect_err("newer");
        assert_eq!(error, HeaderError::Newer(4));
        assert!(error.to_string().contains("update this binary"));
    }

    /// Topics hold headers for days: these bytes must be readable by every later version.
    #[test]
    fn version_1_stays_as_it_is() {
        let mut bytes = Vec::new();
        let origin = Origin { dataset: "a.b".into(), ..Origin::default() };
        encode(&mut bytes, RecordId([1; 16]), (128, 130), None, b"", &encode_origin(&origin));
        let mut expected = vec![1, 0];
        expected.extend([1; 16]);
        expected.extend([0x80, 0x01, 2]);
        expected.extend([0; 16]);
        expected.extend([0, 3, b'a', b'.', b'b', 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Decoder::default().decode(&bytes);
            for version in [1, 2, 3] {
                let mut with_version = vec![version];
                with_version.extend_from_slice(&bytes);
                let _ = Decoder::default().decode(&with_version);
            }
        }

        #[test]
        fn every_cut_of_a_header_is_an_error(cut in 0usize..140) {
            let mut bytes = Vec::new();
            encode(&mut bytes, RecordId([9; 16]), (300, 572), None, b"", &encode_origin(&origin()));
            prop_assume!(cut < bytes.len());
            prop_assert!(Decoder::default().decode(&bytes[..cut]).is_err());
        }
    }
}
