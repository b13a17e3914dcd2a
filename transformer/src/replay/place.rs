//! Documents in place: what is there under a record's ids becomes what today's parser makes of it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tahoe_pipeline::retry::Backoff;
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{EventBatch, Outcome, Present, RecordId, Rewrite, Sink, SinkError};

use super::ReplayError;
use super::difference::count_differences;
use super::records::ReplayCounts;
use crate::delivery::{Written, pause, write_until_durable};
use crate::intake::Taken;

/// A document that somebody else changes each time that it is looked at is given up after so many
/// looks.
const LOOKS_MAX: u32 = 20;

/// Further events that a record may have had, looked for at a time.
const FURTHER: u32 = 16;

/// More events than any record of a MiB has.
const NUMBERS_MAX: u32 = 1 << 20;

/// The store, and how it may be changed.
pub struct InPlace<'a> {
    pub sink: &'a dyn Sink,
    pub stop: &'a Stop,
    pub dry_run: bool,
}

/// A record whose documents are not yet known to be right.
#[derive(Clone, Copy)]
struct Open {
    record: u32,
    id: RecordId,
    /// Its events in the batch.
    first: usize,
    events: usize,
    /// Numbers that its events may have: those that rules leave out have some too.
    numbers: u32,
}

/// What is to be done about the documents of one record.
#[derive(Debug, Default)]
struct Plan {
    /// Events that are nowhere, or not where they belong, by index.
    create: Vec<usize>,
    /// Documents that are written over.
    rewrite: Vec<Rewrite>,
    /// Documents that go once those are durable.
    remove: Vec<Rewrite>,
    unchanged: u64,
}

type ById = HashMap<RecordId, Vec<Present>>;

impl InPlace<'_> {
    /// Makes the store hold exactly these documents of these records.
    pub async fn settle(
        &self,
        events: &EventBatch,
        taken: &[Taken],
        counts: &mut ReplayCounts,
    ) -> Result<(), ReplayError> {
        let mut open = open_records(events, taken);
        let mut backoff = Backoff::usual();
        for look in 0..LOOKS_MAX {
            if open.is_empty() {
                return Ok(());
            }
            if look > 0 && self.stop_within(backoff.pause()).await {
                return Err(ReplayError::Stopped);
            }
            let present = self.look_up(&open).await?;
            let plans: Vec<_> =
                open.iter().map(|one| (*one, plan(one, events, &present, counts))).collect();
            open = match self.dry_run {
                true => Vec::new(),
                false => self.apply(events, &plans, counts).await?,
            };
            for (_, plan) in
                plans.iter().filter(|(one, _)| !open.iter().any(|still| still.record == one.record))
            {
                counts.unchanged += plan.unchanged;
                if self.dry_run {
                    counts.created += plan.create.len() as u64;
                    counts.rewritten += plan.rewrite.len() as u64;
                    counts.removed += plan.remove.len() as u64;
                }
            }
        }
        match open.len() {
            0 => Ok(()),
            records => Err(ReplayError::Sink(SinkError::Unavailable(
                format!(
                    "the documents of {records} records are changed by somebody else, or their \
                     backing indices take no writes: stop the other, or lift the block"
                ),
                None,
            ))),
        }
    }

    /// The documents of the records' ids; also of events that a record has no more today.
    async fn look_up(&self, open: &[Open]) -> Result<ById, ReplayError> {
        let mut present = ById::new();
        let mut ids: Vec<RecordId> = Vec::new();
        let mut last: Vec<(RecordId, u32)> = Vec::new();
        for one in open {
            ids.extend((0..=one.numbers).map(|ordinal| one.id.event(ordinal)));
            last.push((one.id, one.numbers));
        }
        let mut window = 1;
        while !ids.is_empty() {
            for found in self.patiently(|| self.sink.present(&ids)).await? {
                present.entry(found.id).or_default().push(found);
            }
            // Where one of the last numbers is there, more may be.
            let is_there = |id: &RecordId, ordinal| present.contains_key(&id.event(ordinal));
            last.retain(|(id, end)| (0..window).any(|back| is_there(id, end - back)));
            window = FURTHER;
            ids.clear();
            for (id, ordinal) in &mut last {
                ids.extend((1..=FURTHER).map(|more| id.event(*ordinal + more)));
                *ordinal += FURTHER;
            }
        }
        Ok(present)
    }

    /// Carries plans out; gives the records that have to be looked at again.
    async fn apply(
        &self,
        events: &EventBatch,
        plans: &[(Open, Plan)],
        counts: &mut ReplayCounts,
    ) -> Result<Vec<Open>, ReplayError> {
        let mut fates: Vec<Fate> = plans.iter().map(|_| Fate::Done).collect();
        let create: Vec<(usize, usize)> = numbered(plans, |plan| plan.create.clone());
        if !create.is_empty() {
            let wanted: std::collections::HashSet<_> = create.iter().map(|(_, at)| *at).collect();
            let batch = events.subset(|at| wanted.contains(&at));
            let written = write_until_durable(self.sink, &batch, Written::Never, self.stop).await;
            let outcomes = written.ok_or(ReplayError::Stopped)?;
            for ((of, _), outcome) in create.iter().zip(outcomes) {
                // Somebody has created it since it was looked for: is it the same?
                counts.created += u64::from(outcome == Outcome::Stored);
                fates[*of].add(outcome);
            }
        }
        let rewrite = numbered(plans, |plan| plan.rewrite.clone());
        for (of, outcome) in self.rewrite(&rewrite).await? {
            counts.rewritten += u64::from(outcome == Outcome::Stored);
            fates[of].add(outcome);
        }
        let durable = |of: &usize| fates[*of] == Fate::Done;
        let mut remove = numbered(plans, |plan| plan.remove.clone());
        remove.retain(|(of, _)| durable(of));
        for (of, outcome) in self.rewrite(&remove).await? {
            counts.removed += u64::from(outcome == Outcome::Stored);
            fates[of].add(outcome);
        }
        let mut open = Vec::new();
        for ((one, _), fate) in plans.iter().zip(fates) {
            match fate {
                Fate::Done => {}
                Fate::Again => open.push(*one),
                Fate::Rejected(code) => counts.reject(code),
            }
        }
        Ok(open)
    }

    async fn rewrite(
        &self,
        changes: &[(usize, Rewrite)],
    ) -> Result<Vec<(usize, Outcome)>, ReplayError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let bare: Vec<Rewrite> = changes.iter().map(|(_, change)| change.clone()).collect();
        // A request of unknown fate is answered by the next look: what it wrote is not as it was.
        match self.sink.rewrite(&bare).await {
            Ok(outcomes) => Ok(changes.iter().map(|(of, _)| *of).zip(outcomes).collect()),
            Err(SinkError::Unavailable(text, _)) => {
                tracing::warn!(text, "sink unavailable");
                Ok(changes.iter().map(|(of, _)| (*of, Outcome::Busy)).collect())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks again for as long as the store is away.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ReplayError>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        let mut backoff = Backoff::usual();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(SinkError::Unavailable(text, _)) => tracing::warn!(text, "sink unavailable"),
                Err(error) => return Err(error.into()),
            }
            if self.stop_within(backoff.pause()).await {
                return Err(ReplayError::Stopped);
            }
        }
    }

    async fn stop_within(&self, wait: Duration) -> bool {
        pause(wait, || self.stop.is_asked()).await
    }
}

/// What became of a record's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Again,
    Rejected(&'static str),
}

impl Fate {
    fn add(&mut self, outcome: Outcome) {
        *self = match (*self, outcome) {
            (rejected @ Self::Rejected(_), _) => rejected,
            (_, Outcome::Rejected(why)) => Self::Rejected(why.code),
            (_, Outcome::AlreadyThere | Outcome::Busy) => Self::Again,
            (fate, Outcome::Stored) => fate,
        };
    }
}

fn open_records(events: &EventBatch, taken: &[Taken]) -> Vec<Open> {
    let mut next = 0;
    let mut open = Vec::new();
    for (record, taken) in (0..).zip(taken) {
        let first = next;
        next += events.events[first..].iter().take_while(|event| event.record == record).count();
        if taken.rejection.is_none() {
            let (id, own) = (taken.id, &events.events[first..next]);
            let mut numbers = 0;
            for event in own {
                // The ids of a record's events follow from its own, in their order.
                while id.event(numbers) != event.id && numbers < NUMBERS_MAX {
                    numbers += 1;
                }
                numbers += 1;
            }
            open.push(Open { record, id, first, events: own.len(), numbers });
        }
    }
    open
}

/// What each plan has of something, with the number of the plan.
fn numbered<T>(plans: &[(Open, Plan)], of: impl Fn(&Plan) -> Vec<T>) -> Vec<(usize, T)> {
    let all = plans.iter().enumerate();
    all.flat_map(|(number, (_, plan))| of(plan).into_iter().map(move |one| (number, one))).collect()
}

/// What has to be done so that the store holds a record's events, each once, and nothing else of it.
fn plan(open: &Open, events: &EventBatch, present: &ById, counts: &mut ReplayCounts) -> Plan {
    let mut plan = Plan::default();
    let none = Vec::new();
    for at in open.first..open.first + open.events {
        let event = &events.events[at];
        let (data_stream, document) = (events.data_stream(event), events.document(event));
        let mut copies: Vec<_> = present.get(&event.id).unwrap_or(&none).iter().collect();
        // The oldest backing index keeps it.
        copies.sort_by(|one, other| one.version.index.cmp(&other.version.index));
        let mut here = false;
        for copy in copies {
            if here || copy.data_stream != data_stream {
                plan.remove.push(change(copy, None));
            } else if count_differences(&copy.document, document, &mut counts.fields) {
                let document = Bytes::copy_from_slice(document);
                plan.rewrite.push(change(copy, Some(document)));
                here = true;
            } else {
                plan.unchanged += 1;
                here = true;
            }
        }
        if !here {
            plan.create.push(at);
        }
    }
    // A gap is an event that was left out once; further than that nothing was looked up.
    let own = &events.events[open.first..open.first + open.events];
    let (mut ordinal, mut gap) = (0, 0);
    while ordinal < open.numbers || gap <= FURTHER {
        let id = open.id.event(ordinal);
        let copies = present.get(&id).filter(|_| !own.iter().any(|event| event.id == id));
        gap = if present.contains_key(&id) { 0 } else { gap + 1 };
        plan.remove.extend(copies.into_iter().flatten().map(|copy| change(copy, None)));
        ordinal += 1;
    }
    plan
}

fn change(copy: &Present, document: Option<Bytes>) -> Rewrite {
    Rewrite { id: copy.id, version: copy.version.clone(), document }
}

#[cfg(test)]
mod tests {
    use tahoe_seams::{Events, Version};

    use super::*;

    const ID: RecordId = RecordId([7; 16]);

    fn batch(documents: &[&str]) -> EventBatch {
        let mut events = Events::default();
        events.begin_record(0);
        for document in documents {
            events.push("a.b", "x", ID, |out| out.extend_from_slice(document.as_bytes()));
        }
        events.take()
    }

    fn there(ordinal: u32, data_stream: &str, index: &str, document: &str) -> (RecordId, Present) {
        let id = ID.event(ordinal);
        let version = Version { index: index.to_owned(), seq_no: 1, primary_term: 1 };
        let (data_stream, document) = (data_stream.to_owned(), document.to_owned().into());
        (id, Present { id, data_stream, version, document })
    }

    fn planned(documents: &[&str], present: Vec<(RecordId, Present)>) -> [usize; 4] {
        let mut by_id = ById::new();
        for (id, one) in present {
            by_id.entry(id).or_default().push(one);
        }
        let numbers = documents.len() as u32;
        let open = Open { record: 0, id: ID, first: 0, events: documents.len(), numbers };
        let plan = plan(&open, &batch(documents), &by_id, &mut ReplayCounts::default());
        let unchanged = usize::try_from(plan.unchanged).expect("few");
        [unchanged, plan.create.len(), plan.rewrite.len(), plan.remove.len()]
    }

    #[test]
    fn a_document_is_left_written_over_or_created_where_it_belongs() {
        let here = |document| vec![there(0, "logs-a.b-x", "i1", document)];
        assert_eq!(planned(&["{\"n\":1}"], here("{\"n\":1}")), [1, 0, 0, 0]);
        assert_eq!(planned(&["{\"n\":1}"], here("{\"n\":2}")), [0, 0, 1, 0]);
        assert_eq!(planned(&["{\"n\":1}"], Vec::new()), [0, 1, 0, 0]);
    }

    #[test]
    fn what_belongs_elsewhere_or_nowhere_today_is_removed() {
        let moved = vec![there(0, "logs-a.c-x", "i1", "{}")];
        assert_eq!(planned(&["{}"], moved), [0, 1, 0, 1]);
        let copies = vec![
            there(0, "logs-a.b-x", "i2", "{\"n\":1}"),
            there(0, "logs-a.b-x", "i1", "{\"n\":1}"),
        ];
        assert_eq!(planned(&["{\"n\":1}"], copies), [1, 0, 0, 1]);
        let more = (0..3).map(|n| there(n, "logs-a.b-x", "i1", "{}")).collect();
        assert_eq!(planned(&["{}"], more), [1, 0, 0, 2]);
        let all = (0..2).map(|n| there(n, "logs-a.b-x", "i1", "{}")).collect();
        assert_eq!(planned(&[], all), [0, 0, 0, 2]);
    }
}
