//! What a store holds under an id, and what may be written over it.
//!
//! A replay changes documents that are there. It says which state of one it has seen, so that what
//! another writer made of it meanwhile is never overwritten.

use bytes::Bytes;

use crate::RecordId;

/// A document as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its `_id`.
    pub id: RecordId,
    /// The data stream that it is in.
    pub data_stream: String,
    /// Which copy of it was seen, and in what state.
    pub version: Version,
    /// Itself, as JSON.
    pub document: Bytes,
}

/// One copy of a document in one state; what it means is the store's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The backing index, or the data stream where there is none behind it.
    pub index: String,
    /// Its sequence number, if the store has them.
    pub seq_no: u64,
    /// The primary term that goes with it.
    pub primary_term: u64,
}

/// What becomes of a document that was [`Present`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Its `_id`.
    pub id: RecordId,
    /// As it was seen.
    pub version: Version,
    /// What takes its place; nothing removes it.
    pub document: Option<Bytes>,
}
