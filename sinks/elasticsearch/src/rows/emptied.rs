//! A table that was emptied. A document of its own says when, so that older changes that come later
//! do not bring a row back; and every older row that is there is marked as gone.
//!
//! Who writes rows reads that document before and after: whatever the order of the two, either the
//! writer sees it, or the sweep sees the writer's row.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use tahoe_seams::{Outcome, RowChange, SinkError};
use tracing::info;

use super::document::{self, EMPTIED};
use super::fold::{Columns, Row};
use super::io::{Wanted, Write};
use crate::Elasticsearch;

/// Rows marked at once.
const PAGE: usize = 1000;

impl Elasticsearch {
    pub(super) async fn empty_table(&self, change: &RowChange) -> Result<Outcome, SinkError> {
        let place = (change.index.clone(), EMPTIED.to_owned());
        let wanted = Wanted::from([(place.clone(), false)]);
        loop {
            let held = self.read_rows(&wanted).await?.remove(&place).unwrap_or_default();
            let is_later =
                |row: &&Row| row.server == change.server && row.version >= change.version;
            if let Some(row) = held.row.as_ref().filter(is_later) {
                // An earlier attempt may have ended before its sweep did.
                self.sweep(&change.index, row).await?;
                return Ok(Outcome::AlreadyThere);
            }
            let marker = Row {
                server: change.server.clone(),
                version: change.version.clone(),
                deleted: true,
                ..Row::default()
            };
            let mut document = Vec::new();
            if let Err(error) = document::write(&change.about, marker.clone(), &mut document) {
                return Ok(super::rejected(&error));
            }
            let write = Write { place: place.clone(), seen: held.seen, document };
            match self.write_rows(&[write]).await?.pop() {
                Some(Outcome::AlreadyThere) => {}
                Some(Outcome::Stored) => {
                    self.sweep(&change.index, &marker).await?;
                    return Ok(Outcome::Stored);
                }
                other => return Ok(other.unwrap_or(Outcome::Busy)),
            }
        }
    }

    /// Sweeps if the table was emptied again since `seen`.
    pub(super) async fn sweep_if_emptied_since(
        &self,
        index: String,
        seen: Option<&str>,
    ) -> Result<(), SinkError> {
        let place = (index.clone(), EMPTIED.to_owned());
        let held = self.read_rows(&Wanted::from([(place.clone(), false)])).await?.remove(&place);
        match held.and_then(|held| held.row) {
            Some(marker) if Some(&*marker.version) != seen => self.sweep(&index, &marker).await,
            _ => Ok(()),
        }
    }

    /// Marks as gone what is older than the marker. A row that is written meanwhile is looked at
    /// again.
    async fn sweep(&self, index: &str, marker: &Row) -> Result<(), SinkError> {
        let later = json!({"bool": {"filter": [
            {"term": {"tahoe.state.server": marker.server}},
            {"range": {"tahoe.state.version": {"gte": marker.version}}},
        ]}});
        let query = json!({"bool": {
            "filter": [{"term": {"tahoe.state.deleted": false}}],
            "must_not": [later],
        }});
        let body = json!({"query": query, "size": PAGE, "seq_no_primary_term": true});
        let body = Bytes::from(body.to_string());
        let mut rows = 0;
        loop {
            self.connection
                .ask("refreshing rows", Method::Post, &format!("{index}/_refresh"), None)
                .await?;
            let path = format!("{index}/_search?allow_partial_search_results=false");
            let answer = self
                .connection
                .ask("looking for rows that are gone", Method::Post, &path, Some(body.clone()))
                .await?;
            let found: Value = answer.json()?;
            let hits = found["hits"]["hits"].as_array().map_or(&[][..], Vec::as_slice);
            if hits.is_empty() {
                break;
            }
            rows += hits.len();
            let writes: Vec<_> = hits.iter().filter_map(|hit| gone(index, hit, marker)).collect();
            if self.write_rows(&writes).await?.contains(&Outcome::Busy) || writes.is_empty() {
                let text = format!("not all rows of {index} could be marked as gone");
                return Err(SinkError::Unavailable(text, None));
            }
        }
        if rows > 0 {
            info!(index, rows, "rows of an emptied table marked as gone");
        }
        Ok(())
    }
}

fn gone(index: &str, hit: &Value, marker: &Row) -> Option<Write> {
    let id = hit["_id"].as_str()?.to_owned();
    let seen = (hit["_seq_no"].as_u64()?, hit["_primary_term"].as_u64()?);
    let about = hit["_source"].to_string();
    let row = Row { deleted: true, columns: Columns::new(), ..marker.clone() };
    let mut document = Vec::new();
    document::write(about.as_bytes(), row, &mut document).ok()?;
    Some(Write { place: (index.to_owned(), id), seen: Some(seen), document })
}
