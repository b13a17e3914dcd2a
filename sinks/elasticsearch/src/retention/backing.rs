//! One backing index: how old what it holds is, and its deletion.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tahoe_seams::SinkError;
use tracing::info;

use crate::Elasticsearch;

/// A backing index as it was found. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backing {
    /// Its name.
    pub index: String,
    /// Documents in it.
    pub documents: u64,
    /// Time of its youngest document: the event's own, or when it was normalised, if that is later.
    pub newest_ms: Option<i64>,
    /// When its first document was normalised.
    #[serde(skip)]
    first_ms: Option<i64>,
    /// Documents that have no time at all, and so may be of any.
    #[serde(skip)]
    undated: u64,
}

impl Backing {
    /// Nothing in it is as young as `until_ms`.
    pub(super) fn is_past(&self, until_ms: i64) -> bool {
        self.undated == 0 && self.newest_ms.is_none_or(|newest| newest < until_ms)
    }

    /// It is time for another to be written to: all of this one can go, or it spans enough.
    pub(super) fn is_due(&self, until_ms: i64, rollover_ms: i64) -> bool {
        let spans_enough = self.first_ms.is_some_and(|first| first < rollover_ms);
        self.documents > 0 && (self.is_past(until_ms) || spans_enough)
    }
}

impl Elasticsearch {
    /// What the index holds, as far as searches see it.
    pub(super) async fn measure(&self, index: &str) -> Result<Backing, SinkError> {
        let path = format!("{index}/_search?allow_partial_search_results=false");
        let body = json!({
            "size": 0,
            "track_total_hits": true,
            "aggs": {
                "newest": {"max": {"field": "@timestamp"}},
                "last": {"max": {"field": "event.ingested"}},
                "first": {"min": {"field": "event.ingested"}},
                "undated": {"missing": {"field": "@timestamp"}},
            },
        });
        let answer = self.send_patiently(&path, Some(Bytes::from(body.to_string()))).await?;
        let found: Value =
            self.connection.succeeded("looking how old a backing index is", answer)?.json()?;
        let documents = found["hits"]["total"]["value"].as_u64();
        let undated = found["aggregations"]["undated"]["doc_count"].as_u64();
        let (Some(documents), Some(undated)) = (documents, undated) else {
            let text = format!("{index}: the answer has no count: is --elasticsearch right?");
            return Err(SinkError::Unavailable(text, None));
        };
        let time = |name: &str| time_ms(&found["aggregations"][name]["value"]);
        let newest_ms = time("newest").max(time("last"));
        let index = index.to_owned();
        Ok(Backing { index, documents, newest_ms, first_ms: time("first"), undated })
    }

    /// Deletes an index to which nothing is written any more, unless it turns out to hold something
    /// younger; says whether it is gone, and what it held.
    pub(super) async fn delete_if_past(
        &self,
        index: &str,
        until_ms: i64,
    ) -> Result<(bool, Backing), SinkError> {
        // The answer to the first comes when no write is in flight any more.
        for (doing, method, action) in [
            ("blocking writes", Method::Put, "_block/write"),
            ("refreshing a backing index", Method::Post, "_refresh"),
        ] {
            self.connection.ask(doing, method, &format!("{index}/{action}"), None).await?;
        }
        let backing = self.measure(index).await?;
        if !backing.is_past(until_ms) {
            let open = json!({"index.blocks.write": null});
            self.put("unblocking writes", &format!("{index}/_settings"), &open).await?;
            return Ok((false, backing));
        }
        self.delete_index(index).await?;
        info!(index, documents = backing.documents, "backing index past its retention deleted");
        Ok((true, backing))
    }

    /// Deletes one index; one that is gone already is no error.
    pub(crate) async fn delete_index(&self, index: &str) -> Result<(), SinkError> {
        let answer = self.connection.send(Method::Delete, index, None).await?;
        match answer.status {
            404 => Ok(()),
            _ => self.connection.succeeded("deleting backing indices", answer).map(drop),
        }
    }
}

/// A date's aggregation is a floating-point number of milliseconds, or null.
fn time_ms(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of any date fit")]
    value.as_f64().map(|ms| ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backing(documents: u64, first: Option<i64>, newest: Option<i64>, undated: u64) -> Backing {
        let (first_ms, newest_ms) = (first, newest);
        Backing { index: "i".to_owned(), documents, newest_ms, first_ms, undated }
    }

    #[test]
    fn one_young_or_undated_document_keeps_the_whole_index() {
        assert!(backing(2, Some(1), Some(99), 0).is_past(100));
        assert!(!backing(2, Some(1), Some(100), 0).is_past(100));
        assert!(!backing(2, Some(1), Some(99), 1).is_past(100));
        assert!(backing(0, None, None, 0).is_past(100), "an empty one holds nothing younger");
    }

    #[test]
    fn another_is_begun_when_all_of_it_can_go_or_it_spans_enough_but_never_for_an_empty_one() {
        assert!(backing(1, Some(90), Some(99), 0).is_due(100, 50));
        assert!(backing(1, Some(49), Some(200), 0).is_due(100, 50));
        assert!(!backing(1, Some(50), Some(200), 0).is_due(100, 50));
        assert!(!backing(1, None, Some(200), 0).is_due(100, 50));
        assert!(!backing(0, None, None, 0).is_due(100, 50));
    }
}
