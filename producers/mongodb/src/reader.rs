//! A connection that reads: changes, and between them the chunks of a snapshot.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::error::Error;
use tahoe_pipeline::replicate::{Step, Take};
use tahoe_pipeline::seams::SourceError;

use crate::change::{Place, Recorder};
use crate::changes::Settings;
use crate::point::Point;
use crate::server::is_lost;
use crate::snapshot::Snapshot;
use crate::stream::ChangeStream;
use crate::value::Damaged;

/// The kinds of records, by index.
const CHANGE: usize = 0;
/// Documents that were only read.
const ROW: usize = 1;

/// How long the server waits with its reply when nothing changes.
pub(crate) const WAIT: Duration = Duration::from_secs(1);
/// The same while a snapshot waits for the stream to pass the time of its reading.
pub(crate) const SNAPSHOT_WAIT: Duration = Duration::from_millis(10);
/// Changes between two points.
const EVENTS_BETWEEN_POINTS: u32 = 1000;
/// Between two points of a stream in which nothing concerns us.
const IDLE_POINT_EVERY: Duration = Duration::from_secs(1);

/// A connection that reads.
pub(crate) struct Reader {
    /// The database.
    pub db: Database,
    /// Its changes.
    pub stream: ChangeStream,
    /// What its collections held, as long as that is read.
    pub snapshot: Option<Snapshot>,
    /// Makes the records.
    pub recorder: Recorder,
    /// Where reading is.
    pub point: Point,
    /// The point is to be given.
    pub due: bool,
    /// Changes since the last point.
    pub events_since_point: u32,
    /// When it was given.
    pub point_at: Instant,
    /// The point at which reading was begun again, until it is stored: a start before that would
    /// begin a third time.
    pub unstored: Option<Vec<u8>>,
    /// Changes are lost: what the log has of rows is not told by what follows.
    pub forgets_rows: bool,
}

impl Reader {
    /// Gives what is there, as [`tahoe_pipeline::replicate::Feed::read`] asks for it.
    ///
    /// # Errors
    /// The server's, or what is no BSON.
    pub async fn read(
        &mut self,
        settings: &Settings,
        wait: Duration,
        take: &mut Take<'_>,
    ) -> Result<(), SourceError> {
        let db_name = settings.target.db.as_str();
        let mut waited = false;
        loop {
            if self.due && self.give_point(take).is_break() {
                return Ok(());
            }
            if self.unstored.is_some() {
                tokio::time::sleep(wait).await;
                return Ok(());
            }
            if self.give_gap(db_name, take).is_break()
                || self.give_changes(take)?.is_break()
                || self.give_rows(db_name, take)?.is_break()
            {
                return Ok(());
            }
            if self.due {
                continue;
            }
            if waited {
                return Ok(());
            }
            let went = match self.snapshot {
                Some(_) => self.go_on_with_snapshot(settings).await,
                None => {
                    waited = true;
                    self.go_on(settings, wait).await
                }
            };
            went.map_err(|error| match is_lost(&error) {
                // The next start says what is to be done.
                true => SourceError::Retry(error.to_string(), None),
                false => settings.decide(error),
            })?;
        }
    }

    fn give_point(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        self.due = false;
        self.events_since_point = 0;
        self.point_at = Instant::now();
        take(Step::Point(&self.point.encode()))
    }

    /// The first record after a gap says so; it follows from the point alone.
    fn give_gap(&mut self, db: &str, take: &mut Take<'_>) -> ControlFlow<()> {
        if std::mem::take(&mut self.forgets_rows) {
            take(Step::Repeated)?;
        }
        let Some(lost) = self.point.lost.take() else { return ControlFlow::Continue(()) };
        let place = Place { db, collection: "" };
        self.recorder.gap(place, &lost, &self.point.position());
        self.due = self.snapshot.is_none();
        self.give(CHANGE, take)
    }

    fn give(&self, kind: usize, take: &mut Take<'_>) -> ControlFlow<()> {
        take(Step::Record { kind, key: &self.recorder.key, bytes: &self.recorder.bytes })
    }

    fn give_changes(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, SourceError> {
        while let Some(event) = self.stream.events.pop_front() {
            let made = self.recorder.change(&event);
            made.map_err(|error| self.damaged("a change", &error))?;
            if let Some(snapshot) = self.snapshot.as_mut().filter(|_| self.recorder.is_whole) {
                snapshot.note_change(&self.recorder.key);
            }
            self.events_since_point += 1;
            let flow = self.give(CHANGE, take);
            if self.snapshot.is_none() && self.events_since_point >= EVENTS_BETWEEN_POINTS {
                self.point.token = token_of(&event);
                self.due = true;
            }
            if flow.is_break() {
                return Ok(flow);
            }
            if self.due && self.give_point(take).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives what was read of the chunk, once the stream has passed the time of reading.
    fn give_rows(&mut self, db: &str, take: &mut Take<'_>) -> Result<ControlFlow<()>, SourceError> {
        let Some(snapshot) = &mut self.snapshot else { return Ok(ControlFlow::Continue(())) };
        if snapshot.rows.is_empty() || !self.stream.has_passed(snapshot.read_at) {
            return Ok(ControlFlow::Continue(()));
        }
        let position = self.point.position();
        let collection = snapshot.chunk.collection.clone();
        let place = Place { db, collection: &collection };
        while let Some(row) = snapshot.rows.pop_front() {
            if let Err(error) = self.recorder.row(place, &row, &position, None) {
                return Err(self.damaged("a document", &error));
            }
            if snapshot.has_changed(&self.recorder.key) {
                continue;
            }
            let (key, bytes) = (&self.recorder.key[..], &self.recorder.bytes[..]);
            if take(Step::Record { kind: ROW, key, bytes }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads more of the chunk, or goes to the next, or ends the snapshot.
    async fn go_on_with_snapshot(&mut self, settings: &Settings) -> Result<(), Error> {
        let snapshot = self.snapshot.as_mut().expect("the caller looked");
        if !snapshot.rows.is_empty() {
            self.stream.fill(SNAPSHOT_WAIT).await?;
            return self.reopen_if_over(settings).await;
        }
        if snapshot.read(&self.db).await? {
            self.stream.mark();
            return Ok(());
        }
        let goes_on = snapshot.advance(&self.db).await?;
        self.point.token = self.stream.token().clone();
        self.point.chunk = goes_on.then(|| snapshot.chunk.clone());
        self.due = true;
        if !goes_on {
            self.snapshot = None;
            self.reopen(settings, WAIT).await?;
        }
        Ok(())
    }

    /// Waits for changes.
    async fn go_on(&mut self, settings: &Settings, wait: Duration) -> Result<(), Error> {
        self.stream.fill(wait).await?;
        if self.stream.events.is_empty() {
            let moved = *self.stream.token() != self.point.token;
            if moved && (self.events_since_point > 0 || self.point_at.elapsed() > IDLE_POINT_EVERY)
            {
                self.point.token = self.stream.token().clone();
                self.due = true;
            }
        }
        self.reopen_if_over(settings).await
    }

    /// A stream that an invalidate has ended goes on behind it.
    async fn reopen_if_over(&mut self, settings: &Settings) -> Result<(), Error> {
        if !self.stream.over || !self.stream.events.is_empty() {
            return Ok(());
        }
        let wait = if self.snapshot.is_some() { SNAPSHOT_WAIT } else { WAIT };
        self.reopen(settings, wait).await
    }

    async fn reopen(&mut self, settings: &Settings, wait: Duration) -> Result<(), Error> {
        let token = self.stream.token().clone();
        self.stream = ChangeStream::open(&self.db, &settings.watch(), Some(&token), wait).await?;
        Ok(())
    }

    fn damaged(&self, what: &str, error: &Damaged) -> SourceError {
        let after = self.point.position();
        SourceError::Stop(
            format!(
                "{what} behind position {after} is no BSON: {error}; repair it in the database, or \
                 leave its collection out of MONGO_COLLECTION"
            ),
            None,
        )
    }
}

fn token_of(event: &RawDocumentBuf) -> Document {
    let token = event.get_document("_id").ok();
    token.and_then(|token| Document::try_from(token).ok()).unwrap_or_default()
}
