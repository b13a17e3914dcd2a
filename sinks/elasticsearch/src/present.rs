//! Documents by their ids alone, wherever they are, and writing over the copy that was seen: what a
//! replay of kept records needs.
//!
//! A data stream takes only new documents; what is in it already is written by its backing index, on
//! condition of its sequence number, so that nothing of another writer's is lost.

use std::collections::HashMap;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tahoe_seams::{Outcome, Present, RecordId, Rewrite, SinkError, Version};

use crate::{Elasticsearch, outcome};

/// Where a record's documents may be: what the services say of themselves is in `metrics-*`.
const DATA_STREAMS: &str = "logs-*,metrics-*";

/// Ids in one question. Their documents come with the answer, which the caller's batches bound:
/// they are some MiB.
const IDS_MAX: usize = 1000;

/// Copies in one answer: Elasticsearch gives no more, and an id has one or two.
const COPIES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow, default)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source", borrow)]
    source: &'a RawValue,
}

impl Elasticsearch {
    pub(crate) async fn present_documents(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<Present>, SinkError> {
        let mut present = Vec::new();
        if ids.is_empty() {
            return Ok(present);
        }
        // A search sees what a refresh has shown.
        let path = format!("{DATA_STREAMS}/_refresh?allow_no_indices=true&ignore_unavailable=true");
        self.connection
            .ask("refreshing data streams (maintenance)", Method::Post, &path, None)
            .await?;
        for ids in ids.chunks(IDS_MAX) {
            let named: HashMap<String, RecordId> =
                ids.iter().map(|id| (id.to_string(), *id)).collect();
            let body = json!({
                "query": {"ids": {"values": named.keys().collect::<Vec<_>>()}},
                "size": COPIES_MAX,
                "seq_no_primary_term": true,
                "track_total_hits": false,
                "sort": ["_doc"],
            });
            let path = format!(
                "{DATA_STREAMS}/_search?filter_path=hits.hits&allow_partial_search_results=false"
            );
            let answer = self.send_patiently(&path, Some(Bytes::from(body.to_string()))).await?;
            let answer = self.connection.succeeded("looking up documents", answer)?;
            // Of no hit at all the filter leaves nothing.
            if answer.body.as_ref() == b"{}" {
                continue;
            }
            let found: Answer<'_> = answer.json()?;
            if found.hits.hits.len() >= COPIES_MAX {
                let text = format!("{COPIES_MAX} copies of {} events and more", ids.len());
                return Err(SinkError::Refused(text, None));
            }
            present.extend(found.hits.hits.into_iter().filter_map(|hit| {
                let id = *named.get(&hit.id)?;
                let data_stream = data_stream_of(&hit.index).to_owned();
                let Hit { index, seq_no, primary_term, source, .. } = hit;
                let version = Version { index, seq_no, primary_term };
                let document = Bytes::copy_from_slice(source.get().as_bytes());
                Some(Present { id, data_stream, version, document })
            }));
        }
        Ok(present)
    }

    pub(crate) async fn rewrite_documents(
        &self,
        changes: &[Rewrite],
    ) -> Result<Vec<Outcome>, SinkError> {
        let lines: Vec<_> = changes.iter().map(lines_of).collect();
        self.send_lines(&lines, "writing over documents", outcome::read_rewritten).await
    }
}

/// The lines of a `_bulk` request.
fn lines_of(change: &Rewrite) -> Vec<u8> {
    let Rewrite { id, version, document } = change;
    let action = if document.is_some() { "index" } else { "delete" };
    let mut line = serde_json::Map::new();
    let condition = json!({
        "_index": version.index,
        "_id": id.to_string(),
        "if_seq_no": version.seq_no,
        "if_primary_term": version.primary_term,
    });
    line.insert(action.to_owned(), condition);
    let mut lines = serde_json::Value::Object(line).to_string().into_bytes();
    lines.push(b'\n');
    if let Some(document) = document {
        lines.extend_from_slice(document);
        lines.push(b'\n');
    }
    lines
}

/// The data stream that a backing index is of: `.ds-<name>-<date>-<number>`, in OpenSearch without
/// the date, and with something before it once a lifecycle has moved it.
fn data_stream_of(index: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((_, name)) = index.split_once(".ds-") else { return index };
    let Some((name, _)) = name.rsplit_once('-').filter(|(_, number)| digits(number)) else {
        return index;
    };
    match name.rsplit_once('-') {
        Some((name, date)) if date.len() == 10 && date.split('.').all(digits) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_stream_of_a_backing_index_is_in_its_name() {
        let name = "logs-nginx.access-acme";
        for index in [
            ".ds-logs-nginx.access-acme-2026.11.22-000001",
            ".ds-logs-nginx.access-acme-000001",
            "shrink-x1y2-.ds-logs-nginx.access-acme-2026.11.22-000017",
            name,
        ] {
            assert_eq!(data_stream_of(index), name, "{index}");
        }
    }

    #[test]
    fn a_document_is_written_over_or_deleted_only_in_the_state_that_was_seen() {
        let version = Version { index: ".ds-x-000001".into(), seq_no: 7, primary_term: 2 };
        let change = Rewrite {
            id: RecordId([1; 16]),
            version,
            document: Some(Bytes::from_static(b"{\"a\":1}")),
        };
        let text = |change: &Rewrite| String::from_utf8(lines_of(change)).expect("JSON");
        let action = "{\"_id\":\"AQEBAQEBAQEBAQEBAQEBAQ\",\"_index\":\".ds-x-000001\",\
                      \"if_primary_term\":2,\"if_seq_no\":7}";
        assert_eq!(text(&change), format!("{{\"index\":{action}}}\n{{\"a\":1}}\n"));
        let gone = Rewrite { document: None, ..change };
        assert_eq!(text(&gone), format!("{{\"delete\":{action}}}\n"));
    }
}
