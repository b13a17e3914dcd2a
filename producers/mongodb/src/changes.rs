//! The changes of a database's collections, and before them what the collections hold.
//!
//! The stream's place is taken first, then each collection is read in chunks. Before the documents
//! of a chunk are given, every change up to the time of their reading is given, and a document of
//! which a change since the chunk's beginning says all is left out. A point stands between two
//! chunks, or between any two changes.

use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::error::Error;
use tahoe_pipeline::replicate::{Feed, OnLostPosition, Take};
use tahoe_pipeline::seams::{Lag, SourceError};
use tokio::runtime::Runtime;

use crate::change::Recorder;
use crate::oplog::Watched;
use crate::point::Point;
use crate::reader::{Reader, SNAPSHOT_WAIT, WAIT};
use crate::server::{Identity, SHARDED, connect, decide, identify, is_lost, runtime};
use crate::settings::{MongoArgs, Snapshot as SnapshotMode, Target};
use crate::snapshot::{self, Snapshot};
use crate::stream::{ChangeStream, Watch};

/// The feed.
pub(crate) struct Changes {
    settings: Settings,
    runtime: Runtime,
    reader: Option<Reader>,
    oplog: Watched,
}

/// What the feed was given.
pub(crate) struct Settings {
    /// Where the documents are.
    pub target: Target,
    /// The others.
    pub args: MongoArgs,
}

impl Changes {
    /// # Errors
    /// The system has no more threads or files.
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let runtime = runtime()?;
        Ok(Self { settings, runtime, reader: None, oplog: Watched::default() })
    }
}

impl Feed for Changes {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        let settings = &self.settings;
        let point = at.map(|at| {
            Point::decode(at).ok_or_else(|| {
                let text = "the position of the change stream is of a newer version: update \
                            this binary";
                SourceError::Stop(text.to_owned(), None)
            })
        });
        let opened = self.runtime.block_on(settings.open(point.transpose()?))?;
        self.reader = Some(opened);
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let Self { settings, runtime, reader, oplog, .. } = self;
        let reader = reader.as_mut().expect("it was opened");
        runtime.block_on(async {
            reader.read(settings, wait, take).await?;
            if reader.point.server.set != SHARDED {
                let position = reader.point.time();
                oplog.look(&reader.db, position, settings.args.mongo_oplog_warn).await;
            }
            Ok(())
        })
    }

    fn forget(&mut self, before: &[u8]) -> Result<(), SourceError> {
        // The oplog keeps what it keeps.
        if let Some(reader) = &mut self.reader {
            reader.unstored = reader.unstored.take().filter(|point| point != before);
        }
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let Some(reader) = &self.reader else { return Vec::new() };
        let seconds = reader.stream.caught_up.elapsed().as_secs_f64();
        let db = &self.settings.target.db;
        let mut lag = vec![Lag { of: db.clone(), bytes: 0, seconds }];
        lag.extend(self.oplog.lag(db));
        lag
    }
}

impl Settings {
    /// What is watched.
    pub fn watch(&self) -> Watch {
        Watch {
            collections: self.target.collections.clone(),
            full_document: self.args.mongo_full_document,
            before: self.args.mongo_before,
        }
    }

    /// What the loop does about an error.
    pub fn decide(&self, error: Error) -> SourceError {
        decide(error, &self.target)
    }

    /// The collections that are read.
    ///
    /// # Errors
    /// The server's.
    pub async fn collections(&self, db: &Database) -> Result<Vec<String>, Error> {
        match self.target.collections.is_empty() {
            true => snapshot::collections(db).await,
            false => Ok(self.target.collections.clone()),
        }
    }

    async fn open(&self, at: Option<Point>) -> Result<Reader, SourceError> {
        let db = connect(&self.target.connection, &self.target.db).await;
        let db = db.map_err(|error| self.decide(error))?;
        let server = identify(&db).await.map_err(|error| self.decide(error))?;
        let Some(point) = at else {
            return self.begin(db, server, None).await;
        };
        if !point.server.may_be(&server) {
            let text = format!(
                "MONGO_HOST is another server ({}) than the one whose changes were read ({}): \
                 point it to that one, or choose --mongo-on-lost-position snapshot or latest",
                server.name(),
                point.server.name()
            );
            return self.begin_again(db, server, &point, || SourceError::Stop(text, None)).await;
        }
        let wait = if point.chunk.is_some() { SNAPSHOT_WAIT } else { WAIT };
        match ChangeStream::open(&db, &self.watch(), Some(&point.token), wait).await {
            Ok(stream) => {
                let chunk_documents = self.args.mongo_chunk;
                let names = match &point.chunk {
                    Some(_) => self.collections(&db).await.map_err(|error| self.decide(error))?,
                    None => Vec::new(),
                };
                let chunk = point.chunk.clone();
                let snapshot = chunk.map(|chunk| Snapshot::resume(chunk, names, chunk_documents));
                Ok(self.reader(db, stream, snapshot, point))
            }
            Err(error) if is_lost(&error) => {
                self.begin_again(db, server, &point, || self.decide(error)).await
            }
            Err(error) => Err(self.decide(error)),
        }
    }

    /// The changes behind `point` are lost: what the policy says.
    async fn begin_again(
        &self,
        db: Database,
        server: Identity,
        point: &Point,
        stop: impl FnOnce() -> SourceError,
    ) -> Result<Reader, SourceError> {
        match self.args.mongo_on_lost_position {
            OnLostPosition::Stop => Err(stop()),
            OnLostPosition::Snapshot | OnLostPosition::Latest => {
                tracing::warn!("{}; begun again, the gap has a record", stop());
                let mut reader = self.begin(db, server, Some(point.position())).await?;
                reader.unstored = Some(reader.point.encode());
                reader.forgets_rows = true;
                Ok(reader)
            }
        }
    }

    /// From now on, with a snapshot if the settings say so.
    async fn begin(
        &self,
        db: Database,
        server: Identity,
        lost: Option<String>,
    ) -> Result<Reader, SourceError> {
        let policy = self.args.mongo_on_lost_position;
        let wants_snapshot = match lost {
            None => self.args.mongo_snapshot == SnapshotMode::Initial,
            Some(_) => policy == OnLostPosition::Snapshot,
        };
        let began = async {
            let wait = if wants_snapshot { SNAPSHOT_WAIT } else { WAIT };
            let stream = ChangeStream::open(&db, &self.watch(), None, wait).await?;
            let snapshot = match wants_snapshot {
                true => {
                    let names = self.collections(&db).await?;
                    Snapshot::begin(&db, names, self.args.mongo_chunk).await?
                }
                false => None,
            };
            Ok((stream, snapshot))
        };
        let (stream, snapshot) = began.await.map_err(|error| self.decide(error))?;
        if stream.token().is_empty() {
            let text = "the server gives no resume token to begin with: MongoDB 4.2 or newer is \
                        needed for changes";
            return Err(SourceError::Stop(text.to_owned(), None));
        }
        let chunk = snapshot.as_ref().map(|snapshot| snapshot.chunk.clone());
        let point = Point { server, token: stream.token().clone(), chunk, lost };
        let mut reader = self.reader(db, stream, snapshot, point);
        reader.due = true;
        Ok(reader)
    }

    fn reader(
        &self,
        db: Database,
        stream: ChangeStream,
        snapshot: Option<Snapshot>,
        point: Point,
    ) -> Reader {
        let server = point.server.name().to_owned();
        Reader {
            db,
            stream,
            snapshot,
            recorder: Recorder::new(server, self.args.record_bytes_max()),
            point,
            due: false,
            events_since_point: 0,
            point_at: Instant::now(),
            unstored: None,
            forgets_rows: false,
        }
    }
}
