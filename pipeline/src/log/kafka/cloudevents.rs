//! The headers of a record as a CloudEvent, for readers that know those and not ours.
//!
//! The Kafka protocol binding of CloudEvents 1.0 in binary mode: each attribute is a header
//! `ce_<name>` in UTF-8, and the value stays the bytes as read.
//!
//! | attribute | what |
//! |---|---|
//! | `specversion` | `1.0` |
//! | `id` | the record's id, which becomes the document's `_id` |
//! | `source` | `file://host/path` of a file, `//host/` and what is read of anything else, percent-encoded |
//! | `type` | the dataset |
//! | `subject` | the position in the source, `start-end` |
//! | `time` | when it was read |
//! | `namespace` | the client company (an extension) |
//! | `tahoe` | our whole header in Base64 (an extension), from which Tahoe itself reads |
//!
//! `content-type` is `text/plain; charset=utf-8`, or `application/octet-stream` where the bytes are
//! no UTF-8.

use std::str::from_utf8;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rdkafka::message::{Header, OwnedHeaders};

use crate::header::{Content, Decoder};
use crate::lock::lock;
use crate::seams::{LogError, Origin, Outgoing};

/// The extension that holds our own header.
pub(super) const OURS: &str = "ce_tahoe";

/// What a path of a URI has not (RFC 3986).
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Makes records' headers into those of CloudEvents.
#[derive(Default)]
pub(super) struct CloudEvents(Mutex<Decoder>);

impl CloudEvents {
    /// The headers of a record that has ours.
    ///
    /// # Errors
    /// [`LogError::Stop`] for a pack, which would be several events in one.
    pub fn headers(&self, record: &Outgoing<'_>, ours: &[u8]) -> Result<OwnedHeaders, LogError> {
        let mut decoder = lock(&self.0);
        let header = decoder.decode(ours).map_err(|error| stop(error.to_string()))?;
        let Content::Single { id, .. } = header.content else {
            let text = "--pack (TAHOE_PACK) puts several records into one, and --headers \
                        cloudevents gives each its own headers: leave one of them out";
            return Err(stop(text.to_owned()));
        };
        let origin = &header.origin;
        let (id, subject) = (id.text(), format!("{}-{}", header.start, header.end));
        let time = Timestamp::from_millisecond(record.timestamp_ms).unwrap_or_default();
        let is_text = from_utf8(record.value).is_ok();
        let text = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        let namespace = if origin.namespace.is_empty() { "default" } else { &origin.namespace };
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_id", from_utf8(&id).expect("an id is ASCII")),
            ("ce_source", &source(origin)),
            ("ce_type", &origin.dataset),
            ("ce_subject", &subject),
            ("ce_time", &time.to_string()),
            ("ce_namespace", namespace),
            (OURS, &STANDARD.encode(ours)),
            ("content-type", text),
        ];
        let native = OwnedHeaders::new_with_capacity(attributes.len() + record.more_headers.len());
        let native = attributes.iter().fold(native, |native, (key, value)| {
            native.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let more = record.more_headers.iter();
        Ok(more.fold(native, |native, (key, value)| {
            native.insert(Header { key, value: Some(*value) })
        }))
    }
}

/// A URI reference that names what was read.
fn source(origin: &Origin) -> String {
    let host = utf8_percent_encode(&origin.host, NOT_IN_PATH);
    let path = utf8_percent_encode(&origin.path, NOT_IN_PATH);
    if origin.path.starts_with('/') {
        format!("file://{host}{path}")
    } else {
        format!("//{host}/{path}")
    }
}

/// Our own header in that of a CloudEvent, decoded into `space`; empty, which is no header that
/// anyone wrote, if it is no Base64.
pub(super) fn decode<'s>(value: &[u8], space: &'s mut Vec<u8>) -> &'s [u8] {
    space.clear();
    if STANDARD.decode_vec(value, space).is_err() {
        space.clear();
    }
    space
}

fn stop(text: String) -> LogError {
    LogError::Stop(text, None)
}
