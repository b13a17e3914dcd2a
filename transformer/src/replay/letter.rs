//! A dead letter as it is read back: the record with its bytes, why it was rejected, and where it
//! stood, so that it can be taken in again as the very record that it was.

use std::borrow::Cow;
use std::sync::Arc;

use tahoe_pipeline::header::{Content, Decoder, Privacy};
use tahoe_pipeline::produce::each_record;
use tahoe_seams::{LogRecord, MoreHeaders, Origin, Part, RecordId};

/// One record of a dead-letter topic.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The dead-letter topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// When the record was read at its source, or loaded, milliseconds since the epoch.
    pub read_at_ms: i64,
    /// Why it was rejected, in one word.
    pub code: Cow<'a, str>,
    /// Why, for people.
    pub reason: Cow<'a, str>,
    /// Where in the record's bytes, if it is one place.
    pub byte: Option<u64>,
    /// The topic that it was in.
    pub from_topic: Cow<'a, str>,
    /// Its partition there.
    pub from_partition: u32,
    /// Its offset there.
    pub from_offset: u64,
    /// Its number in its pack.
    pub ordinal: u32,
    key: &'a [u8],
    value: &'a [u8],
    header: Option<&'a [u8]>,
}

/// The record of a letter.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// Its bytes as read.
    pub bytes: &'a [u8],
    /// Its identity; none if its header has none that this version can read.
    pub id: Option<RecordId>,
    /// Where it came from; none if its header does not say.
    pub origin: Option<Arc<Origin>>,
    /// What stands for the time of reading, if that is another than the letter's.
    pub read_at_ms: Option<i64>,
    /// First byte, or ordinal, of its position, and one past the last.
    pub span: Option<(u64, u64)>,
    /// Set when it is a part of a longer text.
    pub part: Option<Part>,
    /// What the framer carried.
    pub context: &'a [u8],
    /// Its producer encrypted bytes and context as a whole.
    pub is_sealed: bool,
}

fn text<'a>(headers: &MoreHeaders<'a>, name: &str) -> Option<Cow<'a, str>> {
    headers.find(name).map(String::from_utf8_lossy)
}

fn number<T: std::str::FromStr>(headers: &MoreHeaders<'_>, name: &str) -> Option<T> {
    text(headers, name)?.parse().ok()
}

impl<'a> Letter<'a> {
    /// What a record of a dead-letter topic says; `None` for a fence. What another program wrote
    /// there without our headers is a letter too, of code `unknown`.
    pub fn read(found: &LogRecord<'a>) -> Option<Self> {
        if found.value.is_empty() {
            return None;
        }
        let headers = found.more_headers;
        let from_topic = text(&headers, "tahoe.topic");
        let named = found.topic.strip_suffix(".dlq").unwrap_or(found.topic);
        Some(Self {
            topic: found.topic,
            partition: found.partition,
            offset: found.offset,
            read_at_ms: found.timestamp_ms,
            code: text(&headers, "tahoe.code").unwrap_or("unknown".into()),
            reason: text(&headers, "tahoe.reason").unwrap_or_default(),
            byte: number(&headers, "tahoe.byte"),
            from_topic: from_topic.unwrap_or(named.into()),
            from_partition: number(&headers, "tahoe.partition").unwrap_or(found.partition),
            from_offset: number(&headers, "tahoe.offset").unwrap_or(found.offset),
            ordinal: number(&headers, "tahoe.ordinal").unwrap_or(0),
            key: found.key,
            value: found.value,
            header: found.header,
        })
    }

    /// The record as it stood in its own topic, so that it is again who it was.
    pub(crate) fn original(&self) -> LogRecord<'_> {
        LogRecord {
            topic: &self.from_topic,
            partition: self.from_partition,
            offset: self.from_offset,
            timestamp_ms: self.read_at_ms,
            key: self.key,
            value: self.value,
            header: self.header,
            more_headers: MoreHeaders::default(),
        }
    }

    /// The record itself, out of its pack if it was in one.
    pub fn open(&self, decoder: &mut Decoder) -> Opened<'a> {
        let closed = Opened {
            bytes: self.value,
            id: None,
            origin: None,
            read_at_ms: None,
            span: None,
            part: None,
            context: b"",
            is_sealed: false,
        };
        let Some(Ok(header)) = self.header.map(|bytes| decoder.decode(bytes)) else {
            return closed;
        };
        let (context, is_sealed) = match header.content {
            Content::Single { context, privacy, .. } => (context, privacy == Privacy::Sealed),
            Content::Pack { .. } => (&b""[..], false),
        };
        let (origin, read_at_ms) = (Some(Arc::clone(&header.origin)), header.read_at_ms);
        let at = usize::try_from(self.ordinal).unwrap_or(usize::MAX);
        let found = each_record(&header, self.value).nth(at);
        match found {
            Some(Ok((id, part, span, bytes))) => {
                let (id, span) = (Some(id), Some(span));
                Opened { bytes, id, origin, read_at_ms, span, part, context, is_sealed }
            }
            Some(Err(_)) | None => Opened { origin, read_at_ms, ..closed },
        }
    }
}
