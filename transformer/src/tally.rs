//! The counting of what became of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::telemetry::{Count, SourceName};

use crate::counts::{RecordCounts, TransformerCounts};
use crate::intake::Taken;
use crate::verdict::Verdict;

/// What is counted of a record.
#[derive(Clone, Copy, PartialEq)]
struct Tally {
    /// By index into [`crate::intake::Intake::sources`].
    source: u32,
    fate: Fate,
    read_at_ms: i64,
    event_ms: Option<i64>,
}

/// The end of a record's way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Stored,
    AlreadyThere,
    DeadLettered,
    /// By a rule.
    Dropped,
    Abandoned,
}

/// The counters, and those of each source.
pub(crate) struct Tallies<'c> {
    counts: &'c TransformerCounts,
    /// Of [`crate::intake::Intake::sources`]: those of the dataset, and of the source.
    sources: Vec<[Arc<RecordCounts>; 2]>,
}

impl<'c> Tallies<'c> {
    /// Into these counters.
    pub fn new(counts: &'c TransformerCounts) -> Self {
        Self { counts, sources: Vec::new() }
    }

    /// Counts records of the sources that are known; `is_lost` says which of them another member of
    /// the group reads again.
    pub fn count(
        &mut self,
        known: &[SourceName],
        records: &[Taken],
        verdicts: &[Verdict],
        is_lost: impl Fn(&Taken) -> bool,
    ) {
        for name in &known[self.sources.len()..] {
            self.sources.push([self.counts.dataset(&name.dataset), self.counts.source(name)]);
        }
        let tallies = records.iter().zip(verdicts).map(|(taken, verdict)| Tally {
            source: taken.source,
            fate: match verdict {
                _ if is_lost(taken) => Fate::Abandoned,
                Verdict { rejection: Some(_), .. } => Fate::DeadLettered,
                Verdict { left_out: true, .. } => Fate::Dropped,
                Verdict { new: true, .. } => Fate::Stored,
                Verdict { new: false, .. } => Fate::AlreadyThere,
            },
            read_at_ms: taken.read_at_ms,
            event_ms: taken.event_ms,
        });
        let (tallies, now_ms) = (tallies.collect::<Vec<_>>(), now_ms());
        if let Some(oldest) = tallies.iter().map(|tally| tally.read_at_ms).min() {
            self.counts.lag.add(now_ms - oldest);
        }
        let mut dropped: BTreeMap<_, u64> = BTreeMap::new();
        for (taken, tally) in records.iter().zip(&tallies) {
            if let Some(rule) = taken.left_out.as_ref().filter(|_| tally.fate == Fate::Dropped) {
                *dropped.entry((taken.source, rule)).or_default() += 1;
            }
        }
        for ((source, rule), records) in dropped {
            self.counts.add_dropped(&known[source as usize].dataset, rule, records);
        }
        // Neighbours have mostly been read in the same millisecond.
        for alike in tallies.chunk_by(PartialEq::eq) {
            self.count_alike(alike[0], alike.len() as u64, now_ms);
        }
    }

    fn count_alike(&self, tally: Tally, records: u64, now_ms: i64) {
        let all = self.counts;
        let (total, own): (_, fn(&RecordCounts) -> &Count) = match tally.fate {
            Fate::Abandoned => return all.abandoned.add(records),
            // By its rule already.
            Fate::Dropped => return,
            Fate::DeadLettered => (&all.dead_lettered, |counts| &counts.dead_lettered),
            Fate::Stored => (&all.stored, |counts| &counts.stored),
            Fate::AlreadyThere => (&all.already_there, |counts| &counts.already_there),
        };
        total.add(records);
        for counts in &self.sources[tally.source as usize] {
            own(counts).add(records);
            if tally.fate == Fate::DeadLettered {
                continue;
            }
            counts.latency.add(now_ms - tally.read_at_ms, records);
            if let Some(event_ms) = tally.event_ms {
                counts.age.add(tally.read_at_ms - event_ms, records);
            }
        }
    }
}
