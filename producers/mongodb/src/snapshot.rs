//! A collection's documents in chunks by `_id`, so that reading can go on in the middle.
//!
//! Comparisons in MongoDB see only ids of one kind (a number is neither less nor greater than a
//! text), so a collection is read kind by kind. The upper end of a chunk is looked up before it is
//! read. A document whose id is `NaN` or a symbol is left out; its changes come.

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use mongodb::error::Error;
use mongodb::raw_batch_cursor::RawBatchCursor;
use xxhash_rust::xxh3::xxh3_128;

use crate::point::Chunk;
use crate::stream::operation_time;

/// What an `_id` can be; ids of different kinds are not compared with each other.
pub(crate) const KINDS: [&[&str]; 11] = [
    &["objectId"],
    &["number"],
    &["string"],
    &["binData"],
    &["object"],
    &["date"],
    &["bool"],
    &["timestamp"],
    &["null"],
    &["minKey"],
    &["maxKey"],
];

/// A reading of collections that goes on.
pub(crate) struct Snapshot {
    /// Those that follow the chunk's.
    collections: VecDeque<String>,
    chunk_documents: u32,
    /// What is read now.
    pub chunk: Chunk,
    cursor: Option<RawBatchCursor>,
    /// Documents that were read and not given yet.
    pub rows: VecDeque<RawDocumentBuf>,
    /// They may be given when the stream has passed this.
    pub read_at: Option<Timestamp>,
    /// Kafka keys of documents of which a change since the chunk began says all, by their hashes.
    changed: HashSet<u128>,
}

impl Snapshot {
    /// Begins with the first of the collections that has documents; `None` if none has.
    ///
    /// # Errors
    /// The server's.
    pub async fn begin(
        db: &Database,
        collections: Vec<String>,
        chunk_documents: u32,
    ) -> Result<Option<Self>, Error> {
        let mut collections = VecDeque::from(collections);
        let chunk = next_chunk(db, None, &mut collections, chunk_documents).await?;
        Ok(chunk.map(|chunk| Self::at(chunk, collections, chunk_documents)))
    }

    /// Goes on with a chunk; of the collections, those that follow its own are left to read.
    pub fn resume(chunk: Chunk, mut collections: Vec<String>, chunk_documents: u32) -> Self {
        collections.retain(|name| *name > chunk.collection);
        Self::at(chunk, collections.into(), chunk_documents)
    }

    fn at(chunk: Chunk, collections: VecDeque<String>, chunk_documents: u32) -> Self {
        Self {
            collections,
            chunk_documents,
            chunk,
            cursor: None,
            rows: VecDeque::new(),
            read_at: None,
            changed: HashSet::new(),
        }
    }

    /// Reads further documents of the chunk; false if there are none.
    ///
    /// # Errors
    /// The server's.
    pub async fn read(&mut self, db: &Database) -> Result<bool, Error> {
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            None => self.cursor.insert(find(db, &self.chunk, self.chunk_documents).await?),
        };
        let Some(batch) = cursor.next().await else { return Ok(false) };
        let batch = batch?;
        self.read_at = operation_time(batch.as_raw_document());
        for document in batch.doc_slices()?.into_iter().flatten() {
            self.rows.extend(document.as_document().map(ToOwned::to_owned));
        }
        Ok(true)
    }

    /// Goes to the next chunk; false if there is none.
    ///
    /// # Errors
    /// The server's.
    pub async fn advance(&mut self, db: &Database) -> Result<bool, Error> {
        let size = self.chunk_documents;
        let next = next_chunk(db, Some(&self.chunk), &mut self.collections, size).await?;
        let Some(next) = next else { return Ok(false) };
        let collections = std::mem::take(&mut self.collections);
        *self = Self::at(next, collections, size);
        Ok(true)
    }

    /// A change of the document with this Kafka key says all that its row would.
    pub fn note_change(&mut self, key: &[u8]) {
        self.changed.insert(xxh3_128(key));
    }

    /// The document with this Kafka key need not be given.
    pub fn has_changed(&self, key: &[u8]) -> bool {
        self.changed.contains(&xxh3_128(key))
    }
}

/// Names of the database's collections, sorted: no views, no time series, nothing of the system's.
///
/// # Errors
/// The server's.
pub(crate) async fn collections(db: &Database) -> Result<Vec<String>, Error> {
    let mut listed = db.list_collections().batch_size(1000).await?;
    let mut names = Vec::new();
    while let Some(collection) = listed.next().await {
        let collection = collection?;
        let is_plain = collection.collection_type == mongodb::results::CollectionType::Collection;
        if is_plain && !collection.name.starts_with("system.") {
            names.push(collection.name);
        }
    }
    names.sort();
    Ok(names)
}

async fn next_chunk(
    db: &Database,
    done: Option<&Chunk>,
    collections: &mut VecDeque<String>,
    documents: u32,
) -> Result<Option<Chunk>, Error> {
    let mut from = done.map(|chunk| (chunk.collection.clone(), chunk.kind));
    let mut after = done.map(|chunk| chunk.through.clone());
    loop {
        let (collection, first) = match from.take() {
            Some(from) => from,
            None => match collections.pop_front() {
                Some(collection) => (collection, 0),
                None => return Ok(None),
            },
        };
        for kind in first..KINDS.len() {
            let after = after.take();
            if let Some(through) =
                upper_end(db, &collection, kind, after.as_ref(), documents).await?
            {
                return Ok(Some(Chunk { collection, kind, after, through }));
            }
        }
    }
}

/// Ids of that kind, behind one.
pub(crate) fn filter(kind: usize, after: Option<&Bson>) -> Document {
    let mut id = doc! {"$type": KINDS[kind].to_vec()};
    if let Some(after) = after {
        id.insert("$gt", after);
    }
    id
}

/// The id of the last document of the next chunk.
async fn upper_end(
    db: &Database,
    collection: &str,
    kind: usize,
    after: Option<&Bson>,
    documents: u32,
) -> Result<Option<Bson>, Error> {
    let collection = db.collection::<Document>(collection);
    let look = |order: i32, skip: u64| {
        let found = collection.find_one(doc! {"_id": filter(kind, after)});
        found.sort(doc! {"_id": order}).skip(skip).projection(doc! {"_id": 1})
    };
    let found = match look(1, u64::from(documents) - 1).await? {
        Some(found) => Some(found),
        None => look(-1, 0).await?,
    };
    Ok(found.and_then(|found| found.get("_id").cloned()))
}

async fn find(db: &Database, chunk: &Chunk, documents: u32) -> Result<RawBatchCursor, Error> {
    let mut id = filter(chunk.kind, chunk.after.as_ref());
    id.insert("$lte", &chunk.through);
    let command = doc! {
        "find": &chunk.collection,
        "filter": {"_id": id},
        "sort": {"_id": 1},
        "batchSize": documents,
        "readConcern": {"level": "majority"},
    };
    db.run_cursor_command(command).batch_size(documents).batch().await
}
