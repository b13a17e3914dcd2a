//! Kept records through today's parser: into a namespace of their own, or in place.
//!
//! In place, the documents of a record are looked up by their ids, wherever they are. One that is
//! where it belongs is written over in its backing index; one that belongs elsewhere today, or
//! nowhere, is removed once what takes its place is durable. Killed in between, the next replay finds
//! both and removes the older. A record that today's parser rejects keeps the documents that it has.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::stop::Stop;
use tahoe_schemas::rules::{Allowed, Companies};
use tahoe_seams::{EventBatch, Log, LogError, Outcome, Sink};
use tokio::runtime::Handle;

use super::difference::FieldCounts;
use super::place::InPlace;
use super::{BATCH_BYTES, Progress, ReplayError, ReplaySettings};
use crate::delivery::{Written, write_until_durable};
use crate::intake::{Intake, Select, Taken};
use crate::rules::Renewal;

/// Records of one batch at most: their documents are looked up a thousand at a time.
const BATCH_RECORDS: usize = 5000;

/// Topic, partition, and the offsets that may be meant.
type Held = (String, u32, (u64, u64));

/// A replay of kept records.
pub struct RecordReplay<'a> {
    /// The log that keeps them.
    pub log: &'a dyn Log,
    /// Where their documents are.
    pub sink: Arc<dyn Sink>,
    /// How records are normalised.
    pub settings: &'a ReplaySettings,
    /// Only records that came as this dataset.
    pub dataset: String,
    /// Only those read at their source at or after this, milliseconds since the epoch.
    pub from_ms: i64,
    /// Only those read before this.
    pub to_ms: i64,
    /// The namespace that they go to; in place without one.
    pub into: Option<String>,
    /// Change nothing.
    pub dry_run: bool,
    /// Asked for between two batches.
    pub stop: &'a Stop,
    /// What the sink runs on.
    pub runtime: &'a Handle,
}

/// What came of a replay; in a dry run, what would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Records that were taken in.
    pub records: u64,
    /// Those of which rules leave everything out; in place, their documents are removed.
    pub left_out: u64,
    /// Those that today's parser or the store rejects, by code; their documents are as they were.
    pub rejected: BTreeMap<String, u64>,
    /// Documents that are as they should be.
    pub unchanged: u64,
    /// Documents that were written over.
    pub rewritten: u64,
    /// Documents that were not there, or in another data stream.
    pub created: u64,
    /// Documents that were removed.
    pub removed: u64,
    /// In which fields those that were written over differ.
    pub fields: BTreeMap<String, FieldCounts>,
}

impl ReplayCounts {
    pub(super) fn reject(&mut self, code: &str) {
        *self.rejected.entry(code.to_owned()).or_default() += 1;
    }
}

impl RecordReplay<'_> {
    /// How many offsets hold what is asked for, for showing progress.
    ///
    /// # Errors
    /// Those of the log.
    pub fn count(&self, topics: &[String]) -> Result<u64, LogError> {
        let ranges = self.ranges(topics)?;
        Ok(ranges.iter().map(|(.., (from, to))| to.saturating_sub(*from)).sum())
    }

    fn ranges(&self, topics: &[String]) -> Result<Vec<Held>, LogError> {
        let mut ranges = Vec::new();
        for topic in topics {
            for partition in 0..self.log.partitions(topic)? {
                let held = self.log.offsets(topic, partition, Some(self.from_ms))?;
                ranges.push((topic.clone(), partition, (held.start, held.end)));
            }
        }
        Ok(ranges)
    }

    /// Replays what these topics keep.
    ///
    /// # Errors
    /// [`ReplayError`]; what was done until then is found done by the next run.
    pub fn run(
        &self,
        topics: &[String],
        progress: &mut Progress<'_, ReplayCounts>,
    ) -> Result<ReplayCounts, ReplayError> {
        let mut rules = self.settings.rules.clone();
        if self.into.is_some() {
            rules.companies = Arc::new(Companies::default());
            rules.allowed = Arc::new(Allowed::default());
        }
        let mut intake = Intake::new(self.settings.given.clone(), &rules, Renewal::default());
        let (dataset, namespace) = (Some(self.dataset.clone()), self.into.clone());
        intake.select = Select { ordinal: None, dataset, namespace };
        let (mut counts, mut looked_at) = (ReplayCounts::default(), 0);
        for (topic, partition, (mut next, end)) in self.ranges(topics)? {
            while next < end {
                let from = next;
                next = self.fill(&mut intake, &topic, partition, (from, end))?;
                looked_at += next - from;
                self.settle(&mut intake, &mut counts)?;
                progress(&counts, looked_at);
                if self.stop.is_asked() {
                    return Err(ReplayError::Stopped);
                }
            }
        }
        Ok(counts)
    }

    /// Takes records in until a batch is full; gives the offset to go on from.
    fn fill(
        &self,
        intake: &mut Intake,
        topic: &str,
        partition: u32,
        (from, to): (u64, u64),
    ) -> Result<u64, LogError> {
        intake.given.ingested_ms = now_ms();
        let (mut next, mut newer) = (to, None);
        self.log.scan(topic, partition, from, to, &mut |found| {
            if (self.from_ms..self.to_ms).contains(&found.timestamp_ms)
                && let Err(text) = intake.take(&found)
            {
                newer = Some(text);
                return ControlFlow::Break(());
            }
            let full = intake.events.bytes() >= BATCH_BYTES
                || intake.taken.len() >= BATCH_RECORDS
                || self.stop.is_asked();
            if full {
                next = found.offset + 1;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        newer.map_or(Ok(next), |text| Err(LogError::Stop(text, None)))
    }

    fn settle(&self, intake: &mut Intake, counts: &mut ReplayCounts) -> Result<(), ReplayError> {
        // What rows are now depends on the order of all their changes, which a replay has not.
        drop(intake.events.take_row_changes());
        let events = intake.events.take();
        let taken = std::mem::take(&mut intake.taken);
        intake.take_reached();
        counts.records += taken.len() as u64;
        counts.left_out += taken.iter().filter(|taken| taken.left_out.is_some()).count() as u64;
        for rejection in taken.iter().filter_map(|taken| taken.rejection.as_ref()) {
            counts.reject(rejection.code);
        }
        if self.into.is_some() {
            return self.runtime.block_on(self.store(&events, &taken, counts));
        }
        let (sink, stop, dry_run) = (self.sink.as_ref(), self.stop, self.dry_run);
        let place = InPlace { sink, stop, dry_run };
        self.runtime.block_on(place.settle(&events, &taken, counts))
    }

    /// Into a namespace of their own, where nothing is but what an earlier replay has stored.
    async fn store(
        &self,
        events: &EventBatch,
        taken: &[Taken],
        counts: &mut ReplayCounts,
    ) -> Result<(), ReplayError> {
        if self.dry_run {
            let there = self.sink.find(events).await?;
            let unchanged = there.iter().filter(|there| **there).count() as u64;
            counts.unchanged += unchanged;
            counts.created += there.len() as u64 - unchanged;
            return Ok(());
        }
        let written =
            write_until_durable(self.sink.as_ref(), events, Written::AnyTime, self.stop).await;
        let mut rejected = vec![None; taken.len()];
        for (event, outcome) in events.events.iter().zip(written.ok_or(ReplayError::Stopped)?) {
            match outcome {
                Outcome::Stored => counts.created += 1,
                Outcome::AlreadyThere | Outcome::Busy => counts.unchanged += 1,
                Outcome::Rejected(why) => rejected[event.record as usize] = Some(why.code),
            }
        }
        rejected.into_iter().flatten().for_each(|code| counts.reject(code));
        Ok(())
    }
}
