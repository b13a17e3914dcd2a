//! Reading and writing of rows' documents, each write on condition of what was read.

use std::collections::BTreeMap;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tahoe_seams::{Outcome, SinkError};
use tracing::info;

use super::document::{STATE, Source};
use super::fold::Row;
use crate::{Elasticsearch, outcome};

/// Documents asked for by one request: with what is read of them, below a MiB.
const IDS_MAX: usize = 1000;

/// A document's index and `_id`.
pub(super) type Place = (String, String);

/// Documents to read, and whether their columns are needed.
pub(super) type Wanted = BTreeMap<Place, bool>;

/// What is there of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub row: Option<Row>,
    /// Its sequence number and primary term when it was read; none if there was none.
    pub seen: Option<(u64, u64)>,
}

/// A document to write, if it is still as it was read.
#[derive(Debug)]
pub(super) struct Write {
    pub place: Place,
    pub seen: Option<(u64, u64)>,
    pub document: Vec<u8>,
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
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Source>,
    error: Option<Value>,
}

impl Write {
    /// The two lines of a `_bulk` request.
    fn lines(&self) -> Vec<u8> {
        let (index, id) = &self.place;
        let action = match self.seen {
            None => json!({"create": {"_index": index, "_id": id}}),
            Some((seq_no, term)) => json!({"index": {
                "_index": index, "_id": id, "if_seq_no": seq_no, "if_primary_term": term,
            }}),
        };
        let mut lines = action.to_string().into_bytes();
        lines.push(b'\n');
        lines.extend_from_slice(&self.document);
        lines.push(b'\n');
        lines
    }
}

impl Elasticsearch {
    /// Realtime: it sees what no refresh has made searchable yet.
    pub(super) async fn read_rows(
        &self,
        wanted: &Wanted,
    ) -> Result<BTreeMap<Place, Held>, SinkError> {
        let wanted: Vec<_> = wanted.iter().collect();
        let mut held = BTreeMap::new();
        for wanted in wanted.chunks(IDS_MAX) {
            let asked = wanted.iter().map(|((index, id), columns)| {
                let source = if **columns { json!(true) } else { json!([STATE]) };
                json!({"_index": index, "_id": id, "_source": source})
            });
            let body = json!({"docs": asked.collect::<Vec<_>>()}).to_string();
            let path = "_mget?filter_path=docs._id,docs.found,docs._seq_no,docs._primary_term,\
                        docs._source,docs.error.reason";
            let answer =
                self.connection.ask("reading rows", Method::Post, path, Some(body.into())).await?;
            let found: Found = answer.json()?;
            if found.docs.len() != wanted.len() {
                let text = format!("{} answers for {} rows", found.docs.len(), wanted.len());
                return Err(SinkError::Unavailable(text, None));
            }
            for ((place, _), doc) in wanted.iter().zip(found.docs) {
                held.insert((*place).clone(), doc.held()?);
            }
        }
        Ok(held)
    }

    /// One outcome per document: [`Outcome::AlreadyThere`] if it is no longer as it was read.
    pub(super) async fn write_rows(&self, writes: &[Write]) -> Result<Vec<Outcome>, SinkError> {
        let lines: Vec<_> = writes.iter().map(Write::lines).collect();
        self.send_lines(&lines, "writing rows", outcome::read).await
    }

    /// Creates a table's index, once, with the alias that shows only the rows that are there.
    pub(super) async fn ensure_index(&self, index: &str) -> Result<(), SinkError> {
        let is_known = |known: &std::collections::HashSet<String>| known.contains(index);
        if is_known(&self.row_indices.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) {
            return Ok(());
        }
        let there = self.connection.send(Method::Head, index, None).await?;
        if there.status == 404 {
            self.require_template(index).await?;
            let alias = format!("latest-{index}");
            let body = json!({"aliases": {
                alias: {"filter": {"term": {"tahoe.state.deleted": false}}},
            }});
            let body = Some(Bytes::from(body.to_string()));
            let created = self.connection.send(Method::Put, index, body).await?;
            if created.is_success() {
                info!(index, "index of a table's rows created");
            } else if !created.reason().contains("resource_already_exists") {
                return Err(self.connection.refusal("creating the index of a table", &created));
            }
        } else if !there.is_success() {
            return Err(self.connection.refusal("looking for the index of a table", &there));
        }
        let known = self.row_indices.lock();
        known.unwrap_or_else(|poisoned| poisoned.into_inner()).insert(index.to_owned());
        Ok(())
    }

    /// Without a template the index would take the types of the first row for those of all.
    async fn require_template(&self, index: &str) -> Result<(), SinkError> {
        let is_for = |template: &&crate::Template| {
            template.patterns().any(|pattern| crate::template::matches(pattern, index))
        };
        let Some(template) = self.templates.iter().find(is_for) else { return Ok(()) };
        if self.version_of(template).await?.is_some() {
            return Ok(());
        }
        let text = format!("no template {} for {index}: run `tahoe setup`", template.name);
        Err(SinkError::Refused(text, None))
    }
}

impl Doc {
    fn held(self) -> Result<Held, SinkError> {
        if let Some(error) = self.error {
            let reason = error["reason"].as_str().unwrap_or("no reason given");
            return Err(SinkError::Unavailable(format!("a row cannot be read: {reason}"), None));
        }
        let (true, Some(seq_no), Some(term)) = (self.found, self.seq_no, self.primary_term) else {
            return Ok(Held::default());
        };
        Ok(Held { row: self.source.map(Row::from), seen: Some((seq_no, term)) })
    }
}
