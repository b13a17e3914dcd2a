//! A record is bytes as read plus where they came from; its identity follows from both.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::TablePatterns;

/// Identity of one stream of records: a file, a listener's connection, a journal. 16 bytes that
/// the producer drew once and keeps with the stream's position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SourceId(pub [u8; 16]);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is the same for every record of a stream, and so is encoded once for all of them.
#[derive(Clone, Debug, Eq, Default)]
pub struct Origin {
    /// The stream.
    pub source: SourceId,
    /// Grows by one when a file is truncated.
    pub generation: u32,
    /// What the bytes mean: `laravel.log`.
    pub dataset: String,
    /// The client company that the events belong to unless a field says otherwise.
    pub namespace: String,
    /// Name of the host that the producer runs on.
    pub host: String,
    /// File path, `udp://127.0.0.1:5514`, `journal:/var/log/journal`.
    pub path: String,
    /// Address that sent the record, for sockets; empty otherwise.
    pub peer: String,
    /// Zone of stamps that name none: an IANA name or an offset; empty is UTC.
    pub time_zone: String,
    /// Free labels of the source (deployment, environment).
    pub labels: Vec<(String, String)>,
    /// Free tags of the source.
    pub tags: Vec<String>,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no field that comes to it is forgotten here.
        let Self {
            source,
            generation,
            dataset,
            namespace,
            host,
            path,
            peer,
            time_zone,
            labels,
            tags,
        } = self;
        *source == other.source
            && *generation == other.generation
            && is_same(dataset, &other.dataset)
            && is_same(namespace, &other.namespace)
            && is_same(host, &other.host)
            && is_same(path, &other.path)
            && is_same(peer, &other.peer)
            && is_same(time_zone, &other.time_zone)
            && *labels == other.labels
            && *tags == other.tags
    }
}

/// As `==`, where both may be empty. No memory is behind an empty `String`, and the C library
/// compares no bytes by a masked load from there, which takes some processors a hundred times as
/// long as one from memory.
pub fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// One part of a text that was too long for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Counts from 0; the first part has the record's beginning.
    pub index: u32,
    /// No further part follows.
    pub last: bool,
}

/// One record as a [`crate::Normalizer`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The bytes as read, without the line terminator.
    pub bytes: &'a [u8],
    /// Its identity, which becomes the document's `_id`.
    pub id: RecordId,
    /// Where it came from.
    pub origin: &'a Origin,
    /// First byte, or ordinal, of its position.
    pub start: u64,
    /// Milliseconds since the epoch at which it was read.
    pub read_at_ms: i64,
    /// What the framer carried, when the record needs it.
    pub context: &'a [u8],
    /// Set when the record is a part of a longer text.
    pub part: Option<Part>,
}

impl<'a> Record<'a> {
    /// Bytes and where they came from, and nothing else: no identity, no position, no time.
    pub fn new(bytes: &'a [u8], origin: &'a Origin) -> Self {
        let id = RecordId::default();
        Self { bytes, id, origin, start: 0, read_at_ms: 0, context: b"", part: None }
    }
}

/// What a [`crate::Normalizer`] is given besides the record.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `event.ingested`, milliseconds since the epoch; left out where it is zero, as in samples.
    pub ingested_ms: i64,
    /// Keep the record's bytes as `event.original`.
    pub keep_original: bool,
    /// Tables whose rows and changes go to data streams of their own.
    pub table_streams: TablePatterns,
    /// Tables whose rows are kept as they are now, beside the events.
    pub latest_state: TablePatterns,
    /// What the operator's own files say of events.
    pub rules: Rules,
    /// What the producer's privacy policy did to the record, as `tahoe.transformations` says it, a
    /// line each; mostly nothing.
    pub done: String,
}

/// What the operator's own files say of events, for a [`crate::Normalizer`] that knows what they are
/// about; here they are opaque, since fields belong to the schema. Cloning shares them.
#[derive(Clone, Default)]
pub struct Rules(Option<Arc<dyn Any + Send + Sync>>);

impl Rules {
    /// Holds rules of some type.
    pub fn new(rules: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(rules)))
    }

    /// The rules, if they are of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Rules(…)" } else { "Rules" })
    }
}

/// Identity of a record, scheme 1: six bytes of milliseconds (big endian) at which the producer
/// opened the segment that the record is in, then ten bytes of hash. So ids sort by time, which is
/// what keeps Elasticsearch's duplicate check cheap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RecordId(pub [u8; 16]);

impl RecordId {
    /// The hash covers where the record stood (stream, generation, start, end) and its bytes: the
    /// same position with other bytes is another record. It is XXH3-128 of the bytes, seeded with
    /// XXH3-64 of the position's 36 bytes (all little endian); its low ten bytes are kept.
    pub fn new(
        segment_ms: i64,
        source: SourceId,
        generation: u32,
        span: (u64, u64),
        bytes: &[u8],
    ) -> Self {
        let mut place = [0u8; 36];
        place[..16].copy_from_slice(&source.0);
        place[16..20].copy_from_slice(&generation.to_le_bytes());
        place[20..28].copy_from_slice(&span.0.to_le_bytes());
        place[28..].copy_from_slice(&span.1.to_le_bytes());
        let hash = xxh3_128_with_seed(bytes, xxh3_64(&place));
        let mut id = [0u8; 16];
        id[..6].copy_from_slice(&segment_ms.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&hash.to_le_bytes()[..10]);
        Self(id)
    }

    /// Identity of the `ordinal`th event of a record; the first keeps the record's own.
    pub fn event(self, ordinal: u32) -> Self {
        if ordinal == 0 {
            return self;
        }
        let mut id = self.0;
        let hash = xxh3_128_with_seed(&self.0, u64::from(ordinal));
        id[6..].copy_from_slice(&hash.to_le_bytes()[..10]);
        Self(id)
    }

    /// Unpadded base64url, 22 characters, which keeps the order of the bytes only as far as
    /// Elasticsearch needs it: equal prefixes stay equal.
    pub fn text(&self) -> [u8; 22] {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = [0u8; 22];
        // Three bytes are four characters; the sixteenth byte is left over and fills two.
        for (bytes, places) in self.0.chunks(3).zip(out.chunks_mut(4)) {
            let mut group = [0u8; 4];
            group[1..=bytes.len()].copy_from_slice(bytes);
            let group = u32::from_be_bytes(group);
            for (place, shift) in places.iter_mut().zip([18, 12, 6, 0]) {
                *place = ALPHABET[(group >> shift & 63) as usize];
            }
        }
        out
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_for_the_same_bytes_at_the_same_place_only() {
        let id = |start, bytes: &[u8]| {
            RecordId::new(1_700_000_000_000, SourceId([7; 16]), 0, (start, 9), bytes)
        };
        assert_eq!(id(1, b"x"), id(1, b"x"));
        assert_ne!(id(1, b"x"), id(2, b"x"));
        assert_ne!(id(1, b"x"), id(1, b"y"));
    }

    /// The scheme is stored in every index: a change here is a new scheme, not a fix.
    #[test]
    fn scheme_1_stays_as_it_is() {
        let id = RecordId::new(1_700_000_000_000, SourceId([7; 16]), 1, (10, 20), b"record");
        assert_eq!(id.to_string(), "AYvP5WgAfgXsH8IrjXYfbw");
    }

    #[test]
    fn ids_of_a_later_segment_sort_later() {
        let id = |ms| RecordId::new(ms, SourceId([7; 16]), 0, (0, 1), b"x");
        assert!(id(1_700_000_000_001) > id(1_700_000_000_000));
        assert_eq!(id(5).to_string()[..8], id(5).event(1).to_string()[..8]);
    }
}
