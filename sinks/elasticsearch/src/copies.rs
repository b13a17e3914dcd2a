//! Which events are stored already, in whatever backing index: `_id` is unique only in one of them.
//!
//! An id begins with the time at which its record's segment was opened, so no copy of it can be in
//! a backing index that had been rolled over before. That covers every attempt at a batch without
//! remembering when the first one was; the last two are always looked at, for clocks that differ.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use tahoe_seams::{EventBatch, RecordId, SinkError};
use tracing::info;

use crate::Elasticsearch;

/// Ids in one `_mget`: 25 bytes each in the request and about 50 in the answer, so half a MiB.
const IDS_MAX: usize = 10_000;

/// Clocks of producers and of Elasticsearch may differ by this; more, and the last two still count.
const CLOCK_SKEW_MS: i64 = 10 * 60 * 1000;

/// Which backing indices of a data stream are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Recent,
    /// The same, for events that may be in two of them: one index holds no second copy.
    Copies,
    Everywhere,
}

#[derive(Deserialize)]
struct IndexSettings {
    settings: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    docs: Vec<Doc>,
}

#[derive(Deserialize)]
struct Doc {
    #[serde(default)]
    found: bool,
}

impl Elasticsearch {
    /// Which of the batch's events are in any backing index at all: for records that are read again
    /// long after they were stored, whose ids may be younger than the clocks say.
    ///
    /// # Errors
    /// As [`tahoe_seams::Sink::find`].
    pub async fn find_everywhere(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        let places = self.places(batch, Reach::Everywhere).await?;
        Ok(places.into_iter().map(|indices| !indices.is_empty()).collect())
    }

    pub(crate) async fn find_recent(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        let places = self.places(batch, Reach::Recent).await?;
        Ok(places.into_iter().map(|indices| !indices.is_empty()).collect())
    }

    /// Where an event is in two backing indices after all, deletes all copies but the oldest.
    /// Called after a batch of unknown fate was written again across a rollover. Two callers at
    /// once keep the same copy.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] if not all copies could be deleted: call it again.
    pub async fn remove_later_copies(&self, batch: &EventBatch) -> Result<u64, SinkError> {
        let places = self.places(batch, Reach::Copies).await?;
        let mut body = Vec::new();
        // A record that is twice in the batch is looked up twice, and has the same copies.
        let mut ids = std::collections::HashSet::new();
        let mut copies = 0;
        for (event, indices) in batch.events.iter().zip(&places) {
            if !ids.insert((event.data_stream, event.id)) {
                continue;
            }
            for index in indices.iter().skip(1) {
                let action = serde_json::json!({
                    "delete": {"_index": index, "_id": event.id.to_string()}
                });
                serde_json::to_writer(&mut body, &action).expect("memory takes every write");
                body.push(b'\n');
                copies += 1;
            }
        }
        if copies == 0 {
            return Ok(0);
        }
        let path = "_bulk?filter_path=errors";
        let answer = self
            .connection
            .ask("deleting copies of events", Method::Post, path, Some(body.into()))
            .await?;
        #[derive(Deserialize)]
        struct Deleted {
            errors: bool,
        }
        if answer.json::<Deleted>()?.errors {
            let text = format!("not all of {copies} copies of events could be deleted");
            return Err(SinkError::Unavailable(text, None));
        }
        info!(copies, "copies of events deleted from newer backing indices");
        Ok(copies)
    }

    /// For each event the backing indices that hold it, oldest first.
    async fn places(
        &self,
        batch: &EventBatch,
        reach: Reach,
    ) -> Result<Vec<Vec<String>>, SinkError> {
        let mut places = vec![Vec::new(); batch.events.len()];
        let mut by_stream: HashMap<u32, Vec<usize>> = HashMap::new();
        for (index, event) in batch.events.iter().enumerate() {
            by_stream.entry(event.data_stream).or_default().push(index);
        }
        for (stream, events) in by_stream {
            let name = &batch.data_streams[stream as usize];
            let first_ms = events.iter().map(|&event| opened_ms(batch.events[event].id)).min();
            let mut indices = self.backing_indices(name).await?;
            if let (Reach::Recent | Reach::Copies, Some(first_ms)) = (reach, first_ms) {
                indices = recent(indices, first_ms - CLOCK_SKEW_MS);
            }
            if reach == Reach::Copies && indices.len() < 2 {
                continue;
            }
            for (_, index) in indices {
                for events in events.chunks(IDS_MAX) {
                    let ids = events.iter().map(|&event| batch.events[event].id);
                    let found = self.get_many(&index, ids).await?;
                    for (&event, _) in events.iter().zip(found).filter(|(_, found)| *found) {
                        places[event].push(index.clone());
                    }
                }
            }
        }
        Ok(places)
    }

    /// Backing indices with the milliseconds at which they were created, oldest first. Asked anew
    /// each time: a batch of unknown fate is rare, and a rollover must not be missed.
    async fn backing_indices(&self, data_stream: &str) -> Result<Vec<(i64, String)>, SinkError> {
        let path = format!(
            "{data_stream}/_settings/index.creation_date?flat_settings=true&ignore_unavailable=true"
        );
        let answer = self.connection.send(Method::Get, &path, None).await?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let answer = self.connection.succeeded("listing backing indices", answer)?;
        let settings: BTreeMap<String, IndexSettings> = answer.json()?;
        let created = |index: &IndexSettings| {
            index.settings.get("index.creation_date").and_then(|text| text.parse().ok())
        };
        let mut indices: Vec<(i64, String)> = settings
            .into_iter()
            .map(|(name, index)| (created(&index).unwrap_or(i64::MAX), name))
            .collect();
        indices.sort_unstable();
        Ok(indices)
    }

    /// Realtime: it sees what no refresh has made searchable yet.
    async fn get_many(
        &self,
        index: &str,
        ids: impl ExactSizeIterator<Item = RecordId>,
    ) -> Result<Vec<bool>, SinkError> {
        let asked = ids.len();
        let mut body = Vec::with_capacity(asked * 25 + 16);
        body.extend_from_slice(b"{\"ids\":[");
        for (n, id) in ids.enumerate() {
            body.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
            body.extend_from_slice(&id.text());
            body.push(b'"');
        }
        body.extend_from_slice(b"]}");
        // `_id` is asked for only so that the filter leaves no item out.
        let path = format!("{index}/_mget?_source=false&filter_path=docs._id,docs.found");
        let answer = self.connection.send(Method::Post, &path, Some(Bytes::from(body))).await?;
        // Retention deleted it since it was listed.
        if answer.status == 404 {
            return Ok(vec![false; asked]);
        }
        let answer = self.connection.succeeded("looking up events", answer)?;
        let found: Found = answer.json()?;
        let got = found.docs.len();
        if got != asked {
            let text = format!("{got} answers to a look-up of {asked} ids in {index}");
            return Err(SinkError::Unavailable(text, None));
        }
        Ok(found.docs.into_iter().map(|doc| doc.found).collect())
    }
}

/// The time in an id: when its record's segment was opened, before it was first written anywhere.
fn opened_ms(id: RecordId) -> i64 {
    let mut bytes = [0u8; 8];
    bytes[2..].copy_from_slice(&id.0[..6]);
    i64::from_be_bytes(bytes)
}

/// Of `indices` (oldest first) those that took writes at `from_ms` or later, at least two.
fn recent(mut indices: Vec<(i64, String)>, from_ms: i64) -> Vec<(i64, String)> {
    let created_later = indices.iter().rev().take_while(|(created, _)| *created > from_ms).count();
    // And the one before them, which was written until the first of them was created.
    let kept = (created_later + 1).max(2).min(indices.len());
    indices.split_off(indices.len() - kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(created: &[i64], from_ms: i64) -> Vec<i64> {
        let indices = created.iter().map(|&ms| (ms, format!("i{ms}"))).collect();
        recent(indices, from_ms).into_iter().map(|(ms, _)| ms).collect()
    }

    #[test]
    fn every_index_that_took_writes_since_is_looked_at_and_always_the_last_two() {
        assert_eq!(kept(&[10, 20, 30, 40], 25), [20, 30, 40]);
        assert_eq!(kept(&[10, 20, 30, 40], 99), [30, 40]);
        assert_eq!(kept(&[10, 20, 30, 40], 5), [10, 20, 30, 40]);
        assert_eq!(kept(&[10], 99), [10]);
        assert!(kept(&[], 99).is_empty());
    }

    #[test]
    fn an_id_tells_when_its_segment_was_opened() {
        let source = tahoe_seams::SourceId::default();
        let id = RecordId::new(1_700_000_000_123, source, 0, (0, 1), b"x");
        assert_eq!(opened_ms(id), 1_700_000_000_123);
        assert_eq!(opened_ms(id.event(3)), 1_700_000_000_123);
    }
}
