//! Rejected records go to `<topic>.dlq` with why, where they stood and their bytes as they were.
//!
//! They are written by a thread of their own: the loop goes on asking its group meanwhile, which
//! would else take its partitions away, however many records of a batch are rejected. What is
//! durable of a batch's letters is remembered when the rest has to be tried again.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tahoe_pipeline::partition;
use tahoe_pipeline::retry::{Backoff, EndedEarly};
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{Log, LogError, LogRecord, Outgoing, Pending, Rejection};
use tokio::sync::oneshot;

use crate::intake::Place;

/// Letters whose acknowledgement is waited for together: enough to fill the log's own batches, and
/// little beside a batch of events.
const UNACKNOWLEDGED_BYTES: usize = 1 << 20;

/// Batches whose letters wait behind those that were given up.
const JOBS_MAX: usize = 4;

/// How often it is looked whether letters are still wanted, while the log does not answer.
const LOOK: Duration = Duration::from_millis(200);

/// Name of a topic's dead letters.
pub fn topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// A record that is rejected.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    pub topic: String,
    pub place: Place,
    /// The number of its partition in the log; that in `place` is the intake's.
    pub partition: u32,
    pub rejection: Rejection,
}

/// Whether anybody still wants a batch's letters.
#[derive(Debug, Default)]
struct Wanted {
    none: Stop,
    /// Partitions of which none are: another member of the group reads their records again.
    not_of: Mutex<Vec<u32>>,
}

impl Wanted {
    fn is_over(&self) -> bool {
        self.none.is_asked()
    }

    fn of(&self, partition: u32) -> bool {
        !self.not_of.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition)
    }
}

/// The letters of a batch, on their way. Dropped, they are given up.
pub(crate) struct Appending {
    wanted: Arc<Wanted>,
    durable: oneshot::Receiver<Result<(), EndedEarly>>,
}

impl Appending {
    /// False while the log has not acknowledged all of them.
    pub fn are_durable(&mut self) -> Result<bool, EndedEarly> {
        match self.durable.try_recv() {
            Ok(result) => result.map(|()| true),
            Err(oneshot::error::TryRecvError::Empty) => Ok(false),
            Err(oneshot::error::TryRecvError::Closed) => {
                Err(EndedEarly::Again("dead letters were given up".to_owned()))
            }
        }
    }

    /// No more letters of this partition of the intake.
    pub fn lose(&self, partition: u32) {
        self.wanted.not_of.lock().unwrap_or_else(PoisonError::into_inner).push(partition);
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        self.wanted.none.ask_to_finish();
    }
}

struct Job {
    rejected: Vec<Rejected>,
    wanted: Arc<Wanted>,
    durable: oneshot::Sender<Result<(), EndedEarly>>,
}

/// Gives letters to the thread that writes them.
pub(crate) struct Letters(SyncSender<Job>);

/// Takes the letters of [`Letters`]; [`LetterWriter::run`] is for a thread of its own.
pub(crate) struct LetterWriter(Receiver<Job>);

/// Both ends. The loop hands over the letters of one batch at a time, those of the oldest.
pub(crate) fn letters() -> (Letters, LetterWriter) {
    let (sender, receiver) = sync_channel(JOBS_MAX);
    (Letters(sender), LetterWriter(receiver))
}

impl Letters {
    /// Has the letters of a batch written.
    pub fn append(&self, mut rejected: Vec<Rejected>) -> Appending {
        let order = |one: &Rejected| (one.place.partition, one.place.offset, one.place.ordinal);
        rejected.sort_by_key(order);
        let wanted = Arc::new(Wanted::default());
        let (sender, durable) = oneshot::channel();
        let job = Job { rejected, wanted: Arc::clone(&wanted), durable: sender };
        // The other end is there for as long as the loop is; if not, `durable` is closed.
        let _ = self.0.send(job);
        Appending { wanted, durable }
    }
}

impl LetterWriter {
    /// Writes letters until [`Letters`] is dropped.
    pub fn run(self, log: &dyn Log) {
        for Job { rejected, wanted, durable } in self.0 {
            let result = append_until_durable(log, &rejected, &wanted);
            // Nobody waits for those that are given up.
            let _ = durable.send(result);
        }
    }
}

fn append_until_durable(
    log: &dyn Log,
    rejected: &[Rejected],
    wanted: &Wanted,
) -> Result<(), EndedEarly> {
    let mut durable = vec![false; rejected.len()];
    let mut backoff = Backoff::usual();
    loop {
        match append(log, rejected, &mut durable, wanted) {
            Ok(()) => break,
            Err(LogError::Retry(text, _)) => tracing::warn!(text, "dead letters wait"),
            Err(error) => return Err(error.into()),
        }
        if wanted.none.is_asked_within(backoff.pause()) {
            return Err(LogError::Stopped.into());
        }
    }
    let missing = rejected.iter().zip(&durable).find(|(_, durable)| !**durable);
    let missing = missing.map(|(one, _)| one).filter(|one| wanted.of(one.place.partition));
    match missing {
        None => Ok(()),
        // Started again, the loop comes to where its group has committed, and the log decides by
        // --kafka-lost-offsets about what is gone from there.
        Some(Rejected { topic, partition, place, .. }) => Err(EndedEarly::Again(format!(
            "{topic}, partition {partition} has lost offset {}, whose record is rejected, before \
             its dead letter was written: keep records longer (retention.ms of the topic)",
            place.offset
        ))),
    }
}

/// Appends the letters that are not durable yet, and returns when they are; those whose records the
/// log has no longer stay as they are. The records are read again, one range of each partition, so
/// that the many that are not rejected are never copied.
fn append(
    log: &dyn Log,
    rejected: &[Rejected],
    durable: &mut [bool],
    wanted: &Wanted,
) -> Result<(), LogError> {
    let mut first = 0;
    for alike in rejected.chunk_by(|a, b| a.place.partition == b.place.partition) {
        let of_partition = first..first + alike.len();
        first = of_partition.end;
        let durable = &mut durable[of_partition];
        let partition = alike[0].place.partition;
        let (Some(from), Some(to)) = (
            durable.iter().position(|durable| !durable),
            durable.iter().rposition(|durable| !durable),
        ) else {
            continue;
        };
        let target = topic(&alike[0].topic);
        let mut window = Window {
            partitions: log.partitions(&target)?,
            log,
            target,
            durable,
            wanted,
            sent: Vec::new(),
            bytes: 0,
        };
        let (source, number) = (&alike[0].topic, alike[0].partition);
        let span = (alike[from].place.offset, alike[to].place.offset + 1);
        let mut appended = Ok(());
        let mut next = from;
        let scanned = log.scan(source, number, span.0, span.1, &mut |found| {
            while alike.get(next).is_some_and(|one| one.place.offset <= found.offset) {
                let one = &alike[next];
                let is_open = one.place.offset == found.offset && !window.durable[next];
                if is_open && wanted.of(partition) && appended.is_ok() {
                    appended = window.append(next, &found, one);
                }
                next += 1;
            }
            match appended.is_ok() && !wanted.is_over() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        // What was sent before a failure may be durable all the same.
        let settled = window.settle();
        scanned.and(appended).and(settled)?;
    }
    if wanted.is_over() { Err(LogError::Stopped) } else { Ok(()) }
}

/// Letters of one partition that are sent and not acknowledged.
struct Window<'a> {
    log: &'a dyn Log,
    target: String,
    partitions: u32,
    durable: &'a mut [bool],
    wanted: &'a Wanted,
    sent: Vec<(usize, Pending)>,
    bytes: usize,
}

impl Window<'_> {
    fn append(
        &mut self,
        index: usize,
        found: &LogRecord<'_>,
        one: &Rejected,
    ) -> Result<(), LogError> {
        let partition = partition::of_key(found.key, self.partitions);
        let (ordinal, rejection) = (one.place.ordinal, &one.rejection);
        let pending = append_one(self.log, &self.target, partition, found, ordinal, rejection)?;
        self.sent.push((index, pending));
        self.bytes += found.key.len() + found.value.len();
        if self.bytes >= UNACKNOWLEDGED_BYTES { self.settle() } else { Ok(()) }
    }

    /// Waits for what was sent, and remembers what is durable of it.
    fn settle(&mut self) -> Result<(), LogError> {
        let mut first = Ok(());
        self.bytes = 0;
        for (index, pending) in self.sent.drain(..) {
            let result = loop {
                match pending.wait(LOOK) {
                    Some(result) => break result,
                    None if self.wanted.is_over() => return Err(LogError::Stopped),
                    None => {}
                }
            };
            self.durable[index] = result.is_ok();
            first = first.and(result.map(drop));
        }
        first
    }
}

/// Headers: `tahoe` as it was, `tahoe.code`, `tahoe.reason`, `tahoe.byte` if it is known,
/// `tahoe.topic`, `tahoe.partition`, `tahoe.offset`, and `tahoe.ordinal`, the number in its pack.
fn append_one(
    log: &dyn Log,
    topic: &str,
    partition: u32,
    found: &LogRecord<'_>,
    ordinal: u32,
    rejection: &Rejection,
) -> Result<Pending, LogError> {
    let at = [found.partition.to_string(), found.offset.to_string(), ordinal.to_string()];
    let byte = rejection.byte.map(|byte| byte.to_string());
    let mut headers = vec![
        ("tahoe.code", rejection.code.as_bytes()),
        ("tahoe.reason", rejection.reason.as_bytes()),
        ("tahoe.topic", found.topic.as_bytes()),
        ("tahoe.partition", at[0].as_bytes()),
        ("tahoe.offset", at[1].as_bytes()),
        ("tahoe.ordinal", at[2].as_bytes()),
    ];
    headers.extend(byte.as_ref().map(|byte| ("tahoe.byte", byte.as_bytes())));
    log.append(&[Outgoing {
        topic,
        partition,
        key: found.key,
        value: found.value,
        timestamp_ms: found.timestamp_ms,
        header: found.header,
        more_headers: &headers,
    }])
}
