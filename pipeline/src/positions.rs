//! Where each stream resumes: one JSON value per stream in the compacted positions topic. Version 1.
//!
//! ```json
//! {"v":1,"source":"…32 hex digits…","generation":0,"next":8192,"context":"base64",
//!  "segments":[[4096,1052672,1700000000000]],"topic":"laravel_logs","partition":3,
//!  "scan_from":120,"clean":false,"identity":{…},"stored_ms":1700000000456}
//! ```
//!
//! `next` is the first byte that was not acknowledged when this was written. While `clean` is false,
//! records beyond it may be in the log: they are at or after offset `scan_from` of the partition.
//! `segments` are `[first byte, first byte after it, milliseconds]`: a record that starts there
//! has those milliseconds in its id, however often it is read. A clean position reserves nothing.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tahoe_seams::{KeyValue, LogError, SourceId};

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// A range of positions whose records carry one time in their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment(
    /// First position.
    pub u64,
    /// First position after it.
    pub u64,
    /// Milliseconds since the epoch.
    pub i64,
);

/// What is stored for one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The stream.
    pub source: SourceId,
    /// Its generation.
    pub generation: u32,
    /// First position that is not known to be in the log.
    pub next: u64,
    /// What the framer carried up to there.
    pub context: Vec<u8>,
    /// Ranges at or after `next` whose ids are decided.
    pub segments: Vec<Segment>,
    /// Where its records are.
    pub topic: String,
    /// Their partition.
    pub partition: u32,
    /// No record beyond `next` is before this offset.
    pub scan_from: u64,
    /// No record beyond `next` is in the log.
    pub clean: bool,
    /// The source's own, to know the stream again.
    pub identity: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    source: String,
    generation: u32,
    next: u64,
    context: String,
    segments: Vec<Segment>,
    topic: std::borrow::Cow<'a, str>,
    partition: u32,
    scan_from: u64,
    clean: bool,
    identity: serde_json::Value,
    stored_ms: i64,
}

/// The key of a stream's position: owner and stream, so that owners never meet.
pub fn key(owner: &str, source: SourceId) -> Vec<u8> {
    format!("{owner}/{source}").into_bytes()
}

impl Position {
    /// The value as it is stored.
    pub fn encode(&self, stored_ms: i64) -> Vec<u8> {
        let stored = Stored {
            v: VERSION,
            source: self.source.to_string(),
            generation: self.generation,
            next: self.next,
            context: BASE64.encode(&self.context),
            segments: self.segments.clone(),
            topic: self.topic.as_str().into(),
            partition: self.partition,
            scan_from: self.scan_from,
            clean: self.clean,
            identity: self.identity.clone(),
            stored_ms,
        };
        serde_json::to_vec(&stored).expect("strings and numbers are always JSON")
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// [`LogError::Stop`] when it is of a newer version or damaged: going on would lose or repeat.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, LogError> {
        let name = String::from_utf8_lossy(key);
        let damaged = |what: String| LogError::Stop(format!("position {name}: {what}"), None);
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let version: Version =
            serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
        if version.v > VERSION {
            return Err(damaged(format!(
                "stored by a newer version ({} > {VERSION}): update this binary",
                version.v
            )));
        }
        let stored: Stored<'_> =
            serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
        let source = decode_source(&stored.source)
            .ok_or_else(|| damaged("source is not 32 hex digits".into()))?;
        let context = BASE64.decode(&stored.context).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            source,
            generation: stored.generation,
            next: stored.next,
            context,
            segments: stored.segments,
            topic: stored.topic.into_owned(),
            partition: stored.partition,
            scan_from: stored.scan_from,
            clean: stored.clean,
            identity: stored.identity,
        })
    }

    /// The time in the id of the record that starts at `start`, if it was decided before.
    pub fn segment_ms(&self, start: u64) -> Option<i64> {
        let Segment(_, end, ms) =
            self.segments.iter().rev().find(|Segment(from, ..)| *from <= start)?;
        (start < *end).then_some(*ms)
    }
}

/// The positions of one owner among all that are stored.
///
/// # Errors
/// As [`Position::decode`].
pub fn of_owner(owner: &str, stored: &[KeyValue]) -> Result<Vec<Position>, LogError> {
    let prefix = format!("{owner}/");
    let own = stored.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
    // An owner's name may itself contain a slash; what follows the prefix is then not an id.
    let own = own.filter(|(key, _)| key.len() == prefix.len() + 32);
    own.map(|(key, value)| Position::decode(key, value)).collect()
}

/// The positions of these streams, whoever owns them.
///
/// # Errors
/// As [`Position::decode`].
pub fn of_sources(
    sources: &HashSet<SourceId>,
    stored: &[KeyValue],
) -> Result<Vec<Position>, LogError> {
    let is_one = |key: &[u8]| {
        let hex = std::str::from_utf8(key.rsplit(|byte| *byte == b'/').next()?).ok()?;
        decode_source(hex).map(|source| sources.contains(&source))
    };
    let found = stored.iter().filter(|(key, _)| is_one(key).unwrap_or(false));
    found.map(|(key, value)| Position::decode(key, value)).collect()
}

fn decode_source(hex: &str) -> Option<SourceId> {
    let mut id = [0; 16];
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (place, pair) in id.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(SourceId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position {
            source: SourceId([0xab; 16]),
            generation: 1,
            next: 100,
            context: b"2026".to_vec(),
            segments: vec![Segment(50, 150, 1), Segment(120, 220, 2)],
            topic: "laravel_logs".into(),
            partition: 2,
            scan_from: 7,
            clean: false,
            identity: serde_json::json!({"path": "/a"}),
        }
    }

    #[test]
    fn a_position_gives_back_what_was_stored() {
        let key = key("web-1/laravel", SourceId([0xab; 16]));
        let value = position().encode(1_700_000_000_000);
        assert_eq!(Position::decode(&key, &value).expect("readable"), position());
        let other = (b"web-1/x".to_vec(), b"{}".to_vec());
        let own = of_owner("web-1/laravel", &[other, (key, value)]).expect("readable");
        assert_eq!(own, [position()]);
    }

    #[test]
    fn a_newer_position_stops_with_what_to_update() {
        let error = Position::decode(b"web-1/x", br#"{"v":2,"other":true}"#).expect_err("newer");
        assert!(matches!(&error, LogError::Stop(text, _) if text.contains("update this binary")));
    }

    #[test]
    fn a_record_keeps_the_segment_that_was_decided_for_it() {
        let times = [49, 50, 119, 120, 219, 220].map(|start| position().segment_ms(start));
        assert_eq!(times, [None, Some(1), Some(1), Some(2), Some(2), None]);
    }
}
