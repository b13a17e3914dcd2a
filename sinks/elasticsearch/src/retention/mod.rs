//! How long data streams are kept: by the server's own lifecycle where it has one, else by deleting
//! whole backing indices here.
//!
//! A backing index goes only when it is no longer written to and its youngest event, by its own time
//! and by when it was normalised, is past the retention; before it goes, writes to it are blocked,
//! which waits for those in flight, and it is looked at once more. So what stays is at most what one
//! backing index spans longer than was asked, and nothing younger is ever deleted.

mod backing;
mod lifecycle;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::Value;
use tahoe_schemas::retention::{DAY_MS, Keep, Retention};
use tahoe_seams::SinkError;
use tracing::info;

pub use backing::Backing;
pub use lifecycle::Keeper;
pub(crate) use lifecycle::with_policy;

use crate::Elasticsearch;
use crate::connection::Answer;

/// Every data stream that may be ours.
const DATA_STREAMS: &str = "logs-*,metrics-*";

/// What became of one data stream.
#[derive(Debug, Serialize)]
pub struct Retained {
    /// The data stream.
    pub data_stream: String,
    /// Days that its events are kept; none for ever.
    pub days: Option<u32>,
    /// Who deletes what is older.
    pub kept_by: Keeper,
    /// The server was told other days than it had.
    pub changed: bool,
    /// The index that was written to was closed, and a new one begun.
    pub rolled_over: bool,
    /// Backing indices that were deleted, oldest first.
    pub deleted: Vec<Backing>,
    /// Those that stay, as far as they were looked at.
    pub kept: Vec<Backing>,
    /// Why not all of it was done.
    pub error: Option<String>,
}

impl Elasticsearch {
    /// Makes every data stream of ours keep what `retention` says. With `dry_run` nothing is
    /// changed, and the answer is what would have been. `now_ms` is the time that ages are counted
    /// to, in milliseconds since 1970.
    ///
    /// # Errors
    /// The server cannot be asked for its data streams. What fails for one of them is in its own
    /// [`Retained::error`].
    pub async fn retain(
        &self,
        retention: &Retention,
        now_ms: i64,
        dry_run: bool,
    ) -> Result<Vec<Retained>, SinkError> {
        let keeper = self.keeper().await?;
        let mut all = Vec::new();
        for (data_stream, indices) in self.data_streams(DATA_STREAMS).await? {
            let Some(keep) = retention.of(&data_stream) else { continue };
            let mut retained = Retained {
                data_stream,
                days: keep.days(),
                kept_by: keeper,
                changed: false,
                rolled_over: false,
                deleted: Vec::new(),
                kept: Vec::new(),
                error: None,
            };
            let done = match keeper {
                Keeper::Tahoe => self.enforce(&mut retained, keep, indices, now_ms, dry_run).await,
                _ => self.tell(&mut retained, keep, dry_run).await,
            };
            retained.error = done.err().map(|error| error.to_string());
            all.push(retained);
        }
        Ok(all)
    }

    /// The data streams of these names with their backing indices, oldest first: writes go to the
    /// last.
    pub(crate) async fn data_streams(
        &self,
        names: &str,
    ) -> Result<Vec<(String, Vec<String>)>, SinkError> {
        let path = resolve(names);
        let answer = self.connection.ask("listing data streams", Method::Get, &path, None).await?;
        data_streams(&answer)
    }

    async fn tell(
        &self,
        retained: &mut Retained,
        keep: Keep,
        dry_run: bool,
    ) -> Result<(), SinkError> {
        let stream = &retained.data_stream;
        let differs = match retained.kept_by {
            Keeper::DataStreamLifecycle => self.lifecycle_differs(stream, keep).await?,
            _ => self.policy_differs(stream, keep).await?,
        };
        retained.changed = differs;
        if !differs || dry_run {
            return Ok(());
        }
        match retained.kept_by {
            Keeper::DataStreamLifecycle => self.put_lifecycle(stream, keep).await?,
            _ => self.put_policy(stream, keep).await?,
        }
        info!(data_stream = stream, %keep, "retention changed");
        Ok(())
    }

    async fn enforce(
        &self,
        retained: &mut Retained,
        keep: Keep,
        mut indices: Vec<String>,
        now_ms: i64,
        dry_run: bool,
    ) -> Result<(), SinkError> {
        let Keep::Days(days) = keep else { return Ok(()) };
        let until_ms = now_ms - i64::from(days) * DAY_MS;
        let Some(written) = indices.pop() else { return Ok(()) };
        let written = self.measure(&written).await?;
        if written.is_due(until_ms, now_ms - i64::from(rollover_days(days)) * DAY_MS) {
            if !dry_run {
                let data_stream = &retained.data_stream;
                self.roll_over(data_stream).await?;
                info!(data_stream, "data stream rolled over, its backing index is old enough");
            }
            retained.rolled_over = true;
            indices.push(written.index);
        } else {
            retained.kept.push(written);
        }
        for index in indices {
            let mut backing = self.measure(&index).await?;
            let mut goes = backing.is_past(until_ms);
            if goes && !dry_run {
                (goes, backing) = self.delete_if_past(&index, until_ms).await?;
            }
            if goes { &mut retained.deleted } else { &mut retained.kept }.push(backing);
        }
        Ok(())
    }

    /// Begins another backing index of a data stream.
    ///
    /// Not lazily: OpenSearch cannot, and Elasticsearch without its commercial modules says yes and
    /// goes on with the old index (seen on 8.19.21).
    pub(crate) async fn roll_over(&self, data_stream: &str) -> Result<(), SinkError> {
        let path = format!("{data_stream}/_rollover");
        let asked = self.connection.ask("rolling data streams over", Method::Post, &path, None);
        asked.await.map(drop)
    }

    async fn put(&self, doing: &str, path: &str, body: &Value) -> Result<(), SinkError> {
        let body = Some(Bytes::from(body.to_string()));
        self.connection.ask(doing, Method::Put, path, body).await.map(drop)
    }
}

/// Asks for the data streams of these names, hidden ones too.
pub(crate) fn resolve(names: &str) -> String {
    format!("_resolve/index/{names}?expand_wildcards=all")
}

/// What the answer to [`resolve`] says.
pub(crate) fn data_streams(answer: &Answer) -> Result<Vec<(String, Vec<String>)>, SinkError> {
    let body: Value = answer.json()?;
    let stream = |stream: &Value| {
        let indices = stream["backing_indices"].as_array()?.iter();
        let indices = indices.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        Some((stream["name"].as_str()?.to_owned(), indices))
    };
    Ok(body["data_streams"].as_array().into_iter().flatten().filter_map(stream).collect())
}

/// Days after which a new backing index is begun: what stays too long is what one of them spans. The
/// steps are those of Elasticsearch's own lifecycle.
fn rollover_days(days: u32) -> u32 {
    match days {
        0..=14 => 1,
        15..=90 => 7,
        _ => 30,
    }
}
