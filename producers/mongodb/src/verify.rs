//! The collections as they were at one time of the cluster, for `--verify`. A change says by its
//! resume token when it was made, so both sides have the same ones.
//!
//! MongoDB 5 reads at a time that is past (`minSnapshotHistoryWindowInSeconds`, 5 minutes unless it
//! is set). Where it does not, or not any more, documents are read as they are now: what then differs
//! and was changed between the beginning and the end of the reading is not compared.

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use mongodb::error::Error;
use mongodb::raw_batch_cursor::RawBatchCursor;
use tahoe_pipeline::verify::{Has, Held, Manner, Told, Truth};
use tokio::runtime::Runtime;

use crate::change::{Place, Recorder};
use crate::changes::Settings;
use crate::point::Point;
use crate::server::{code, connect, identify, runtime};
use crate::settings::FullDocument;
use crate::snapshot::{KINDS, filter};
use crate::stream::{is_of_a_change, operation_time, place_in_oplog};

/// The collections at a time.
pub(crate) struct Collections {
    settings: Settings,
    runtime: Runtime,
    db: Database,
    recorder: Recorder,
    /// Documents are compared as of then.
    from: Timestamp,
    /// Reading had ended then, if it went on while they changed.
    to: Timestamp,
    /// The server reads at a time that is past.
    at_once: bool,
    names: Vec<String>,
    held: Vec<Held>,
}

/// A feed at this point has read its collections.
pub(crate) fn is_settled(point: &[u8]) -> bool {
    Point::decode(point).is_some_and(|point| point.chunk.is_none())
}

/// Takes the time.
///
/// # Errors
/// A sentence that names the setting to change.
pub(crate) fn open(settings: Settings) -> Result<Box<dyn Truth>, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let target = &settings.target;
    let found = runtime.block_on(async {
        let db = connect(&target.connection, &target.db).await?;
        let server = identify(&db).await?;
        let names = settings.collections(&db).await?;
        let now = cluster_time(&db).await?;
        Ok((db, server, names, now))
    });
    let (db, server, names, now) = found.map_err(|error| settings.decide(error).to_string())?;
    let Some(now) = now else {
        return Err("the server has no cluster time, so that nothing can be compared at one: \
                    changes need a replica set"
            .to_owned());
    };
    let held =
        |name: &String| Held { db: target.db.clone(), table: name.clone(), ..Held::default() };
    let held = names.iter().map(held).collect();
    let recorder = Recorder::new(server.name().to_owned(), settings.args.record_bytes_max());
    let (from, to, at_once) = (now, now, true);
    Ok(Box::new(Collections { settings, runtime, db, recorder, from, to, at_once, names, held }))
}

async fn cluster_time(db: &Database) -> Result<Option<Timestamp>, Error> {
    let reply = RawDocumentBuf::try_from(&db.run_command(doc! {"ping": 1}).await?);
    Ok(reply.ok().and_then(|reply| operation_time(&reply)))
}

impl Truth for Collections {
    fn server(&self) -> &str {
        &self.recorder.server
    }

    fn place(&self) -> String {
        format!("cluster time {}:{}", self.to.time, self.to.increment)
    }

    fn tables(&self) -> &[Held] {
        &self.held
    }

    fn is_reached(&self, point: &[u8]) -> bool {
        let Some(point) = Point::decode(point) else { return false };
        let position = point.position();
        point.server.name() == self.server()
            && place_in_oplog(&position).is_some_and(|(time, _)| match is_of_a_change(&position) {
                // A transaction has several changes of one time.
                true => time > self.to,
                false => time >= self.to,
            })
    }

    fn has(&self, change: &Told<'_>) -> Has {
        match place_in_oplog(change.position()) {
            Some((time, _)) if time <= self.from => Has::Yes,
            Some((time, _)) if time <= self.to => Has::Perhaps,
            _ => Has::No,
        }
    }

    fn order(&self, position: &str) -> Option<(u64, u64)> {
        let (time, number) = place_in_oplog(position)?;
        Some((u64::from(time.time) << 32 | u64::from(time.increment), number))
    }

    fn rows(&mut self, table: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let Self { runtime, db, recorder, settings, names, from, at_once, .. } = self;
        let mut reading = Reading {
            db,
            collection: &names[table],
            documents: settings.args.mongo_chunk,
            at: *from,
            at_once,
        };
        let place = Place { db: &settings.target.db, collection: &names[table] };
        let read = runtime.block_on(reading.each(&mut |document| {
            let made = recorder.row(place, document, "", None);
            made.map_err(|error| Error::custom(format!("a document is no BSON: {error}")))?;
            each(&recorder.bytes);
            Ok(())
        }));
        read.map_err(|error| settings.decide(error).to_string())
    }

    fn manner(&self) -> Manner {
        Manner { named_by: Some("_id"), rows_come_last: true, whole_rows: true, may_move: true }
    }

    fn empties(&self, change: &Told<'_>) -> bool {
        let statement = change.statement();
        statement.starts_with("drop ") || statement.starts_with("rename ")
    }

    fn has_moved(&mut self) -> Result<bool, String> {
        // A document that was looked up may be newer than its change.
        if self.at_once && self.settings.args.mongo_full_document != FullDocument::Lookup {
            return Ok(false);
        }
        let now = self.runtime.block_on(cluster_time(&self.db));
        let now = now.map_err(|error| self.settings.decide(error).to_string())?;
        self.to = now.unwrap_or(self.to);
        Ok(true)
    }
}

/// A collection, from its first to its last document.
struct Reading<'a> {
    db: &'a Database,
    collection: &'a str,
    documents: u32,
    at: Timestamp,
    at_once: &'a mut bool,
}

/// Takes a document.
type Each<'e> = dyn FnMut(&mongodb::bson::RawDocument) -> Result<(), Error> + 'e;

impl Reading<'_> {
    async fn each(&mut self, each: &mut Each<'_>) -> Result<(), Error> {
        for kind in 0..KINDS.len() {
            let mut after = None;
            while let Err(error) = self.each_of(kind, &mut after, each).await {
                if !(*self.at_once && reads_no_past(&error)) {
                    return Err(error);
                }
                tracing::info!(%error, "the server does not read at a past time: reading as it is");
                *self.at_once = false;
            }
        }
        Ok(())
    }

    async fn each_of(
        &self,
        kind: usize,
        after: &mut Option<Bson>,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let mut cursor = self.find(kind, after.as_ref()).await?;
        while let Some(batch) = cursor.next().await {
            let batch = batch?;
            let mut last = None;
            for document in batch.doc_slices()?.into_iter().flatten() {
                let Some(document) = document.as_document() else { continue };
                each(document)?;
                last = Some(document);
            }
            if let Some(id) = last.and_then(crate::change::id_of) {
                *after = Bson::try_from(id).ok();
            }
        }
        Ok(())
    }

    async fn find(&self, kind: usize, after: Option<&Bson>) -> Result<RawBatchCursor, Error> {
        let concern = match *self.at_once {
            true => doc! {"level": "snapshot", "atClusterTime": self.at},
            false => doc! {"level": "majority"},
        };
        let command: Document = doc! {
            "find": self.collection,
            "filter": {"_id": filter(kind, after)},
            "sort": {"_id": 1},
            "batchSize": self.documents,
            "readConcern": concern,
        };
        self.db.run_cursor_command(command).batch_size(self.documents).batch().await
    }
}

/// SnapshotTooOld and SnapshotUnavailable; BadValue, FailedToParse, IllegalOperation, InvalidOptions
/// and others by which servers before MongoDB 5 say that they read no snapshots.
fn reads_no_past(error: &Error) -> bool {
    matches!(code(error), Some(239 | 246 | 2 | 9 | 20 | 72 | 263 | 40415))
}
