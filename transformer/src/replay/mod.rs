//! Records that the log still has, through today's parser again: dead letters, and what was kept.
//!
//! Everything here may be killed and begun anew: an event is stored under the id that its record
//! always had, so that what was done is found done.

mod difference;
mod letter;
mod letters;
mod marks;
mod place;
mod records;

use tahoe_schemas::rules::EventRules;
use tahoe_seams::{Conditions, LogError, SinkError};

pub use difference::{FieldCounts, leaves};
pub use letter::{Letter, Opened};
pub use letters::{LetterCounts, LetterFilter, LetterReplay, Letters, Visited};
pub use marks::Mark;
pub use records::{RecordReplay, ReplayCounts};

/// Events of one request, and all that is in flight.
const BATCH_BYTES: usize = 4 << 20;

/// Told after each batch: the counts so far, and the offsets that were looked at.
pub type Progress<'p, Counts> = dyn FnMut(&Counts, u64) + 'p;

/// How replayed records are normalised.
#[derive(Clone, Debug, Default)]
pub struct ReplaySettings {
    /// What normalisers are given; the time is the loop's.
    pub given: Conditions,
    /// What the operator's own files say of events.
    pub rules: EventRules,
}

/// Why a replay ended early. It may be begun again in every case.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It was asked to.
    #[error("stopped before the end: the same command goes on from there")]
    Stopped,
    /// What the log said.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the store said.
    #[error(transparent)]
    Sink(#[from] SinkError),
}
