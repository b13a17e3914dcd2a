//! A batch as it is sent where a privacy policy comes before the log: records without what it
//! hides, keys that tell nothing, identities that no guess can confirm.

use std::sync::Arc;

use tahoe_schemas::rules::{Screen, Screened};
use tahoe_seams::{Batch, Record, RecordId, Source};

use crate::header::Privacy;

/// What is sent in place of what was read, by the index of the record.
pub(super) struct Sent {
    screen: Option<Arc<Screen>>,
    records: Vec<Option<Screened>>,
    /// Keys of records of their own.
    keys: Vec<Option<String>>,
}

impl Sent {
    /// The records of a batch as the policy leaves them.
    pub(super) fn new(batch: &Batch, screen: Option<Arc<Screen>>, source: &dyn Source) -> Self {
        let Some(screen) = screen.filter(|screen| screen.hides()) else {
            return Self { screen: None, records: Vec::new(), keys: Vec::new() };
        };
        let mut sent = Self { records: Vec::new(), keys: Vec::new(), screen: None };
        for raw in batch.records() {
            let stream = &batch.streams()[raw.stream as usize];
            let record = Record {
                start: raw.start,
                read_at_ms: raw.read_at_ms,
                context: batch.context(raw),
                part: raw.part,
                ..Record::new(batch.bytes(raw), &stream.origin)
            };
            let mut screened = screen.screened(&record);
            if screened.is_some() && source.knows_by_bytes(stream) {
                screened = Some(screen.seal(&record));
            }
            sent.records.push(screened);
            let is_private = batch.has_own_key(raw) && screen.concerns(&stream.origin.dataset);
            sent.keys.push(is_private.then(|| screen.key(batch.key(raw))));
        }
        sent.screen = Some(screen);
        sent
    }

    /// No policy comes before the log.
    pub(super) fn is_as_read(&self) -> bool {
        self.screen.is_none()
    }

    fn record(&self, at: usize) -> Option<&Screened> {
        self.records.get(at)?.as_ref()
    }

    /// The bytes of the record of that index.
    pub(super) fn bytes<'a>(&'a self, batch: &'a Batch, at: usize) -> &'a [u8] {
        let read = || batch.bytes(&batch.records()[at]);
        self.record(at).map_or_else(read, |record| &record.bytes)
    }

    /// The context that travels with it.
    pub(super) fn context<'a>(&'a self, batch: &'a Batch, at: usize) -> &'a [u8] {
        let read = || batch.context(&batch.records()[at]);
        self.record(at).map_or_else(read, |record| &record.context)
    }

    /// Its key.
    pub(super) fn key<'a>(&'a self, batch: &'a Batch, at: usize) -> &'a [u8] {
        let own = self.keys.get(at).and_then(Option::as_deref);
        own.map_or_else(|| batch.key(&batch.records()[at]), str::as_bytes)
    }

    /// What was done to it.
    pub(super) fn privacy(&self, at: usize) -> Privacy<'_> {
        match self.record(at) {
            None => Privacy::Plain,
            Some(record) if record.is_sealed => Privacy::Sealed,
            Some(record) => Privacy::Hidden(&record.done),
        }
    }

    /// Its identity: of where it stood and what was read, which a policy does not change.
    pub(super) fn id(&self, batch: &Batch, at: usize, segment_ms: i64) -> RecordId {
        let raw = &batch.records()[at];
        let origin = &batch.streams()[raw.stream as usize].origin;
        let id = |bytes: &[u8]| {
            let span = (raw.start, raw.end);
            RecordId::new(segment_ms, origin.source, origin.generation, span, bytes)
        };
        match &self.screen {
            Some(screen) => id(&screen.identity(batch.bytes(raw))),
            None => id(batch.bytes(raw)),
        }
    }
}
