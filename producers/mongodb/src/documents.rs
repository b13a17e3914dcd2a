//! A collection of log documents, in the order of their time and `_id`.
//!
//! Documents may be written some seconds after the time that they carry, so what is read ends that
//! long before now; then a range that was read once has the same documents for ever, and a start
//! goes on at its end. What is written later than that is not read.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::raw_batch_cursor::RawBatchCursor;
use tahoe_pipeline::replicate::{Feed, Step, Take};
use tahoe_pipeline::seams::{Lag, SourceError};
use tokio::runtime::{Builder, Runtime};

use crate::change::{Place, Recorder};
use crate::server::{connect, decide, identify};
use crate::settings::{MongoArgs, Target};
use crate::value;

const VERSION: i32 = 1;

/// Between two looks for new documents.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The feed.
pub(crate) struct Documents {
    settings: Settings,
    runtime: Runtime,
    reader: Option<Reader>,
}

/// What the feed was given.
pub(crate) struct Settings {
    /// Where the documents are.
    pub target: Target,
    /// The collection.
    pub collection: String,
    /// The documents are records of a dataset of their own, not rows.
    pub plain: bool,
    /// The others.
    pub args: MongoArgs,
}

/// A document's place in the order: its time and its id.
type At = (DateTime, Bson);

struct Reader {
    db: Database,
    recorder: Recorder,
    /// Everything up to this was given.
    after: Option<At>,
    /// What is read now ends with this.
    through: Option<At>,
    cursor: Option<RawBatchCursor>,
    rows: VecDeque<RawDocumentBuf>,
    /// The point is to be given.
    due: bool,
    looked: Option<Instant>,
    caught_up: Instant,
}

impl Documents {
    /// # Errors
    /// The system has no more threads or files.
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            SourceError::Retry(format!("cannot start to read: {error}"), Some(error.into()))
        })?;
        Ok(Self { settings, runtime, reader: None })
    }
}

impl Feed for Documents {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        let (after, through) = match at {
            None => (None, None),
            Some(at) => decode(at).ok_or_else(|| {
                let text = "the position of the log documents is of a newer version: update this \
                            binary";
                SourceError::Stop(text.to_owned(), None)
            })?,
        };
        let settings = &self.settings;
        let connected = self.runtime.block_on(async {
            let db = connect(&settings.target.connection, &settings.target.db).await?;
            let server = identify(&db).await?;
            Ok((db, server))
        });
        let (db, server) = connected.map_err(|error| settings.decide(error))?;
        let bytes_max = settings.args.mongo_record_bytes_max;
        self.reader = Some(Reader {
            db,
            recorder: Recorder::new(server.name().to_owned(), bytes_max),
            after,
            through,
            cursor: None,
            rows: VecDeque::new(),
            due: at.is_none(),
            looked: None,
            caught_up: Instant::now(),
        });
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let reader = self.reader.as_mut().expect("it was opened");
        self.runtime.block_on(reader.read(&self.settings, wait, take))
    }

    fn forget(&mut self, _before: &[u8]) -> Result<(), SourceError> {
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let Some(reader) = &self.reader else { return Vec::new() };
        let of = format!("{}.{}", self.settings.target.db, self.settings.collection);
        vec![Lag { of, bytes: 0, seconds: reader.caught_up.elapsed().as_secs_f64() }]
    }
}

impl Settings {
    fn decide(&self, error: Error) -> SourceError {
        decide(error, &self.target)
    }
}

impl Reader {
    async fn read(
        &mut self,
        settings: &Settings,
        wait: Duration,
        take: &mut Take<'_>,
    ) -> Result<(), SourceError> {
        loop {
            if std::mem::take(&mut self.due) {
                let point = encode(self.after.as_ref(), self.through.as_ref());
                if take(Step::Point(&point)).is_break() {
                    return Ok(());
                }
            }
            while let Some(row) = self.rows.pop_front() {
                if self.give(&row, settings, take)?.is_break() {
                    return Ok(());
                }
            }
            let went = match self.through.is_some() {
                true => self.read_on(settings).await.map(|()| true),
                false => self.look(settings, wait).await,
            };
            if !went.map_err(|error| settings.decide(error))? {
                return Ok(());
            }
        }
    }

    fn give(
        &mut self,
        row: &RawDocument,
        settings: &Settings,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, SourceError> {
        let collection = settings.collection.as_str();
        let place = Place { db: &settings.target.db, collection };
        let time = row.get_datetime(&settings.args.mongo_logs_time).ok();
        let time_ms = time.map(DateTime::timestamp_millis);
        let mut made = self.recorder.row(place, row, "", time_ms);
        if made.is_ok() && settings.plain {
            self.recorder.bytes.clear();
            made = value::write_document(row, &mut self.recorder.bytes);
        }
        if let Err(error) = made {
            let text = format!(
                "a document of {collection} is no BSON: {error}; repair it in the database, or \
                 leave the collection out of --mongo-logs"
            );
            return Err(SourceError::Stop(text, None));
        }
        let (key, bytes) = (&self.recorder.key[..], &self.recorder.bytes[..]);
        Ok(take(Step::Record { kind: 0, key, bytes }))
    }

    /// Reads more of the range; after its end, everything up to there was given.
    async fn read_on(&mut self, settings: &Settings) -> Result<(), Error> {
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            None => self.cursor.insert(self.find(settings).await?),
        };
        match cursor.next().await {
            Some(batch) => {
                for document in batch?.doc_slices()?.into_iter().flatten() {
                    self.rows.extend(document.as_document().map(ToOwned::to_owned));
                }
            }
            None => {
                self.cursor = None;
                self.after = self.through.take();
                self.looked = None;
                self.due = true;
            }
        }
        Ok(())
    }

    async fn find(&self, settings: &Settings) -> Result<RawBatchCursor, Error> {
        let field = settings.args.mongo_logs_time.as_str();
        let mut parts = vec![doc! {field: {"$type": "date"}}];
        parts.extend(self.after.as_ref().map(|at| bound(field, at, "$gt", "$gt")));
        parts.extend(self.through.as_ref().map(|at| bound(field, at, "$lt", "$lte")));
        let command = doc! {
            "find": &settings.collection,
            "filter": {"$and": parts},
            "sort": {field: 1, "_id": 1},
            "batchSize": settings.args.mongo_chunk,
        };
        self.db.run_cursor_command(command).batch_size(settings.args.mongo_chunk).batch().await
    }

    /// Looks for the next range; false if there is none, after at most `wait`.
    async fn look(&mut self, settings: &Settings, wait: Duration) -> Result<bool, Error> {
        if let Some(rest) = self.looked.and_then(|at| LOOK_EVERY.checked_sub(at.elapsed())) {
            tokio::time::sleep(rest.min(wait)).await;
            return Ok(false);
        }
        self.looked = Some(Instant::now());
        let field = settings.args.mongo_logs_time.as_str();
        let late_ms = i64::from(settings.args.mongo_logs_late) * 1000;
        let hello = self.db.run_command(doc! {"hello": 1}).await?;
        let now = hello.get_datetime("localTime").copied().unwrap_or_else(|_| DateTime::now());
        let until = DateTime::from_millis(now.timestamp_millis() - late_ms);
        let mut parts = vec![doc! {field: {"$type": "date", "$lt": until}}];
        parts.extend(self.after.as_ref().map(|at| bound(field, at, "$gt", "$gt")));
        let collection = self.db.collection::<Document>(&settings.collection);
        let find = |order: i32, skip: u64| {
            let found = collection.find_one(doc! {"$and": parts.clone()});
            found.sort(doc! {field: order, "_id": order}).skip(skip)
        };
        let found = match find(1, u64::from(settings.args.mongo_chunk) - 1).await? {
            Some(found) => Some(found),
            None => find(-1, 0).await?,
        };
        let at = found.and_then(|found| {
            let time = *found.get_datetime(field).ok()?;
            Some((time, found.get("_id")?.clone()))
        });
        let Some(at) = at else {
            self.caught_up = Instant::now();
            return Ok(false);
        };
        self.through = Some(at);
        self.due = true;
        Ok(true)
    }
}

/// Documents on one side of a place in the order.
fn bound(field: &str, (time, id): &At, by_time: &str, by_id: &str) -> Document {
    doc! {"$or": [{field: {by_time: *time}}, {field: *time, "_id": {by_id: id}}]}
}

/// `{v, after?: {time, id}, through?: {time, id}}`, as BSON.
fn encode(after: Option<&At>, through: Option<&At>) -> Vec<u8> {
    let mut document = doc! {"v": VERSION};
    for (name, at) in [("after", after), ("through", through)] {
        if let Some((time, id)) = at {
            document.insert(name, doc! {"time": *time, "id": id});
        }
    }
    document.to_vec().expect("it is a small document of ours")
}

/// `None` if it is of a newer version, or damaged.
fn decode(bytes: &[u8]) -> Option<(Option<At>, Option<At>)> {
    let document = Document::try_from(RawDocument::from_bytes(bytes).ok()?).ok()?;
    if document.get_i32("v").ok() != Some(VERSION) {
        return None;
    }
    let at = |name: &str| {
        let at = document.get_document(name).ok()?;
        Some((*at.get_datetime("time").ok()?, at.get("id")?.clone()))
    };
    Some((at("after"), at("through")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_back_as_it_was_and_nothing_else_does() {
        let at: At = (DateTime::from_millis(7), Bson::Int32(3));
        let read = decode(&encode(Some(&at), None));
        assert_eq!(read, Some((Some(at.clone()), None)));
        assert_eq!(decode(&encode(None, Some(&at))), Some((None, Some(at))));
        assert_eq!(decode(&doc! {"v": 2}.to_vec().expect("BSON")), None);
    }
}
