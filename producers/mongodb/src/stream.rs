//! An open change stream, batch by batch, with the place up to which each reply has looked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, Timestamp, doc};
use mongodb::error::Error;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use crate::settings::{Before, FullDocument};

/// Events of one reply; the server ends it at 16 MiB too.
const BATCH_EVENTS: i32 = 1000;

/// Between two requests to a server that does not wait with its answer.
const PAUSE: Duration = Duration::from_millis(20);

/// What is watched, and how.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Collections; all of the database, if it is empty.
    pub collections: Vec<String>,
    /// Documents with updates.
    pub full_document: FullDocument,
    /// Documents before changes.
    pub before: Before,
}

/// A change stream.
pub(crate) struct ChangeStream {
    cursor: RawBatchCursor,
    /// Events that were not taken yet.
    pub events: VecDeque<RawDocumentBuf>,
    /// Where the last reply ends.
    token: Document,
    /// The stream has ended (invalidate) once the events are taken.
    pub over: bool,
    /// Everything that was there has been read.
    pub caught_up: Instant,
    /// Empty replies since [`ChangeStream::mark`].
    empty_replies: u32,
}

impl ChangeStream {
    /// Opens it behind `token`, or from now on; the server waits at most `wait` with its replies.
    ///
    /// # Errors
    /// The server's.
    pub async fn open(
        db: &Database,
        watch: &Watch,
        token: Option<&Document>,
        wait: Duration,
    ) -> Result<Self, Error> {
        let command = doc! {
            "aggregate": watch.target(),
            "pipeline": watch.pipeline(token),
            "cursor": {"batchSize": BATCH_EVENTS},
            "readConcern": {"level": "majority"},
        };
        let opened = db.run_cursor_command(command).max_time(wait).batch_size(BATCH_EVENTS as u32);
        let cursor = opened.batch().await?;
        let mut stream = Self {
            cursor,
            events: VecDeque::new(),
            token: token.cloned().unwrap_or_default(),
            over: false,
            caught_up: Instant::now(),
            empty_replies: 0,
        };
        // The first reply came with the cursor.
        if let Some(first) = stream.cursor.next().await {
            stream.take(&first?)?;
        }
        Ok(stream)
    }

    /// Waits at most `wait` for events, unless some are there. A request that is under way when
    /// the time is over is waited for by the next call.
    ///
    /// # Errors
    /// The server's.
    pub async fn fill(&mut self, wait: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + wait;
        while self.events.is_empty() && !self.over {
            let asked = Instant::now();
            let left = deadline.saturating_duration_since(asked);
            match tokio::time::timeout(left, self.cursor.next()).await {
                Err(_) => return Ok(()),
                Ok(None) => self.over = true,
                Ok(Some(batch)) => self.take(&batch?)?,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.events.is_empty() && asked.elapsed() < PAUSE {
                tokio::time::sleep(PAUSE.min(left)).await;
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &RawBatch) -> Result<(), Error> {
        let reply = batch.as_raw_document();
        let cursor = reply.get_document("cursor").map_err(damaged)?;
        if let Ok(token) = cursor.get_document("postBatchResumeToken") {
            self.token = Document::try_from(token).map_err(damaged)?;
        }
        for event in batch.doc_slices()?.into_iter() {
            let event = event.map_err(damaged)?;
            let event =
                event.as_document().ok_or_else(|| Error::custom("an event is no object"))?;
            self.events.push_back(event.to_owned());
        }
        if self.events.is_empty() {
            self.caught_up = Instant::now();
            self.empty_replies += 1;
        }
        Ok(())
    }

    /// Where the stream is once the events that are there were taken; empty if the server, older
    /// than 4.2, does not say.
    pub fn token(&self) -> &Document {
        &self.token
    }

    /// From now on [`ChangeStream::has_passed`] asks for replies to new requests.
    pub fn mark(&mut self) {
        self.empty_replies = 0;
    }

    /// Every change up to that time was given. Where times cannot be compared, two empty replies
    /// say so: the first may answer a request that was under way.
    pub fn has_passed(&self, time: Option<Timestamp>) -> bool {
        if !self.events.is_empty() {
            return false;
        }
        match (cluster_time(&self.token), time) {
            (Some(at), Some(time)) => at >= time,
            _ => self.empty_replies >= 2,
        }
    }
}

impl Watch {
    /// A collection's stream ends when the collection does; a database's goes on.
    fn target(&self) -> Bson {
        match &self.collections[..] {
            [one] => one.as_str().into(),
            _ => 1.into(),
        }
    }

    fn pipeline(&self, token: Option<&Document>) -> Vec<Document> {
        let mut stage = Document::new();
        if let Some(full) = self.full_document.option() {
            stage.insert("fullDocument", full);
        }
        if let Some(before) = self.before.option() {
            stage.insert("fullDocumentBeforeChange", before);
        }
        if let Some(token) = token {
            // Goes on behind an invalidate too, as resumeAfter does not.
            stage.insert("startAfter", token);
        }
        let mut pipeline = vec![doc! {"$changeStream": stage}];
        if self.collections.len() > 1 {
            let names = &self.collections;
            // What concerns the whole database names no collection.
            pipeline.push(doc! {"$match": {"$or": [
                {"ns.coll": {"$in": names}},
                {"to.coll": {"$in": names}},
                {"ns.coll": {"$exists": false}},
            ]}});
        }
        pipeline
    }
}

/// The time in a resume token.
fn cluster_time(token: &Document) -> Option<Timestamp> {
    place_in_oplog(token.get_str("_data").ok()?).map(|(time, _)| time)
}

/// The time in the text of a resume token, and where the change is among those of that time. The
/// token is a key string: a timestamp (type 0x82), then numbers: the token's version, whether a
/// change or only its time is meant, and the change's number in its transaction.
pub(crate) fn place_in_oplog(data: &str) -> Option<(Timestamp, u64)> {
    let (digits, rest) = data.strip_prefix("82")?.split_at_checked(16)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    let time = Timestamp { time: (number >> 32) as u32, increment: number as u32 };
    let rest = without_version(rest);
    let rest = format!("{:0<16}", rest.get(..16).unwrap_or(rest));
    Some((time, u64::from_str_radix(&rest, 16).ok()?))
}

/// The token names a change, behind which others of the same time may come.
pub(crate) fn is_of_a_change(data: &str) -> bool {
    data.get(18..).is_some_and(|rest| without_version(rest).starts_with("2C0100"))
}

fn without_version(rest: &str) -> &str {
    rest.strip_prefix("2B").and_then(|rest| rest.get(2..)).unwrap_or(rest)
}

/// When the server made its reply.
pub(crate) fn operation_time(reply: &RawDocument) -> Option<Timestamp> {
    reply.get_timestamp("operationTime").ok()
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::custom(format!("a reply of the server is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_token_says_its_time_and_another_format_does_not() {
        let time = |data: &str| cluster_time(&doc! {"_data": data});
        let read = time("8265F0C0FF000000022B022C0100296E5A1004");
        assert_eq!(read, Some(Timestamp { time: 0x65F0_C0FF, increment: 2 }));
        assert_eq!(time("82"), None);
        assert_eq!(time("0165F0C0FF00000002"), None);
        assert_eq!(cluster_time(&doc! {}), None);
    }

    #[test]
    fn changes_of_one_transaction_have_one_time_and_an_order() {
        let place = |data: &str| place_in_oplog(data).expect("a token");
        let watermark = "8265F0C0FF000000022B0229296E04";
        let first = "8265F0C0FF000000022B022C0100296E5A1004";
        let second = "8265F0C0FF000000022B022C01002B046E5A1004";
        let places = [watermark, first, second].map(place);
        assert!(places.is_sorted() && places[0].1 < places[1].1 && places[1].1 < places[2].1);
        assert_eq!(places[0].0, places[2].0);
        assert!(!is_of_a_change(watermark) && is_of_a_change(first));
    }
}
