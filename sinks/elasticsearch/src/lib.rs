//! Elasticsearch as a sink: an event is stored when the server says so for that very event.
//!
//! Documents are created under the ids that their records carry, so that writing twice is writing
//! once; where that does not hold (a rollover between two attempts) [`Sink::write_again`] looks first
//! and mends afterwards. OpenSearch is taken too, as far as its API agrees.

mod bulk;
mod check;
mod connection;
mod copies;
mod kibana;
mod outcome;
mod present;
mod retention;
mod rows;
mod search;
mod settings;
mod setup;
mod template;
mod tenant;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use tahoe_schemas::table::Table;
use tahoe_schemas::templates::{index_templates, rows_template, table_template, table_templates};
use tahoe_seams::{EventBatch, Outcome, Present, RecordId, Rewrite, RowChange, Sink, SinkError};

use connection::Connection;
pub use kibana::Kibana;
pub use retention::{Backing, Keeper, Retained};
pub use settings::{AccessArgs, Address, ElasticsearchArgs};
pub use template::{Kind, Template};
pub use tenant::{Added, Company, Gone, Removed, Tenant, Tenants, Wanted};

/// The index templates that the datasets declare, and those of tables whose columns nobody saw.
pub fn dataset_templates() -> Vec<Template> {
    let all = index_templates().chain(table_templates());
    all.map(|(name, body)| Template::new(Kind::Index, name, &body)).collect()
}

/// The index templates of tables that were seen: those with data streams of their own, and those
/// whose rows are kept as they are now.
pub fn templates_of(streams: &[&Table], rows: &[&Table]) -> Vec<Template> {
    let streams = streams.iter().filter_map(|table| table_template(table));
    let all = streams.chain(rows.iter().filter_map(|table| rows_template(table)));
    all.map(|(name, body)| Template::new(Kind::Index, name, &body)).collect()
}

/// A client of one cluster. Cheap to share; every method may be called from several tasks at once.
#[derive(Debug)]
pub struct Elasticsearch {
    connection: Connection,
    templates: Vec<Template>,
    /// Largest `_bulk` body to send: the setting, or less once the server called that too large.
    bulk_bytes_max: AtomicUsize,
    /// The server knows `require_data_stream`, which keeps a typing error from becoming an index.
    requires_data_stream: AtomicBool,
    /// Indices of rows that are known to be there.
    row_indices: Mutex<HashSet<String>>,
}

impl Elasticsearch {
    /// A client with `templates` to set up and check. It does not connect yet.
    ///
    /// # Errors
    /// [`SinkError::Refused`] when a setting cannot be right: no address, an unreadable file.
    pub fn new(args: &ElasticsearchArgs, templates: Vec<Template>) -> Result<Self, SinkError> {
        Ok(Self {
            connection: Connection::new(&args.addresses, &args.access, "--elasticsearch")?,
            templates,
            bulk_bytes_max: AtomicUsize::new(args.bulk_bytes_max),
            requires_data_stream: AtomicBool::new(true),
            row_indices: Mutex::default(),
        })
    }

    async fn write_looked_up(
        &self,
        batch: &EventBatch,
        there: Vec<bool>,
    ) -> Result<Vec<Outcome>, SinkError> {
        let outcomes = tahoe_seams::write_missing(self, batch, there).await?;
        self.remove_later_copies(batch).await?;
        Ok(outcomes)
    }
}

#[async_trait::async_trait]
impl Sink for Elasticsearch {
    async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        self.bulk(batch).await
    }

    /// Looks for second copies afterwards: the earlier write may have been under way to one backing
    /// index while this one went to the next.
    async fn write_again(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let there = self.find(batch).await?;
        self.write_looked_up(batch, there).await
    }

    async fn write_replayed(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let there = self.find_everywhere(batch).await?;
        self.write_looked_up(batch, there).await
    }

    async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        self.find_recent(batch).await
    }

    async fn present(&self, ids: &[RecordId]) -> Result<Vec<Present>, SinkError> {
        self.present_documents(ids).await
    }

    async fn rewrite(&self, changes: &[Rewrite]) -> Result<Vec<Outcome>, SinkError> {
        self.rewrite_documents(changes).await
    }

    async fn keep(&self, changes: &[RowChange]) -> Result<Vec<Outcome>, SinkError> {
        self.keep_rows(changes).await
    }

    async fn setup(&self) -> Result<(), SinkError> {
        self.put_templates().await
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.check_all().await
    }
}
