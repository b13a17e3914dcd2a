//! A batch on its way: delivered first, then the letters of what is rejected of it, then settled. A
//! batch that is dropped is given up: what still works on it ends, before the loop that starts again
//! reads the same records.

use bytes::Bytes;
use tahoe_seams::{EventMeta, Outcome, Rejection};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::dead_letter::{Appending, Letters, Rejected};
use crate::intake::{Reach, Taken};
use crate::verdict::Verdict;

/// The outcomes of a batch's events, and the records whose rows are rejected.
pub(crate) type Delivered = (Vec<Outcome>, Vec<(u32, Rejection)>);

/// What became of a delivery, and its memory. None of the first when it was abandoned.
pub(crate) type Landed = (Option<Delivered>, Bytes);

/// How far it is.
pub(crate) enum Way {
    /// The sink has it.
    Delivering { outcomes: oneshot::Receiver<Landed>, delivery: JoinHandle<()> },
    /// What the sink said is known, and letters are being written.
    Settling { verdicts: Vec<Verdict>, letters: Option<Appending> },
}

/// A batch that was sent.
pub(crate) struct Flight {
    pub way: Way,
    pub events: Vec<EventMeta>,
    pub taken: Vec<Taken>,
    pub reached: Vec<Reach>,
    /// Partitions of it that another member of the group has now.
    pub lost: Vec<u32>,
}

impl Flight {
    pub fn holds(&self, partition: u32) -> bool {
        self.reached.iter().any(|reach| reach.partition == partition)
    }

    /// Nothing in it is ours any more.
    pub fn is_lost(&self) -> bool {
        self.reached.iter().all(|reach| self.lost.contains(&reach.partition))
    }

    /// Another member has this partition now, if anything is of it: no letters, and no commit.
    pub fn lose(&mut self, partition: u32) {
        if !self.holds(partition) {
            return;
        }
        self.lost.push(partition);
        if let Way::Settling { letters: Some(letters), .. } = &self.way {
            letters.lose(partition);
        }
    }

    /// The sink has said what became of its events: the letters of what it rejected go out.
    pub fn begin_to_settle(
        &mut self,
        (outcomes, rows_rejected): Delivered,
        partitions: &[(String, u32)],
        letters: &Letters,
    ) {
        let mut verdicts: Vec<_> = self.taken.iter().map(Verdict::begin).collect();
        for (event, outcome) in self.events.iter().zip(outcomes) {
            verdicts[event.record as usize].add(outcome);
        }
        for (record, rejection) in rows_rejected {
            verdicts[record as usize].add(Outcome::Rejected(rejection));
        }
        let ours = |taken: &Taken| !self.lost.contains(&taken.place.partition);
        let rejected: Vec<Rejected> = self
            .taken
            .iter()
            .zip(&verdicts)
            .filter(|(taken, _)| ours(taken))
            .filter_map(|(taken, verdict)| {
                let (topic, partition) = &partitions[taken.place.partition as usize];
                let rejection = verdict.rejection.clone()?;
                let (topic, partition) = (topic.clone(), *partition);
                Some(Rejected { topic, partition, place: taken.place, rejection })
            })
            .collect();
        let letters = (!rejected.is_empty()).then(|| letters.append(rejected));
        self.way = Way::Settling { verdicts, letters };
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Way::Delivering { delivery, .. } = &self.way {
            delivery.abort();
        }
    }
}
