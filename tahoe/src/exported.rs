//! Records in a file, a JSON object each: what `tahoe dlq export` writes, `parse` and `ingest` read.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use tahoe_seams::{Origin, Part};

/// Bytes as JSON has them without a loss: the text, or an object `{"base64": …}`.
pub fn bytes_as_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": BASE64.encode(bytes)}),
    }
}

/// One record of such a file.
#[derive(Debug, Deserialize)]
pub struct Exported {
    /// What its bytes mean.
    pub dataset: String,
    #[serde(default)]
    read_at: Option<String>,
    #[serde(default)]
    origin: From,
    #[serde(default)]
    part: Option<PartOf>,
    #[serde(default)]
    context: Bytes,
    bytes: Bytes,
    /// Its producer encrypted it, so its bytes are no record yet.
    #[serde(default)]
    sealed: bool,
}

/// Where an exported record came from, as far as is known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct From {
    namespace: String,
    host: String,
    path: String,
    peer: String,
    time_zone: String,
    labels: Vec<(String, String)>,
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct PartOf {
    index: u32,
    last: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Encoded { base64: String },
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Bytes {
    fn decode(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Encoded { base64 } => BASE64.decode(base64).context("bytes are no Base64"),
        }
    }
}

impl Exported {
    /// Reads one line.
    ///
    /// # Errors
    /// It is none that `tahoe dlq export` wrote.
    pub fn read(line: &[u8]) -> anyhow::Result<Self> {
        serde_json::from_slice(line).context("no record as `tahoe dlq export` prints it")
    }

    /// The record's bytes.
    ///
    /// # Errors
    /// They are no Base64, or nobody's but a transformer's to open.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        if self.sealed {
            bail!(
                "sealed: its producer encrypted it; `tahoe dlq replay` with --privacy and \
                 TAHOE_PRIVACY_KEY_FILE stores it"
            );
        }
        self.bytes.decode()
    }

    /// What the framer carried.
    ///
    /// # Errors
    /// It is no Base64.
    pub fn context(&self) -> anyhow::Result<Vec<u8>> {
        self.context.decode()
    }

    /// When it was read at its source, if that is known.
    pub fn read_at(&self) -> Option<jiff::Timestamp> {
        self.read_at.as_ref()?.parse().ok()
    }

    /// Where the record came from, as its events say it.
    pub fn origin(&self, dataset: &str) -> Origin {
        let of = self.origin.clone();
        Origin {
            dataset: dataset.to_owned(),
            namespace: of.namespace,
            host: of.host,
            path: of.path,
            peer: of.peer,
            time_zone: of.time_zone,
            labels: of.labels,
            tags: of.tags,
            ..Origin::default()
        }
    }

    /// Set when it is a part of a longer text.
    pub fn part(&self) -> Option<Part> {
        self.part.as_ref().map(|part| Part { index: part.index, last: part.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were_whatever_they_are() {
        for bytes in [&b"plain \"text\"\n\tand more"[..], b"\xff\x00\xfe", "a\u{feff}b".as_bytes()]
        {
            let line = json!({"dataset": "a.b", "bytes": bytes_as_json(bytes)}).to_string();
            let record = Exported::read(line.as_bytes()).expect("a record");
            assert_eq!(record.bytes().expect("bytes"), bytes);
        }
        assert!(Exported::read(b"[2026-11-21] a line of a log").is_err());
    }

    #[test]
    fn what_its_producer_encrypted_is_not_taken_for_a_record() {
        let line = json!({"dataset": "a.b", "bytes": "enc:1:k:x", "sealed": true}).to_string();
        let record = Exported::read(line.as_bytes()).expect("a record");
        let error = record.bytes().expect_err("sealed").to_string();
        assert!(error.contains("tahoe dlq replay"), "{error}");
    }
}
