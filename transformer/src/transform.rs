//! The loop: read, normalise, hand over, commit in order.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::retry::Backoff;
use tahoe_pipeline::stop::Stop;
use tahoe_schemas::rules::EventRules;
use tahoe_seams::{
    Conditions, EventMeta, Log, LogError, LogReader, Outcome, Polled, Rejection, Sink,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::certainty::Certainty;
use crate::counts::TransformerCounts;
use crate::dead_letter;
use crate::delivery::{keep_until_durable, write_until_durable};
use crate::intake::{Intake, Place, Reach, Taken};
use crate::rules::Renewal;
use crate::tally::Tallies;
use crate::verdict::Verdict;

/// A request of 4 MiB is where Elasticsearch's cost per document stops falling.
const BATCH_BYTES: usize = 4 << 20;

/// Four requests are in flight at most, so 16 MiB of events.
const FLIGHTS_MAX: usize = 4;

/// An earlier owner of a partition may have had as many in flight when it went, and one that it was
/// about to send.
const UNCERTAIN_BYTES: usize = (FLIGHTS_MAX + 1) * BATCH_BYTES;

/// Most that the loop holds: what is in flight, and the batch that is being filled.
pub const MEMORY_BYTES_MAX: usize = (FLIGHTS_MAX + 1) * BATCH_BYTES;

/// With nothing in flight a batch goes after this long, so that a quiet log is seen soon: a store
/// that takes 50 ms for a small batch is then asked ten times a second. While something is in
/// flight [`TransformSettings::linger`] holds, so that batches grow with the load.
const IDLE_LINGER: Duration = Duration::from_millis(50);

/// How often it is looked whether a batch in flight has landed.
const LANDING: Duration = Duration::from_millis(5);

/// How a transformer runs.
#[derive(Clone, Debug)]
pub struct TransformSettings {
    /// Consumer group.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// How long a batch that is not full waits for more while others are in flight.
    pub linger: Duration,
    /// What normalisers are given; the time is the loop's.
    pub given: Conditions,
    /// What the operator's own files say of events.
    pub rules: EventRules,
    /// Files behind those rules that may change.
    pub renewal: Renewal,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// How long a stop reads on what is in the log already; zero leaves it for the next start.
    pub drain: Duration,
}

impl Default for TransformSettings {
    fn default() -> Self {
        Self {
            group: "tahoe-transformer".to_owned(),
            topics: Vec::new(),
            linger: Duration::from_millis(200),
            given: Conditions::default(),
            rules: EventRules::default(),
            renewal: Renewal::default(),
            grace: Duration::from_secs(10),
            drain: Duration::ZERO,
        }
    }
}

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// Start again from the committed offsets, after a pause.
    #[error("{0}")]
    Again(String),
    /// A person must change something first.
    #[error("{0}")]
    Stop(String),
}

impl From<LogError> for TransformError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Retry(..) | LogError::Stopped => Self::Again(error.to_string()),
            _ => Self::Stop(error.to_string()),
        }
    }
}

/// Runs until `stop` is asked for. Blocks its thread; the sink's work runs on `runtime`.
///
/// # Errors
/// [`TransformError`] says whether starting again may help; no record is lost either way.
pub fn transform(
    log: &dyn Log,
    sink: &Arc<dyn Sink>,
    settings: &TransformSettings,
    stop: &Stop,
    counts: &Arc<TransformerCounts>,
    runtime: &Handle,
) -> Result<(), TransformError> {
    let reader = log.reader(&settings.group, &settings.topics)?;
    let mut transformer = Transformer {
        log,
        sink,
        settings,
        stop,
        counts,
        runtime,
        reader,
        intake: Intake::new(settings.given.clone(), &settings.rules, settings.renewal.clone()),
        batch_since: None,
        flights: VecDeque::new(),
        certainty: Certainty::new(UNCERTAIN_BYTES),
        paused: false,
        rows_kept: None,
        tallies: Tallies::new(counts),
    };
    transformer.run()
}

/// Runs [`transform`] until `stop` is asked for, again after a pause whenever that may help.
///
/// # Errors
/// A sentence that names the setting that a person must change.
pub fn keep_transforming(
    log: &dyn Log,
    sink: &Arc<dyn Sink>,
    settings: &TransformSettings,
    stop: &Stop,
    counts: &Arc<TransformerCounts>,
    runtime: &Handle,
) -> Result<(), String> {
    let mut backoff = Backoff::usual();
    settings.renewal.watch();
    loop {
        match transform(log, sink, settings, stop, counts, runtime) {
            Ok(()) => return Ok(()),
            Err(TransformError::Stop(text)) => return Err(text),
            Err(TransformError::Again(text)) if stop.is_asked() => return Err(text),
            Err(TransformError::Again(text)) => {
                tracing::warn!(text, "transformer starts again from the committed offsets");
            }
        }
        stop.is_asked_within(backoff.pause());
    }
}

/// What became of a batch: the outcomes of its events, the records whose rows are rejected, and the
/// memory. None of the first when it was abandoned.
type Landed = (Option<(Vec<Outcome>, Vec<(u32, Rejection)>)>, Bytes);

struct Flight {
    outcomes: oneshot::Receiver<Landed>,
    delivery: JoinHandle<()>,
    events: Vec<EventMeta>,
    taken: Vec<Taken>,
    reached: Vec<Reach>,
    /// Partitions of it that another member of the group has now.
    lost: Vec<u32>,
}

impl Flight {
    fn holds(&self, partition: u32) -> bool {
        self.reached.iter().any(|reach| reach.partition == partition)
    }

    /// Nothing in it is ours any more.
    fn is_lost(&self) -> bool {
        self.reached.iter().all(|reach| self.lost.contains(&reach.partition))
    }
}

struct Transformer<'a> {
    log: &'a dyn Log,
    sink: &'a Arc<dyn Sink>,
    settings: &'a TransformSettings,
    stop: &'a Stop,
    counts: &'a TransformerCounts,
    runtime: &'a Handle,
    reader: Box<dyn LogReader>,
    intake: Intake,
    batch_since: Option<Instant>,
    flights: VecDeque<Flight>,
    certainty: Certainty,
    paused: bool,
    /// Ends when the rows of the last batch that had some are kept: those of the next come after.
    rows_kept: Option<oneshot::Receiver<()>>,
    tallies: Tallies<'a>,
}

impl Transformer<'_> {
    fn run(&mut self) -> Result<(), TransformError> {
        while !self.stop.is_asked() {
            self.step()?;
        }
        let asked = Instant::now();
        while asked.elapsed() < self.settings.drain && !self.stop.is_urgent() && self.lag()? > 0 {
            self.step()?;
        }
        self.dispatch();
        self.land_all()
    }

    fn lag(&self) -> Result<u64, LogError> {
        Ok(self.reader.lag()?.iter().map(|(.., records)| records).sum())
    }

    fn step(&mut self) -> Result<(), TransformError> {
        self.land(Duration::ZERO)?;
        let taken = self.flights.front().map_or(&self.intake.taken, |flight| &flight.taken);
        self.counts.lag.set_oldest(taken.first().map(|taken| taken.read_at_ms));
        self.set_paused(self.flights.len() >= FLIGHTS_MAX)?;
        if self.paused {
            self.land(Duration::from_millis(50))?;
        }
        let wait = match self.batch_since {
            Some(since) => self.linger().saturating_sub(since.elapsed()),
            None => Duration::from_millis(100),
        };
        let wait = if self.flights.is_empty() { wait } else { wait.min(LANDING) };
        let wait = if self.paused { Duration::ZERO } else { wait };
        let before = self.intake.taken.len();
        let intake = &mut self.intake;
        let mut came = false;
        let polled = self.reader.read(wait, &mut |found| {
            if !came {
                came = true;
                intake.given.ingested_ms = now_ms();
                intake.renew();
            }
            intake.take(&found);
            match intake.events.bytes() >= BATCH_BYTES {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        self.counts.read.add((self.intake.taken.len() - before) as u64);
        if !self.intake.is_empty() {
            let since = *self.batch_since.get_or_insert_with(Instant::now);
            let full = self.intake.events.bytes() >= BATCH_BYTES;
            if full || since.elapsed() >= self.linger() {
                self.dispatch();
            }
        }
        match polled {
            Polled::Records => Ok(()),
            Polled::Revoking(gone) => {
                self.dispatch();
                self.land_all()?;
                self.reader.confirm_revoked()?;
                let gone = self.intake.indices(&gone);
                gone.into_iter().for_each(|partition| self.certainty.forget(partition));
                Ok(())
            }
            Polled::Lost(gone) => {
                self.lose(&gone);
                Ok(())
            }
        }
    }

    fn linger(&self) -> Duration {
        match self.flights.is_empty() {
            true => IDLE_LINGER.min(self.settings.linger),
            false => self.settings.linger,
        }
    }

    /// Another member has these partitions already and reads what is not committed again, so that
    /// nothing more is sent, committed or dead-lettered for them. What a request in flight still
    /// writes is absorbed by id.
    fn lose(&mut self, gone: &[(String, u32)]) {
        tracing::warn!(partitions = gone.len(), "partitions were taken away without notice");
        let gone = self.intake.indices(gone);
        self.dispatch_without(&gone);
        for flight in &mut self.flights {
            let held: Vec<u32> =
                gone.iter().copied().filter(|partition| flight.holds(*partition)).collect();
            flight.lost.extend(held);
            if flight.is_lost() {
                flight.delivery.abort();
            }
        }
        gone.into_iter().for_each(|partition| self.certainty.forget(partition));
    }

    fn set_paused(&mut self, paused: bool) -> Result<(), LogError> {
        if paused != self.paused {
            self.reader.pause(paused)?;
            self.paused = paused;
        }
        Ok(())
    }

    /// Sends the batch that is being filled on its way.
    fn dispatch(&mut self) {
        self.dispatch_without(&[]);
    }

    fn dispatch_without(&mut self, gone: &[u32]) {
        self.batch_since = None;
        if self.intake.is_empty() {
            return;
        }
        let mut rows = self.intake.events.take_row_changes();
        let mut batch = self.intake.events.take();
        let taken = std::mem::take(&mut self.intake.taken);
        let reached = std::mem::take(&mut self.intake.reached);
        if !gone.is_empty() {
            let place = |at: usize| taken[batch.events[at].record as usize].place;
            batch = batch.subset(|at| !gone.contains(&place(at).partition));
            rows.retain(|row| !gone.contains(&taken[row.record as usize].place.partition));
        }
        let uncertain = self.is_uncertain(&reached);
        let (sender, outcomes) = oneshot::channel();
        let events = batch.events.clone();
        let (sink, stop) = (Arc::clone(self.sink), self.stop.clone());
        let turn = (!rows.is_empty()).then(|| {
            let (done, next) = oneshot::channel();
            (done, self.rows_kept.replace(next))
        });
        let delivery = self.runtime.spawn(async move {
            let outcomes = write_until_durable(sink.as_ref(), &batch, uncertain, &stop).await;
            let mut landed = outcomes.map(|outcomes| (outcomes, Vec::new()));
            if let (Some((outcomes, _)), Some((_done, before))) = (&mut landed, turn) {
                if let Some(before) = before {
                    // It ends also when that batch was given up.
                    let _ = before.await;
                }
                let rejected = keep_until_durable(sink.as_ref(), rows, &stop).await;
                landed = rejected.map(|rejected| (std::mem::take(outcomes), rejected));
            }
            // The loop is gone only when stopping was urgent.
            let _ = sender.send((landed, batch.body));
        });
        let lost = Vec::new();
        self.flights.push_back(Flight { outcomes, delivery, events, taken, reached, lost });
    }

    fn is_uncertain(&mut self, reached: &[Reach]) -> bool {
        let lag = match self.certainty.has_new(reached) {
            true => self.reader.lag().unwrap_or_default(),
            false => Vec::new(),
        };
        let partitions = &self.intake.partitions;
        self.certainty.is_uncertain(reached, |partition| {
            let (topic, partition) = &partitions[partition as usize];
            let of = lag.iter().find(|(name, number, _)| number == partition && name == topic);
            of.map(|(.., unread)| *unread)
        })
    }

    /// Finishes batches in the order of sending; waits at most `wait` for the first.
    fn land(&mut self, wait: Duration) -> Result<(), TransformError> {
        let deadline = Instant::now() + wait;
        while let Some(flight) = self.flights.front_mut() {
            let outcomes = match flight.outcomes.try_recv() {
                Ok((outcomes, body)) => {
                    self.intake.events.give_back(body);
                    outcomes
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    if Instant::now() >= deadline {
                        return Ok(());
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                    continue;
                }
                Err(oneshot::error::TryRecvError::Closed) => None,
            };
            let flight = self.flights.pop_front().expect("it was the front one");
            if flight.is_lost() {
                self.counts.abandoned.add(flight.taken.len() as u64);
                continue;
            }
            let Some((outcomes, rejected)) = outcomes else {
                return Err(TransformError::Again("a batch was abandoned".into()));
            };
            self.settle(flight, outcomes, rejected)?;
        }
        Ok(())
    }

    fn land_all(&mut self) -> Result<(), TransformError> {
        let (began, within) = (Instant::now(), self.settings.grace.max(self.settings.drain));
        while !self.flights.is_empty() {
            if self.stop.is_urgent() || (self.stop.is_asked() && began.elapsed() >= within) {
                return Err(TransformError::Again("stopped with batches in flight".into()));
            }
            self.land(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Dead-letters what was rejected, then commits, then counts.
    fn settle(
        &mut self,
        flight: Flight,
        outcomes: Vec<Outcome>,
        rows_rejected: Vec<(u32, Rejection)>,
    ) -> Result<(), TransformError> {
        let mut verdicts = flight.taken.iter().map(Verdict::begin).collect::<Vec<_>>();
        for (event, outcome) in flight.events.iter().zip(outcomes) {
            verdicts[event.record as usize].add(outcome);
        }
        for (record, rejection) in rows_rejected {
            verdicts[record as usize].add(Outcome::Rejected(rejection));
        }
        let rejected: Vec<(Place, Rejection)> = flight
            .taken
            .iter()
            .zip(&verdicts)
            .filter(|(taken, _)| !flight.lost.contains(&taken.place.partition))
            .filter_map(|(taken, verdict)| Some((taken.place, verdict.rejection.clone()?)))
            .collect();
        self.append_dead_letters(&rejected)?;
        let partitions = &self.intake.partitions;
        let ours = flight.reached.iter().filter(|reach| !flight.lost.contains(&reach.partition));
        let next = ours.map(|reach| {
            let (topic, partition) = &partitions[reach.partition as usize];
            (topic.clone(), *partition, reach.next)
        });
        let next: Vec<_> = next.collect();
        self.reader.commit(&next)?;
        self.counts.set_reached(&next);
        let is_lost = |taken: &Taken| flight.lost.contains(&taken.place.partition);
        self.tallies.count(&self.intake.sources, &flight.taken, &verdicts, is_lost);
        Ok(())
    }

    fn append_dead_letters(&self, rejected: &[(Place, Rejection)]) -> Result<(), TransformError> {
        let mut backoff = Backoff::usual();
        while !rejected.is_empty() {
            match dead_letter::append(self.log, &self.intake.partitions, rejected) {
                Ok(()) => break,
                Err(LogError::Retry(text, _)) => tracing::warn!(text, "dead letters wait"),
                Err(error) => return Err(error.into()),
            }
            if self.stop.is_asked_within(backoff.pause()) && self.stop.is_urgent() {
                return Err(TransformError::Again(
                    "stopped before dead letters were durable".into(),
                ));
            }
        }
        Ok(())
    }
}
