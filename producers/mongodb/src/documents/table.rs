//! The documents, as a table that is polled, and the transactions that may still write some.
//!
//! A server without replicas has no transactions. Elsewhere the primary shows those that are open
//! to who may see them (`$currentOp`); a reader of another member cannot know them.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use mongodb::error::Error;
use tahoe_pipeline::poll::{Cursor, Former, Look, Opened, Range, Row, Rows, Table};
use tahoe_pipeline::seams::SourceError;
use tokio::runtime::Runtime;

use super::Settings;
use super::order::{self, Order};
use crate::change::{Place, Recorder, id_of};
use crate::server::{code, connect, decide, identify, runtime};
use crate::value;

/// A collection of one server.
pub(super) struct Documents {
    runtime: Runtime,
    reader: Reader,
}

struct Reader {
    settings: Settings,
    by: [String; 2],
    order: Order,
    recorder: Recorder,
    db: Option<Database>,
    /// Open transactions can be asked for, and there can be any.
    asks: bool,
}

impl Documents {
    /// # Errors
    /// The system has no more threads or files.
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let runtime = runtime()?;
        let time = settings.args.mongo_logs_time.clone();
        let recorder = Recorder::new(String::new(), settings.args.record_bytes_max());
        let (order, by) = (Order::by(&time), [time, "_id".to_owned()]);
        let reader = Reader { settings, by, order, recorder, db: None, asks: false };
        Ok(Self { runtime, reader })
    }
}

impl Reader {
    async fn open(&mut self) -> Result<Opened, Error> {
        let db = connect(&self.settings.target.connection, &self.settings.target.db).await?;
        self.recorder.server = identify(&db).await?.name().to_owned();
        let role = Role::ask(&db).await?;
        self.asks = role.shows_transactions(&db).await?;
        self.db = Some(db);
        let sees_open = self.asks || !role.has_transactions;
        // The shards of a cluster may each have a document of one `_id`.
        Ok(Opened { is_unique: !role.is_sharded, sees_open })
    }

    async fn look(&mut self) -> Result<(Option<RawDocumentBuf>, HashSet<String>), Error> {
        let target = &self.settings.target;
        let db = match &mut self.db {
            Some(db) => db,
            None => self.db.insert(connect(&target.connection, &target.db).await?),
        };
        let hello = db.run_command(doc! {"hello": 1}).await?;
        // Clocks that are wrong shall not carry the reader past everything that follows.
        let now = hello.get_datetime("localTime").copied().unwrap_or_else(|_| DateTime::now());
        let command = doc! {
            "find": &self.settings.collection,
            "filter": self.order.condition(now),
            "sort": self.order.sort(-1),
            "limit": 1,
            "projection": {&self.by[0]: 1, "_id": 1},
        };
        let newest = db.run_cursor_command(command).await?.next().await.transpose()?;
        let newest = newest.map(|found| RawDocumentBuf::try_from(&found)).transpose()?;
        let open = if self.asks { open_transactions(db).await? } else { HashSet::new() };
        Ok((newest, open))
    }

    /// The documents of a range, and whether there are no others.
    async fn read(
        &mut self,
        filter: Document,
        range: &Range<'_>,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let Some(db) = &self.db else { return Ok((Vec::new(), true)) };
        let batch_max = self.settings.args.mongo_chunk;
        let command = doc! {
            "find": &self.settings.collection,
            "filter": filter,
            "sort": self.order.sort(1),
            "limit": i64::try_from(range.rows_max).unwrap_or(i64::MAX),
            "batchSize": batch_max,
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut batches = db.run_cursor_command(command).batch_size(batch_max).batch().await?;
        while let Some(batch) = batches.next().await.transpose()? {
            for document in batch.doc_slices()?.into_iter().flatten() {
                let Some(document) = document.as_document() else { continue };
                if bytes >= range.bytes_max {
                    return Ok((found, false));
                }
                bytes += document.as_bytes().len();
                found.push(document.to_owned());
            }
        }
        let is_all = (found.len() as u64) < range.rows_max;
        Ok((found, is_all))
    }

    fn row(&mut self, document: &RawDocument) -> Result<Row, SourceError> {
        let collection = self.settings.collection.as_str();
        let cursor = self.place(document)?;
        let time = self.order.time(document).map(DateTime::timestamp_millis);
        let place = Place { db: &self.settings.target.db, collection };
        let made = match self.settings.plain {
            true => self.recorder.document(place, document),
            false => self.recorder.row(place, document, "", time),
        };
        made.map_err(|error| {
            let text = format!(
                "a document of {collection} is no BSON: {error}; repair it in the database, or \
                 leave the collection out of --mongo-logs"
            );
            SourceError::Stop(text, None)
        })?;
        Ok(Row { cursor, key: self.recorder.key.clone(), bytes: self.recorder.bytes.clone() })
    }

    fn place(&self, document: &RawDocument) -> Result<Cursor, SourceError> {
        self.order.place(document).ok_or_else(|| self.no_order(document))
    }

    fn no_order(&self, document: &RawDocument) -> SourceError {
        let (collection, mut id) = (&self.settings.collection, Vec::new());
        // What cannot be written is not shown.
        let _ = value::write_value(id_of(document).unwrap_or(RawBsonRef::Null), &mut id);
        let id = String::from_utf8_lossy(&id);
        let text = format!(
            "--mongo-logs {collection}: the document with the _id {id} has no place in the order: \
             an _id must be no object, fraction, decimal or regular expression; read the \
             collection's changes (--mongo-collection) instead"
        );
        SourceError::Stop(text, None)
    }

    fn decide(&self, error: Error) -> SourceError {
        decide(error, &self.settings.target)
    }
}

/// What a server is where its transactions are concerned.
pub(super) struct Role {
    /// There can be any.
    pub has_transactions: bool,
    /// It knows those of all who write.
    is_primary: bool,
    is_sharded: bool,
}

impl Role {
    /// # Errors
    /// The server does not answer.
    pub async fn ask(db: &Database) -> Result<Self, Error> {
        let hello = db.run_command(doc! {"hello": 1}).await?;
        let is_sharded = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        Ok(Self {
            has_transactions: is_sharded || hello.contains_key("setName"),
            is_primary: hello.get_bool("isWritablePrimary").unwrap_or_default(),
            is_sharded,
        })
    }

    /// It shows them to this user.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn shows_transactions(&self, db: &Database) -> Result<bool, Error> {
        if !self.has_transactions || !self.is_primary {
            return Ok(false);
        }
        match open_transactions(db).await {
            Ok(_) => Ok(true),
            Err(error) if code(&error).is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Names of transactions that have not ended: session and number.
async fn open_transactions(db: &Database) -> Result<HashSet<String>, Error> {
    let command = doc! {
        "aggregate": 1,
        "pipeline": [
            {"$currentOp": {"allUsers": true, "idleSessions": true}},
            {"$match": {"transaction.parameters.autocommit": false}},
        ],
        "cursor": {},
    };
    let mut found = db.client().database("admin").run_cursor_command(command).await?;
    let mut open = HashSet::new();
    while let Some(one) = found.next().await.transpose()? {
        let one = RawDocumentBuf::try_from(&one)?;
        let parameters =
            one.get_document("transaction").and_then(|it| it.get_document("parameters"));
        let number = parameters.ok().and_then(|parameters| parameters.get_i64("txnNumber").ok());
        let mut name = number.unwrap_or_default().to_string().into_bytes();
        if let Ok(session) = one.get_document("lsid") {
            value::write_document(session, &mut name)?;
        }
        open.insert(String::from_utf8_lossy(&name).into_owned());
    }
    Ok(open)
}

impl Table for Documents {
    fn name(&self) -> String {
        let Settings { target, collection, .. } = &self.reader.settings;
        format!("{} {}.{collection}", target.connection.describe(), target.db)
    }

    fn by(&self) -> &[String] {
        &self.reader.by
    }

    fn place_of(&self, record: &[u8]) -> Option<Cursor> {
        match self.reader.settings.plain {
            true => self.reader.order.end_of_own_time(record),
            false => Order::end_of_time(record, "", "time"),
        }
    }

    fn former(&self, position: &[u8]) -> Option<Former> {
        order::former(position)
    }

    fn open(&mut self) -> Result<Opened, SourceError> {
        let opened = self.runtime.block_on(self.reader.open());
        opened.map_err(|error| self.reader.decide(error))
    }

    fn look(&mut self) -> Result<Look, SourceError> {
        let looked = self.runtime.block_on(self.reader.look());
        let (newest, open) = looked.map_err(|error| self.reader.decide(error))?;
        let newest = newest.map(|newest| self.reader.place(&newest)).transpose()?;
        Ok(Look { newest, open })
    }

    fn read(&mut self, range: &Range<'_>) -> Result<Rows, SourceError> {
        let filter = self.reader.order.range(range.after, range.through).ok_or_else(|| {
            let text = format!(
                "{}: its position is damaged, or of a newer version: update this binary",
                self.name()
            );
            SourceError::Stop(text, None)
        })?;
        let found = self.runtime.block_on(self.reader.read(filter, range));
        let (found, is_all) = found.map_err(|error| self.reader.decide(error))?;
        let rows = found.iter().map(|document| self.reader.row(document));
        Ok(Rows { rows: rows.collect::<Result<_, _>>()?, is_all })
    }

    fn rest(&mut self) {
        self.reader.db = None;
    }
}
