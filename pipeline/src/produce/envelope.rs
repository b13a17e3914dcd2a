//! A batch as the log takes it: every record with its header, or neighbours packed into one.

use tahoe_seams::{Batch, Outgoing, Raw};

use super::screened::Sent;
use super::streams::{Address, Streams};
use crate::header;

/// A time of reading that is further from now goes into the header, and the log's timestamp is now:
/// retention goes by that, and would delete the record before it is read. What waits in a producer
/// while Kafka is away is younger.
const READ_AT_AGE_MAX_MS: i64 = 24 * 3600 * 1000;
/// A clock that was set back is no reason for it; brokers refuse stamps an hour from now.
const READ_AT_AHEAD_MAX_MS: i64 = 60_000;

/// Headers, and packed values, of one batch: one buffer each, so that they cost two allocations.
pub(super) struct Envelopes {
    headers: Vec<u8>,
    packed: Vec<u8>,
    each: Vec<Envelope>,
}

struct Envelope {
    /// Its first record.
    record: usize,
    header_end: usize,
    value: Value,
    timestamp_ms: i64,
}

enum Value {
    Record,
    Packed(usize),
}

/// Writes the headers of a batch, and packs up to `pack_bytes` of neighbours into one value. What a
/// policy was asked about goes alone, since a pack's identities follow from its bytes.
pub(super) fn envelopes(
    (batch, sent): (&Batch, &Sent),
    addresses: &[Address],
    streams: &Streams,
    now_ms: i64,
    pack_bytes: usize,
) -> Envelopes {
    let records = batch.records();
    let mut out = Envelopes {
        headers: Vec::with_capacity(records.len() * 160),
        packed: Vec::new(),
        each: Vec::with_capacity(records.len()),
    };
    let (mut index, mut lengths) = (0, Vec::new());
    while let Some(raw) = records.get(index) {
        let origin = &batch.streams()[raw.stream as usize].origin;
        let encoded = &addresses[raw.stream as usize].encoded_origin;
        let segment_ms = streams.segment_ms(origin.source, raw.start, now_ms);
        let is_dated = is_dated(raw.read_at_ms, now_ms);
        if is_dated {
            header::begin_read_at(&mut out.headers, raw.read_at_ms);
        }
        lengths.clear();
        if pack_bytes > 0 && sent.is_as_read() {
            pack(batch, index, pack_bytes, &mut lengths, |start| {
                streams.segment_ms(origin.source, start, now_ms) == segment_ms
            });
            let others = |raw: &Raw| is_dated && raw.read_at_ms != records[index].read_at_ms;
            let alike = records[index..].iter().take_while(|raw| !others(raw)).count();
            lengths.truncate(alike);
        }
        if lengths.len() > 1 {
            header::encode_pack(&mut out.headers, segment_ms, raw.start, &lengths, encoded);
            for (ordinal, raw) in records[index..index + lengths.len()].iter().enumerate() {
                if ordinal > 0 {
                    out.packed.push(b'\n');
                }
                out.packed.extend_from_slice(batch.bytes(raw));
            }
        } else {
            let span = (raw.start, raw.end);
            let id = sent.id(batch, index, segment_ms);
            let (context, privacy) = (sent.context(batch, index), sent.privacy(index));
            let last = (privacy, &**encoded);
            header::encode_private(&mut out.headers, id, span, raw.part, context, last);
        }
        out.each.push(Envelope {
            record: index,
            header_end: out.headers.len(),
            value: match lengths.len() {
                0 | 1 => Value::Record,
                _ => Value::Packed(out.packed.len()),
            },
            timestamp_ms: if is_dated { now_ms } else { raw.read_at_ms },
        });
        index += lengths.len().max(1);
    }
    out
}

/// The time of reading is none by which the log may go.
fn is_dated(read_at_ms: i64, now_ms: i64) -> bool {
    !(now_ms - READ_AT_AGE_MAX_MS..now_ms + READ_AT_AHEAD_MAX_MS).contains(&read_at_ms)
}

/// Adds the lengths of the records from `first` on that share one Kafka record: neighbours of one
/// stream and one segment, none with a context or a part of its own, up to `pack_bytes`.
fn pack(
    batch: &Batch,
    first: usize,
    pack_bytes: usize,
    lengths: &mut Vec<(u32, u32)>,
    same_segment: impl Fn(u64) -> bool,
) {
    let mut bytes = 0;
    let mut next = None;
    let stream = batch.records()[first].stream;
    for raw in &batch.records()[first..] {
        let text = batch.bytes(raw);
        bytes += text.len() + 1;
        let alone = raw.stream != stream
            || raw.part.is_some()
            || batch.has_own_key(raw)
            || !batch.context(raw).is_empty()
            || next.is_some_and(|next| next != raw.start)
            || bytes > pack_bytes
            || !same_segment(raw.start);
        let (Ok(text), Ok(span)) = (text.len().try_into(), (raw.end - raw.start).try_into()) else {
            break;
        };
        if alone {
            break;
        }
        lengths.push((text, span));
        next = Some(raw.end);
    }
}

impl Envelopes {
    /// The batch as the log takes it.
    pub(super) fn outgoing<'a>(
        &'a self,
        (batch, sent): (&'a Batch, &'a Sent),
        addresses: &[Address],
    ) -> Vec<Outgoing<'a>> {
        let mut out = Vec::with_capacity(self.each.len());
        let (mut header_at, mut packed_at) = (0, 0);
        for envelope in &self.each {
            let raw = &batch.records()[envelope.record];
            let value = match envelope.value {
                Value::Record => sent.bytes(batch, envelope.record),
                Value::Packed(end) => {
                    let value = &self.packed[packed_at..end];
                    packed_at = end;
                    value
                }
            };
            out.push(Outgoing {
                topic: &batch.streams()[raw.stream as usize].topic,
                partition: addresses[raw.stream as usize].partition,
                key: sent.key(batch, envelope.record),
                value,
                timestamp_ms: envelope.timestamp_ms,
                header: Some(&self.headers[header_at..envelope.header_end]),
                more_headers: &[],
            });
            header_at = envelope.header_end;
        }
        out
    }
}
