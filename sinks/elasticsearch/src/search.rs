//! Asking Elasticsearch: hits by pages that a size in bytes bounds, counts exact to the last row.

use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tahoe_seams::SinkError;
use tahoe_seams::search::{Count, Counts, Hit, Search, SearchRequest, VisitHit};

use crate::Elasticsearch;
use crate::connection::Answer;

/// Where events are.
const DATA_STREAMS: &str = "logs-*";

/// Hits in the first page, before their size is known: 100 of the largest events (1 MiB) still fit.
const FIRST_PAGE_HITS: usize = 100;

/// Elasticsearch's limit (`index.max_result_window`).
const PAGE_HITS_MAX: usize = 10_000;

/// Bytes that a page should have: enough that round trips do not count.
const PAGE_BYTES: usize = 4 << 20;

/// Rows of counts in one page of a composite aggregation; `search.max_buckets` is 65,536.
const PAGE_ROWS: usize = 5_000;

/// How long a search waits for the shards of new backing indices. On one busy node of two cores
/// they took up to a second.
const SHARDS_WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow, default)]
    hits: Vec<FoundHit<'a>>,
}

#[derive(Deserialize)]
struct FoundHit<'a> {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_source", borrow)]
    source: &'a RawValue,
    #[serde(borrow)]
    sort: &'a RawValue,
}

#[derive(Deserialize)]
struct Buckets {
    #[serde(default)]
    buckets: Vec<Bucket>,
    after_key: Option<Value>,
}

#[derive(Deserialize)]
struct Bucket {
    key: serde_json::Map<String, Value>,
    doc_count: u64,
}

#[async_trait::async_trait]
impl Search for Elasticsearch {
    async fn search(
        &self,
        request: &SearchRequest,
        visit: &mut VisitHit<'_>,
    ) -> Result<u64, SinkError> {
        let snapshot = self.open_snapshot().await?;
        let visited = self.visit_pages(request, snapshot.as_deref(), visit).await;
        if let Some(id) = snapshot {
            self.close_snapshot(&id).await;
        }
        visited
    }

    async fn count(&self, request: &SearchRequest) -> Result<Counts, SinkError> {
        let sources: Vec<_> = request
            .by
            .iter()
            .enumerate()
            .map(|(n, field)| {
                // Numbered, since two fields may be the same and names may not.
                let mut source = serde_json::Map::new();
                let terms = json!({"terms": {"field": field, "missing_bucket": true}});
                source.insert(n.to_string(), terms);
                source
            })
            .collect();
        let mut body = json!({
            "size": 0,
            "track_total_hits": false,
            "query": query(request),
            "aggs": {"by": {"composite": {"size": PAGE_ROWS, "sources": sources}}},
        });
        let mut rows = Vec::new();
        loop {
            let path = format!("{DATA_STREAMS}/_search?allow_partial_search_results=false");
            let answer = self.ask(&path, &body).await?;
            let mut parsed: Value = answer.json()?;
            // Without any data stream there is no aggregation either.
            let buckets = match parsed.pointer_mut("/aggregations/by").map(Value::take) {
                Some(buckets) => serde_json::from_value::<Buckets>(buckets).map_err(unclear)?,
                None => break,
            };
            rows.extend(buckets.buckets.iter().map(|bucket| row(bucket, request.by.len())));
            match buckets.after_key {
                Some(after) if !buckets.buckets.is_empty() => {
                    body["aggs"]["by"]["composite"]["after"] = after;
                }
                _ => break,
            }
        }
        Ok(Counts::top(rows, request.limit))
    }
}

impl Elasticsearch {
    async fn visit_pages(
        &self,
        request: &SearchRequest,
        snapshot: Option<&str>,
        visit: &mut VisitHit<'_>,
    ) -> Result<u64, SinkError> {
        let limit = request.limit.unwrap_or(usize::MAX);
        let mut visited = 0;
        let mut page_hits = FIRST_PAGE_HITS;
        let mut after: Option<Value> = None;
        while visited < limit {
            let size = page_hits.min(limit - visited);
            let answer = self.ask_page(request, snapshot, size, after.as_ref()).await?;
            let page: Page<'_> = answer.json()?;
            for hit in &page.hits.hits {
                visited += 1;
                let source = hit.source.get().as_bytes();
                if visit(Hit { id: &hit.id, index: &hit.index, source }).is_break() {
                    return Ok(visited as u64);
                }
            }
            let Some(last) = page.hits.hits.last().filter(|_| page.hits.hits.len() == size) else {
                break;
            };
            after = Some(serde_json::from_str(last.sort.get()).map_err(unclear)?);
            let bytes_per_hit = answer.body.len() / page.hits.hits.len() + 1;
            page_hits = (PAGE_BYTES / bytes_per_hit).clamp(1, PAGE_HITS_MAX);
        }
        Ok(visited as u64)
    }

    async fn ask_page(
        &self,
        request: &SearchRequest,
        snapshot: Option<&str>,
        size: usize,
        after: Option<&Value>,
    ) -> Result<Answer, SinkError> {
        // `_shard_doc` tells apart what has the same time; only a snapshot has it. Without one
        // the id must do, which costs the server memory.
        let tie = if snapshot.is_some() { "_shard_doc" } else { "_id" };
        let mut body = json!({
            "size": size,
            "track_total_hits": false,
            "query": query(request),
            "sort": [
                {"@timestamp": {
                    "order": "desc", "format": "strict_date_optional_time_nanos",
                    "unmapped_type": "date", "missing": "_last",
                }},
                {tie: "asc"},
            ],
        });
        if let Some(after) = after {
            body["search_after"] = after.clone();
        }
        let index = match snapshot {
            Some(id) => {
                body["pit"] = json!({"id": id, "keep_alive": "2m"});
                String::new()
            }
            None => format!("{DATA_STREAMS}/"),
        };
        let path =
            format!("{index}_search?filter_path=hits.hits&allow_partial_search_results=false");
        self.ask(&path, &body).await
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Answer, SinkError> {
        let answer = self.send_patiently(path, Some(Bytes::from(body.to_string()))).await?;
        match answer.status {
            200 => Ok(answer),
            400 => {
                let text = format!("the query was refused: {}", answer.reason());
                Err(SinkError::Refused(text, None))
            }
            _ => Err(self.connection.refusal("searching", &answer)),
        }
    }

    /// A partial answer would look like a whole one.
    pub(crate) async fn send_patiently(
        &self,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        self.connection.send_within(SHARDS_WITHIN, Method::Post, path, body).await
    }

    /// A point in time, so that pages fit together while events arrive; `None` if the server has
    /// none to give (OpenSearch names it otherwise, and a reader may lack the privilege).
    async fn open_snapshot(&self) -> Result<Option<String>, SinkError> {
        let path = format!("{DATA_STREAMS}/_pit?keep_alive=2m");
        let answer = self.send_patiently(&path, None).await?;
        match answer.status {
            200 => Ok(answer.json::<Value>()?["id"].as_str().map(str::to_owned)),
            401 | 500.. => Err(self.connection.refusal("searching", &answer)),
            _ => Ok(None),
        }
    }

    /// Left open it would only expire later, so a failure is no error.
    async fn close_snapshot(&self, id: &str) {
        let body = Some(Bytes::from(json!({"id": id}).to_string()));
        if let Err(error) = self.connection.send(Method::Delete, "_pit", body).await {
            tracing::debug!(%error, "point in time left to expire");
        }
    }
}

fn query(request: &SearchRequest) -> Value {
    let text = request.query.trim();
    let asked = if text.is_empty() {
        json!({"match_all": {}})
    } else {
        // Lenient: a word that no number field can hold must not fail a search of all fields.
        json!({"query_string": {"query": text, "lenient": true, "analyze_wildcard": true}})
    };
    let mut range = serde_json::Map::new();
    range.extend(request.from_ms.map(|ms| ("gte".to_owned(), ms.into())));
    range.extend(request.to_ms.map(|ms| ("lt".to_owned(), ms.into())));
    if range.is_empty() {
        return asked;
    }
    range.insert("format".to_owned(), "epoch_millis".into());
    json!({"bool": {"must": asked, "filter": {"range": {"@timestamp": range}}}})
}

fn row(bucket: &Bucket, fields: usize) -> Count {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let values = (0..fields).map(|n| bucket.key.get(&n.to_string()).and_then(text)).collect();
    Count { values, events: bucket.doc_count }
}

fn unclear(error: serde_json::Error) -> SinkError {
    SinkError::Unavailable("the answer is not Elasticsearch's".to_owned(), Some(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_words_or_range_matches_every_event() {
        assert_eq!(query(&SearchRequest::default()), json!({"match_all": {}}));
        let ranged = SearchRequest { from_ms: Some(1), ..SearchRequest::default() };
        assert_eq!(query(&ranged)["bool"]["filter"]["range"]["@timestamp"]["gte"], 1);
    }
}
