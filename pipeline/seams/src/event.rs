//! What normalisers write and sinks take: Elasticsearch's own bulk lines, in one buffer.
//!
//! The buffer is the body of a `_bulk` request as it stands, so that on the way from a record to
//! the store each document's bytes are written once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{RecordId, Rejection, RowChange, is_same};

/// One event in an [`Events`] or [`EventBatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMeta {
    /// Its document's `_id`.
    pub id: RecordId,
    /// Index into [`EventBatch::data_streams`].
    pub data_stream: u32,
    /// The number that [`Events::begin_record`] was given.
    pub record: u32,
    /// Action line and document, newlines included.
    pub lines: Range<usize>,
    /// The JSON document alone.
    pub document: Range<usize>,
}

/// Events as they are written, record after record.
#[derive(Debug, Default)]
pub struct Events {
    body: Vec<u8>,
    events: Vec<EventMeta>,
    data_streams: DataStreams,
    row_changes: Vec<RowChange>,
    row_bytes: usize,
    record: u32,
    ordinal: u32,
    left_out: Option<Arc<str>>,
    /// Memory of bodies that nobody needs any more.
    spare: Vec<Vec<u8>>,
}

/// The data streams of one batch, by their numbers: a namespace may come from any field, so that
/// those of all batches would be without a bound.
#[derive(Debug, Default)]
struct DataStreams {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    recent: Vec<Addressed>,
    last: usize,
}

/// Data streams that the last events went to: a file of syslog has events of three datasets.
const RECENT_MAX: usize = 4;

/// A data stream.
#[derive(Debug)]
struct Addressed {
    dataset: String,
    namespace: String,
    number: u32,
    /// An event's action line, up to its id.
    action: Vec<u8>,
}

impl DataStreams {
    fn of(&mut self, dataset: &str, namespace: &str) -> &Addressed {
        let is_it =
            |one: &Addressed| is_same(&one.dataset, dataset) && is_same(&one.namespace, namespace);
        if !self.recent.get(self.last).is_some_and(is_it) {
            let known = self.recent.iter().position(is_it);
            self.last = known.unwrap_or_else(|| self.remember(dataset, namespace));
        }
        &self.recent[self.last]
    }

    /// Puts one in the place of the one that was remembered longest.
    fn remember(&mut self, dataset: &str, namespace: &str) -> usize {
        let name = [data_stream_type(dataset), "-", dataset, "-", namespace].concat();
        let action = ["{\"create\":{\"_index\":\"", &name, "\",\"_id\":\""].concat();
        let number = self.numbers.get(&name).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).expect("fewer than 2^32 data streams");
            self.names.push(name.clone());
            self.numbers.insert(name, number);
            number
        });
        if self.recent.len() == RECENT_MAX {
            self.recent.remove(0);
        }
        self.recent.push(Addressed {
            dataset: dataset.to_owned(),
            namespace: namespace.to_owned(),
            number,
            action: action.into_bytes(),
        });
        self.recent.len() - 1
    }

    fn clear(&mut self) {
        self.names.clear();
        self.numbers.clear();
        self.recent.clear();
    }

    fn take(&mut self) -> Arc<[String]> {
        let names = std::mem::take(&mut self.names);
        self.clear();
        names.into()
    }
}

/// Bodies kept for the next batches: as many as are usually on their way at once.
const SPARE_MAX: usize = 4;

impl Events {
    /// The following events are those of record number `record`.
    pub fn begin_record(&mut self, record: u32) {
        self.record = record;
        self.ordinal = 0;
        self.left_out = None;
    }

    /// Adds one event: `document` appends exactly one JSON object on one line. The data stream is
    /// `logs-<dataset>-<namespace>`. `id` is the record's; a record's further events get their own
    /// from it.
    pub fn push(
        &mut self,
        dataset: &str,
        namespace: &str,
        id: RecordId,
        document: impl FnOnce(&mut Vec<u8>),
    ) {
        let Addressed { number, action, .. } = self.data_streams.of(dataset, namespace);
        let data_stream = *number;
        let id = id.event(self.ordinal);
        self.ordinal += 1;
        let start = self.body.len();
        self.body.extend_from_slice(action);
        self.body.extend_from_slice(&id.text());
        self.body.extend_from_slice(b"\"}}\n");
        let at = self.body.len();
        document(&mut self.body);
        let document = at..self.body.len();
        self.body.push(b'\n');
        let lines = start..self.body.len();
        self.events.push(EventMeta { id, data_stream, record: self.record, lines, document });
    }

    /// The record has an event that a rule of this name keeps from being stored.
    pub fn leave_out(&mut self, rule: &Arc<str>) {
        self.ordinal += 1;
        self.left_out = Some(Arc::clone(rule));
    }

    /// The rule by which nothing of the current record is stored, neither events nor rows.
    pub fn left_out(&self) -> Option<&Arc<str>> {
        let event = self.events.last().is_some_and(|event| event.record == self.record);
        let row = self.row_changes.last().is_some_and(|row| row.record == self.record);
        self.left_out.as_ref().filter(|_| !event && !row)
    }

    /// Adds what the record says of one row of a table; its number is filled in here.
    pub fn keep(&mut self, change: RowChange) {
        self.row_bytes += change.bytes();
        self.row_changes.push(RowChange { record: self.record, ..change });
    }

    /// Hands over what [`Events::keep`] was given.
    pub fn take_row_changes(&mut self) -> Vec<RowChange> {
        self.row_bytes = 0;
        std::mem::take(&mut self.row_changes)
    }

    /// Takes the events of the current record back, when it is rejected after all.
    pub fn undo_record(&mut self) {
        while let Some(change) = self.row_changes.pop_if(|last| last.record == self.record) {
            self.row_bytes -= change.bytes();
        }
        while self.events.last().is_some_and(|event| event.record == self.record) {
            let event = self.events.pop().expect("there is a last event");
            self.body.truncate(event.lines.start);
        }
        self.ordinal = 0;
    }

    /// Bytes so far, those of row changes included.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.row_bytes
    }

    /// Events so far.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// No events yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The documents, in order.
    pub fn documents(&self) -> impl Iterator<Item = &[u8]> {
        self.events.iter().map(|event| &self.body[event.document.clone()])
    }

    /// The document of one event, counted from 0.
    pub fn document(&self, index: usize) -> Option<&[u8]> {
        self.events.get(index).map(|event| &self.body[event.document.clone()])
    }

    /// The events with their places, in order.
    pub fn metas(&self) -> &[EventMeta] {
        &self.events
    }

    /// Drops everything written so far and keeps the memory.
    pub fn clear(&mut self) {
        self.body.clear();
        self.events.clear();
        self.data_streams.clear();
        self.row_changes.clear();
        self.row_bytes = 0;
        self.record = 0;
        self.ordinal = 0;
    }

    /// Hands the events over and starts anew, so that [`Events::take_row_changes`] comes first. The
    /// new buffer is one that was given back, or begins with the same capacity.
    pub fn take(&mut self) -> EventBatch {
        let capacity = self.body.capacity();
        let next = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(capacity));
        let body = std::mem::replace(&mut self.body, next);
        let batch = EventBatch {
            body: Bytes::from(body),
            events: std::mem::take(&mut self.events),
            data_streams: self.data_streams.take(),
        };
        self.clear();
        batch
    }

    /// Takes the memory of a body back that is not needed any more: fresh memory costs more than
    /// writing into it. Does nothing if someone else still holds it.
    pub fn give_back(&mut self, mut body: Bytes) {
        if self.spare.len() < SPARE_MAX && body.is_unique() {
            // What is left is moved to the front of the memory, whether it is there or not.
            body.truncate(1);
            let mut body = Vec::from(body);
            body.clear();
            self.spare.push(body);
        }
    }
}

/// The first word of a data stream's name: what Tahoe's services measure of themselves is in
/// `metrics-tahoe.…`, everything else in `logs-…`.
pub fn data_stream_type(dataset: &str) -> &'static str {
    if dataset.starts_with("tahoe.") { "metrics" } else { "logs" }
}

/// Events on their way to a sink. Cloning shares the body and the names of data streams.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The `_bulk` body.
    pub body: Bytes,
    /// The events in it.
    pub events: Vec<EventMeta>,
    /// The data streams that [`EventMeta::data_stream`] names.
    pub data_streams: Arc<[String]>,
}

impl EventBatch {
    /// The JSON document of an event.
    pub fn document(&self, event: &EventMeta) -> &[u8] {
        &self.body[event.document.clone()]
    }

    /// The data stream of an event.
    pub fn data_stream(&self, event: &EventMeta) -> &str {
        &self.data_streams[event.data_stream as usize]
    }

    /// A batch of the events for which `keep` says so, by index.
    pub fn subset(&self, mut keep: impl FnMut(usize) -> bool) -> EventBatch {
        let mut body = Vec::new();
        let mut events = Vec::new();
        for (_, event) in self.events.iter().enumerate().filter(|(index, _)| keep(*index)) {
            let at = body.len();
            let header = event.document.start - event.lines.start;
            body.extend_from_slice(&self.body[event.lines.clone()]);
            let mut event = event.clone();
            event.document = at + header..at + header + event.document.len();
            event.lines = at..body.len();
            events.push(event);
        }
        EventBatch { body: body.into(), events, data_streams: Arc::clone(&self.data_streams) }
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable, by this write.
    Stored,
    /// Durable, by an earlier one.
    AlreadyThere,
    /// Never: its record is dead-lettered.
    Rejected(Rejection),
    /// The store is too busy for it now: write it again after a pause, and less at a time.
    Busy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_more_data_streams_than_are_remembered_go_to_theirs_in_every_batch() {
        let mut events = Events::default();
        for batch in 0..2 {
            let turns = (0..3 * RECENT_MAX).map(|at| at * 5 % (2 * RECENT_MAX) + batch);
            let named: Vec<String> = turns.map(|number| format!("a.b{number}")).collect();
            for dataset in &named {
                events.push(dataset, "c", RecordId::default(), |out| out.push(b'x'));
            }
            let taken = events.take();
            assert_eq!(taken.data_streams.len(), 2 * RECENT_MAX);
            for (dataset, event) in named.iter().zip(&taken.events) {
                let name = format!("logs-{dataset}-c");
                assert_eq!(taken.data_stream(event), name);
                let line = &taken.body[event.lines.clone()];
                let action = format!("{{\"create\":{{\"_index\":\"{name}\",\"_id\":\"");
                assert!(line.starts_with(action.as_bytes()));
            }
        }
    }

    #[test]
    fn memory_that_is_given_back_is_written_again_unless_someone_holds_it() {
        let mut events = Events::default();
        let mut taken = |back: Option<Bytes>| {
            back.into_iter().for_each(|body| events.give_back(body));
            events.push("a.b", "c", RecordId::default(), |out| out.extend([b'x'; 5000]));
            let body = events.take().body;
            (body.as_ptr(), body)
        };
        let (first, body) = taken(None);
        // It becomes the one that is written after the next.
        drop(taken(Some(body.slice(0..body.len()))));
        drop(body);
        let (second, body) = taken(None);
        assert_ne!(first, second, "it was held when it came back");
        let (_, next) = taken(Some(body));
        let (third, _) = taken(None);
        assert_eq!(second, third);
        assert_eq!(&next[..2], b"{\"");
    }

    fn id(n: u8) -> RecordId {
        RecordId([n; 16])
    }

    #[test]
    fn the_body_is_a_bulk_request_as_it_stands() {
        let mut events = Events::default();
        events.begin_record(0);
        events.push("laravel.log", "acme", id(1), |out| out.extend_from_slice(b"{\"a\":1}"));
        let batch = events.take();
        assert_eq!(
            std::str::from_utf8(&batch.body).expect("UTF-8"),
            "{\"create\":{\"_index\":\"logs-laravel.log-acme\",\"_id\":\"AQEBAQEBAQEBAQEBAQEBAQ\"}}\n{\"a\":1}\n"
        );
        assert!(events.is_empty());
    }

    #[test]
    fn a_subset_keeps_documents_ids_and_streams_together() {
        let mut events = Events::default();
        for n in 0..3u8 {
            events.begin_record(n.into());
            events.push("a.b", if n == 1 { "x" } else { "y" }, id(n), |out| out.push(b'0' + n));
        }
        let batch = events.take().subset(|index| index != 0);
        let seen: Vec<_> = batch
            .events
            .iter()
            .map(|event| (event.record, batch.data_stream(event), batch.document(event)))
            .collect();
        assert_eq!(seen, [(1, "logs-a.b-x", &b"1"[..]), (2, "logs-a.b-y", b"2")]);
    }

    #[test]
    fn a_batch_names_its_own_data_streams_each_once_and_none_of_earlier_batches() {
        let mut events = Events::default();
        let mut streams = |namespaces: &[&str]| {
            for namespace in namespaces {
                events.push("a.b", namespace, id(1), |out| out.extend_from_slice(b"{}"));
            }
            let batch = events.take();
            let named: Vec<_> =
                batch.events.iter().map(|event| batch.data_stream(event).to_owned()).collect();
            (batch.data_streams.len(), named)
        };
        let expected = ["logs-a.b-x", "logs-a.b-y", "logs-a.b-x"].map(str::to_owned).to_vec();
        assert_eq!(streams(&["x", "y", "x"]), (2, expected));
        assert_eq!(streams(&["z"]), (1, vec!["logs-a.b-z".to_owned()]));
    }

    #[test]
    fn a_record_that_is_rejected_half_way_leaves_nothing() {
        let mut events = Events::default();
        events.begin_record(0);
        events.push("a.b", "x", id(1), |out| out.push(b'1'));
        let bytes = events.bytes();
        events.begin_record(1);
        events.push("a.b", "x", id(2), |out| out.push(b'2'));
        events.push("a.b", "x", id(2), |out| out.push(b'3'));
        events.undo_record();
        assert_eq!((events.len(), events.bytes()), (1, bytes));
    }
}
