//! What is remembered of the records of a batch, and how far it reaches.

use std::sync::Arc;

use tahoe_seams::{RecordId, Rejection};

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of its topic and partition in [`crate::intake::Intake::partitions`].
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Number in its pack.
    pub ordinal: u32,
}

/// A record that was taken in.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Where it stands.
    pub place: Place,
    /// Its identity; of no use to one that is rejected.
    pub id: RecordId,
    /// What it was read from, by index into [`crate::intake::Intake::sources`].
    pub source: u32,
    /// When it was sent to the log: as soon as it was read, or loaded.
    pub read_at_ms: i64,
    /// The time of its first event; none of a rejected record.
    pub event_ms: Option<i64>,
    /// Why it can never be stored, if that is known already.
    pub rejection: Option<Rejection>,
    /// The rule by which it is not stored.
    pub left_out: Option<Arc<str>>,
}

/// What a batch holds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Index into [`crate::intake::Intake::partitions`].
    pub partition: u32,
    /// Offset of its first record, fences included.
    pub first: u64,
    /// The offset after its last one.
    pub next: u64,
    /// Bytes of its events.
    pub bytes: usize,
}
