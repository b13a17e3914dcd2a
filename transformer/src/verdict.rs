//! What became of a record: stored when all its events are, and never again if one cannot be.

use tahoe_seams::{Outcome, Rejection};

use crate::intake::Taken;

/// What became of a record, from what became of its events.
pub(crate) struct Verdict {
    pub rejection: Option<Rejection>,
    /// A rule keeps it from being stored.
    pub left_out: bool,
    /// One of its events was not there before.
    pub new: bool,
}

impl Verdict {
    /// Before its events are looked at.
    pub fn begin(taken: &Taken) -> Self {
        let (rejection, left_out) = (taken.rejection.clone(), taken.left_out.is_some());
        Self { rejection, left_out, new: false }
    }

    /// What became of one of them, or of its row.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored => self.new = true,
            Outcome::AlreadyThere | Outcome::Busy => {}
            Outcome::Rejected(rejection) => self.rejection = Some(rejection),
        }
    }
}
