//! The loop: read, normalise, hand over, commit in order.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tahoe_pipeline::retry::Backoff;
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{EventMeta, Log, LogError, LogReader, Outcome, Polled, Rejection, Sink};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::counts::{DatasetCounts, TransformerCounts};
use crate::dead_letter;
use crate::delivery::write_until_durable;
use crate::intake::{Intake, Place, Taken};

/// A request of 4 MiB is where Elasticsearch's cost per document stops falling.
const BATCH_BYTES: usize = 4 << 20;

/// Four requests are in flight at most, so 16 MiB of events.
const FLIGHTS_MAX: usize = 4;

/// An earlier owner of a partition may have had this many batches in flight when it went.
const UNCERTAIN_FLIGHTS: u32 = FLIGHTS_MAX as u32 + 1;

/// How a transformer runs.
#[derive(Clone, Debug)]
pub struct TransformSettings {
    /// Consumer group.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
    /// Keep each record's bytes in its event.
    pub keep_original: bool,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// Read everything that is in the log before stopping.
    pub drain: bool,
}

impl Default for TransformSettings {
    fn default() -> Self {
        Self {
            group: "tahoe-transformer".to_owned(),
            topics: Vec::new(),
            linger: Duration::from_millis(200),
            keep_original: false,
            grace: Duration::from_secs(10),
            drain: false,
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
        intake: Intake::new(settings.keep_original),
        batch_since: None,
        flights: VecDeque::new(),
        uncertain_flights: UNCERTAIN_FLIGHTS,
        paused: false,
        datasets: Vec::new(),
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

struct Flight {
    outcomes: oneshot::Receiver<Option<Vec<Outcome>>>,
    events: Vec<EventMeta>,
    taken: Vec<Taken>,
    next: HashMap<u32, u64>,
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
    uncertain_flights: u32,
    paused: bool,
    /// The counters of [`Intake::datasets`].
    datasets: Vec<Arc<DatasetCounts>>,
}

impl Transformer<'_> {
    fn run(&mut self) -> Result<(), TransformError> {
        while !self.stop.is_asked() {
            self.step()?;
        }
        if self.settings.drain {
            let deadline = Instant::now() + self.settings.grace;
            while self.lag()? > 0 && Instant::now() < deadline && !self.stop.is_urgent() {
                self.step()?;
            }
        }
        self.dispatch();
        self.land_all()
    }

    fn lag(&self) -> Result<u64, LogError> {
        Ok(self.reader.lag()?.iter().map(|(.., records)| records).sum())
    }

    fn step(&mut self) -> Result<(), TransformError> {
        self.land(Duration::ZERO)?;
        self.set_paused(self.flights.len() >= FLIGHTS_MAX)?;
        if self.paused {
            self.land(Duration::from_millis(50))?;
        }
        let wait = match (self.batch_since, self.flights.is_empty()) {
            (Some(since), _) => self.settings.linger.saturating_sub(since.elapsed()),
            (None, false) => Duration::from_millis(5),
            (None, true) => Duration::from_millis(100),
        };
        let wait = if self.paused { Duration::ZERO } else { wait };
        self.intake.given.ingested_ms = now_ms();
        let before = self.intake.taken.len();
        let intake = &mut self.intake;
        let polled = self.reader.read(wait, &mut |found| {
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
            if full || since.elapsed() >= self.settings.linger {
                self.dispatch();
            }
        }
        match polled {
            Polled::Records => Ok(()),
            Polled::Revoking(_) => {
                self.dispatch();
                self.land_all()?;
                self.reader.confirm_revoked()?;
                self.uncertain_flights = UNCERTAIN_FLIGHTS;
                Ok(())
            }
            // Written again by whoever has them now, and absorbed by id.
            Polled::Lost(_) => Err(TransformError::Again("partitions were taken away".into())),
        }
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
        self.batch_since = None;
        if self.intake.is_empty() {
            return;
        }
        let batch = self.intake.events.take();
        let uncertain = self.uncertain_flights > 0;
        self.uncertain_flights = self.uncertain_flights.saturating_sub(1);
        let (sender, outcomes) = oneshot::channel();
        let flight = Flight {
            outcomes,
            events: batch.events.clone(),
            taken: std::mem::take(&mut self.intake.taken),
            next: std::mem::take(&mut self.intake.next),
        };
        self.flights.push_back(flight);
        let (sink, stop) = (Arc::clone(self.sink), self.stop.clone());
        self.runtime.spawn(async move {
            let outcomes = write_until_durable(sink.as_ref(), &batch, uncertain, &stop).await;
            // The loop is gone only when stopping was urgent.
            let _ = sender.send(outcomes);
        });
    }

    /// Finishes batches in the order of sending; waits at most `wait` for the first.
    fn land(&mut self, wait: Duration) -> Result<(), TransformError> {
        let deadline = Instant::now() + wait;
        while let Some(flight) = self.flights.front_mut() {
            let outcomes = match flight.outcomes.try_recv() {
                Ok(outcomes) => outcomes,
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
            let Some(outcomes) = outcomes else {
                return Err(TransformError::Again("a batch was abandoned".into()));
            };
            self.settle(flight, outcomes)?;
        }
        Ok(())
    }

    fn land_all(&mut self) -> Result<(), TransformError> {
        let deadline = Instant::now() + self.settings.grace;
        while !self.flights.is_empty() {
            if self.stop.is_urgent() || (self.stop.is_asked() && Instant::now() >= deadline) {
                return Err(TransformError::Again("stopped with batches in flight".into()));
            }
            self.land(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Dead-letters what was rejected, then commits, then counts.
    fn settle(&mut self, flight: Flight, outcomes: Vec<Outcome>) -> Result<(), TransformError> {
        let mut verdicts = flight.taken.iter().map(Verdict::begin).collect::<Vec<_>>();
        for (event, outcome) in flight.events.iter().zip(outcomes) {
            verdicts[event.record as usize].add(outcome);
        }
        let rejected: Vec<(Place, Rejection)> = flight
            .taken
            .iter()
            .zip(&verdicts)
            .filter_map(|(taken, verdict)| Some((taken.place, verdict.rejection.clone()?)))
            .collect();
        self.append_dead_letters(&rejected)?;
        let partitions = &self.intake.partitions;
        let next = flight.next.iter().map(|(partition, next)| {
            let (topic, partition) = &partitions[*partition as usize];
            (topic.clone(), *partition, *next)
        });
        self.reader.commit(&next.collect::<Vec<_>>())?;
        self.count(&flight.taken, &verdicts);
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

    fn count(&mut self, taken: &[Taken], verdicts: &[Verdict]) {
        let now_ms = now_ms();
        for name in &self.intake.datasets[self.datasets.len()..] {
            self.datasets.push(self.counts.dataset(name));
        }
        for (taken, verdict) in taken.iter().zip(verdicts) {
            let dataset = &self.datasets[taken.dataset as usize];
            if verdict.rejection.is_some() {
                self.counts.dead_lettered.add(1);
                dataset.dead_lettered.add(1);
                continue;
            }
            let (all, of_dataset) = match verdict.new {
                true => (&self.counts.stored, &dataset.stored),
                false => (&self.counts.already_there, &dataset.already_there),
            };
            all.add(1);
            of_dataset.add(1);
            self.counts.latency.add(now_ms - taken.read_at_ms, 1);
            dataset.latency.add(now_ms - taken.read_at_ms, 1);
            if let Some(event_ms) = taken.event_ms {
                dataset.age.add(taken.read_at_ms - event_ms, 1);
            }
        }
    }
}

/// What became of a record, from what became of its events.
struct Verdict {
    rejection: Option<Rejection>,
    new: bool,
}

impl Verdict {
    fn begin(taken: &Taken) -> Self {
        Self { rejection: taken.rejection.clone(), new: false }
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored => self.new = true,
            Outcome::AlreadyThere | Outcome::Busy => {}
            Outcome::Rejected(rejection) => self.rejection = Some(rejection),
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
