//! Where each stream resumes: one JSON value per stream in the compacted positions topic. Version 1,
//! or 2 where a privacy policy keeps what records say from it: context and identity are encrypted.
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
use tahoe_schemas::rules::Screen;
use tahoe_seams::{KeyValue, LogError, SourceId};

/// The newest version that this code writes and reads.
pub const VERSION: u32 = 2;

/// The one of positions that are not encrypted, which every release reads.
const PLAIN: u32 = 1;

/// Under this name, an encrypted identity.
const SEALED: &str = "sealed";

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
            v: if self.identity.get(SEALED).is_some() { VERSION } else { PLAIN },
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

    /// The same with nothing in it of what records say, but for who has the policy's secret: a
    /// framer's context may repeat a record, a feed's point the key of a row, a fingerprint is a hash
    /// of bytes that could be guessed.
    pub fn sealed(&self, screen: &Screen) -> Self {
        let identity = screen.sealed(self.identity.to_string().as_bytes());
        let context = screen.sealed(&self.context).into_bytes();
        Self { context, identity: serde_json::json!({ SEALED: identity }), ..self.clone() }
    }

    /// What [`Position::sealed`] was made of; others as they are.
    fn opened(mut self, screen: Option<&Screen>) -> Result<Self, LogError> {
        let Some(identity) = self.identity.get(SEALED).and_then(serde_json::Value::as_str) else {
            return Ok(self);
        };
        let stop = |error: String| {
            let text = format!(
                "the position of stream {} is encrypted: {error}: TAHOE_PRIVACY_KEY_FILE",
                self.source
            );
            LogError::Stop(text, None)
        };
        let screen = screen.ok_or_else(|| stop("a producer with a policy wrote it".to_owned()))?;
        let identity = screen.opened(identity.as_bytes()).map_err(&stop)?;
        let identity =
            serde_json::from_slice(&identity).map_err(|error| stop(error.to_string()))?;
        let context = screen.opened(&self.context).map_err(&stop)?;
        (self.identity, self.context) = (identity, context);
        Ok(self)
    }

    /// The time in the id of the record that starts at `start`, if it was decided before.
    pub fn segment_ms(&self, start: u64) -> Option<i64> {
        let Segment(_, end, ms) =
            self.segments.iter().rev().find(|Segment(from, ..)| *from <= start)?;
        (start < *end).then_some(*ms)
    }
}

/// The positions of one owner among all that are stored; `screen` has the key of encrypted ones.
///
/// # Errors
/// As [`Position::decode`], or it names the key that is missing.
pub fn of_owner(
    owner: &str,
    stored: &[KeyValue],
    screen: Option<&Screen>,
) -> Result<Vec<Position>, LogError> {
    let prefix = format!("{owner}/");
    let own = stored.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
    // An owner's name may itself contain a slash; what follows the prefix is then not an id.
    let own = own.filter(|(key, _)| key.len() == prefix.len() + 32);
    own.map(|(key, value)| Position::decode(key, value)?.opened(screen)).collect()
}

/// The positions of these streams, whoever owns them.
///
/// # Errors
/// As [`of_owner`].
pub fn of_sources(
    sources: &HashSet<SourceId>,
    stored: &[KeyValue],
    screen: Option<&Screen>,
) -> Result<Vec<Position>, LogError> {
    let is_one = |key: &[u8]| {
        let hex = std::str::from_utf8(key.rsplit(|byte| *byte == b'/').next()?).ok()?;
        decode_source(hex).map(|source| sources.contains(&source))
    };
    let found = stored.iter().filter(|(key, _)| is_one(key).unwrap_or(false));
    found.map(|(key, value)| Position::decode(key, value)?.opened(screen)).collect()
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
    use tahoe_schemas::rules::{AppFields, Privacy};

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
        let own = of_owner("web-1/laravel", &[other, (key, value)], None).expect("readable");
        assert_eq!(own, [position()]);
    }

    #[test]
    fn a_sealed_position_says_nothing_of_records_and_is_opened_with_the_key() {
        let screen = |secret: &str| {
            let policy = Privacy::read("p", "* message detect", Some(secret)).expect("a table");
            Screen::new(policy, AppFields::default()).expect("it can hold")
        };
        let (own, other) = (screen("0123456789abcdef"), screen("another secret of some length"));
        let value = position().sealed(&own).encode(0);
        let text = String::from_utf8_lossy(&value);
        assert!(
            text.contains("\"v\":2") && !text.contains("/a") && !text.contains("MjAyNg"),
            "{text}"
        );
        let stored = Position::decode(b"web-1/x", &value).expect("of this version");
        assert_eq!(stored.clone().opened(Some(&own)).expect("with the key"), position());
        for screen in [None, Some(&other)] {
            let error = stored.clone().opened(screen).expect_err("not with this").to_string();
            assert!(error.contains("TAHOE_PRIVACY_KEY_FILE"), "{error}");
        }
        assert_eq!(position().opened(None).expect("it is not sealed"), position());
    }

    #[test]
    fn a_newer_position_stops_with_what_to_update() {
        let error = Position::decode(b"web-1/x", br#"{"v":3,"other":true}"#).expect_err("newer");
        assert!(matches!(&error, LogError::Stop(text, _) if text.contains("update this binary")));
    }

    #[test]
    fn a_record_keeps_the_segment_that_was_decided_for_it() {
        let times = [49, 50, 119, 120, 219, 220].map(|start| position().segment_ms(start));
        assert_eq!(times, [None, Some(1), Some(1), Some(2), Some(2), None]);
    }
}
