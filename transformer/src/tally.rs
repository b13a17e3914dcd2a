//! The counting of what became of records.

use std::sync::Arc;

use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::telemetry::SourceName;

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
                _ if taken.left_out.is_some() => Fate::Dropped,
                Verdict { new: true, .. } => Fate::Stored,
                Verdict { new: false, .. } => Fate::AlreadyThere,
            },
            read_at_ms: taken.read_at_ms,
            event_ms: taken.event_ms,
        });
        let (tallies, now_ms) = (tallies.collect::<Vec<_>>(), now_ms());
        let left_out = records.iter().zip(&tallies).filter_map(|(taken, tally)| {
            let rule = taken.left_out.as_ref().filter(|_| tally.fate == Fate::Dropped)?;
            Some((&known[taken.source as usize].dataset, rule))
        });
        left_out.for_each(|(dataset, rule)| self.counts.add_dropped(dataset, rule));
        // Neighbours have mostly been read in the same millisecond.
        for alike in tallies.chunk_by(PartialEq::eq) {
            self.count_alike(alike[0], alike.len() as u64, now_ms);
        }
    }

    fn count_alike(&self, tally: Tally, records: u64, now_ms: i64) {
        let all = self.counts;
        match tally.fate {
            Fate::Abandoned => return all.abandoned.add(records),
            Fate::DeadLettered => all.dead_lettered.add(records),
            Fate::Dropped => all.dropped.add(records),
            Fate::Stored => all.stored.add(records),
            Fate::AlreadyThere => all.already_there.add(records),
        }
        for counts in &self.sources[tally.source as usize] {
            match tally.fate {
                Fate::Abandoned | Fate::Dropped => continue,
                Fate::DeadLettered => {
                    counts.dead_lettered.add(records);
                    continue;
                }
                Fate::Stored => counts.stored.add(records),
                Fate::AlreadyThere => counts.already_there.add(records),
            }
            counts.latency.add(now_ms - tally.read_at_ms, records);
            if let Some(event_ms) = tally.event_ms {
                counts.age.add(tally.read_at_ms - event_ms, records);
            }
        }
    }
}
