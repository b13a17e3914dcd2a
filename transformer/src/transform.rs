//! The loop: read, normalise, hand over, commit in order.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::retry::{EndedEarly, keep_running};
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{Log, LogError, LogReader, Polled, Sink};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::certainty::{Came, Certainty};
use crate::counts::TransformerCounts;
use crate::dead_letter::{self, Appending, Letters};
use crate::delivery::{Written, keep_until_durable, write_until_durable};
use crate::flight::{Flight, Way};
use crate::intake::{Intake, Reach, Taken};
use crate::settings::TransformSettings;
use crate::tally::Tallies;
use crate::verdict::Verdict;

/// A request of 4 MiB is where Elasticsearch's cost per document stops falling.
const BATCH_BYTES: usize = 4 << 20;

/// Records of a batch whose events are few or none, because they are rejected or left out, with what
/// is remembered of each: four times their usual part of a batch, and read again in a second.
const BATCH_RECORD_BYTES: usize = 4 * BATCH_BYTES;

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

/// How often it is looked whether dead letters are durable, where nothing else is to be done.
const LETTERS_LOOK: Duration = Duration::from_millis(1);

/// Runs until `stop` is asked for. Blocks its thread; the sink's work runs on `runtime`, and dead
/// letters are written by a thread of their own.
///
/// # Errors
/// [`EndedEarly`] says whether starting again may help; no record is lost either way.
pub fn transform(
    log: &dyn Log,
    sink: &Arc<dyn Sink>,
    settings: &TransformSettings,
    stop: &Stop,
    counts: &Arc<TransformerCounts>,
    runtime: &Handle,
) -> Result<(), EndedEarly> {
    let reader = log.reader(&settings.group, &settings.topics)?;
    let (letters, writer) = dead_letter::letters();
    let transformer = Transformer {
        letters,
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
    thread::scope(|scope| {
        scope.spawn(|| writer.run(log));
        // Its end gives up what is in flight, and ends the writer of letters.
        transformer.run()
    })
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
    settings.renewal.watch();
    let run = || transform(log, sink, settings, stop, counts, runtime);
    let again = |text: &str| {
        tracing::warn!(text, "transformer starts again from the committed offsets");
    };
    keep_running(stop, run, again).map_err(|error| error.to_string())
}

struct Transformer<'a> {
    letters: Letters,
    sink: &'a Arc<dyn Sink>,
    settings: &'a TransformSettings,
    stop: &'a Stop,
    counts: &'a TransformerCounts,
    runtime: &'a Handle,
    intake: Intake,
    batch_since: Option<Instant>,
    flights: VecDeque<Flight>,
    certainty: Certainty,
    paused: bool,
    /// Ends when the rows of the last batch that had some are kept: those of the next come after.
    rows_kept: Option<oneshot::Receiver<()>>,
    tallies: Tallies<'a>,
    /// Dropped last: what is in flight is given up before the group is left.
    reader: Box<dyn LogReader>,
}

impl Transformer<'_> {
    fn run(mut self) -> Result<(), EndedEarly> {
        while !self.stop.is_asked() {
            self.step()?;
        }
        let asked = Instant::now();
        while asked.elapsed() < self.settings.drain && !self.stop.is_urgent() && self.lag()? > 0 {
            self.step()?;
        }
        self.dispatch();
        match self.land_all(self.settings.grace.max(self.settings.drain), |_| true)? {
            true => Ok(()),
            false => Err(EndedEarly::Again("stopped with batches in flight".into())),
        }
    }

    fn lag(&self) -> Result<u64, LogError> {
        Ok(self.reader.lag()?.iter().map(|(.., records)| records).sum())
    }

    fn step(&mut self) -> Result<(), EndedEarly> {
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
        let (mut came, mut newer) = (false, None);
        let polled = self.reader.read(wait, &mut |found| {
            if !came {
                came = true;
                intake.given.ingested_ms = now_ms();
                intake.renew();
            }
            newer = intake.take(&found).err();
            match newer.is_some() || is_full(intake) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        self.counts.read.add((self.intake.taken.len() - before) as u64);
        if !self.intake.is_empty() {
            let since = *self.batch_since.get_or_insert_with(Instant::now);
            if is_full(&self.intake) || since.elapsed() >= self.linger() {
                self.dispatch();
            }
        }
        if let Some(text) = newer {
            // What came before it is finished, so that the binary that can read it begins there.
            self.dispatch();
            self.land_all(self.settings.grace, |_| true)?;
            return Err(EndedEarly::Stop(text));
        }
        match polled {
            Polled::Records => Ok(()),
            Polled::Revoking(gone) => self.give_back(&gone),
            Polled::Lost(gone) => {
                tracing::warn!(
                    partitions = gone.len(),
                    "partitions were taken away without notice"
                );
                self.lose(&gone);
                Ok(())
            }
        }
    }

    /// The group waits with these partitions, and all its members with it: what is in flight of them
    /// is finished within the grace period, or left to the member that gets them.
    fn give_back(&mut self, gone: &[(String, u32)]) -> Result<(), EndedEarly> {
        self.dispatch();
        let indices = self.intake.indices(gone);
        let waits = |flight: &Flight| indices.iter().any(|partition| flight.holds(*partition));
        if !self.land_all(self.settings.grace, waits)? {
            let grace_seconds = self.settings.grace.as_secs();
            tracing::warn!(
                partitions = gone.len(),
                grace_seconds,
                "partitions are given back with batches in flight: another member reads them again"
            );
            self.lose(gone);
        }
        self.reader.confirm_revoked()?;
        indices.into_iter().for_each(|partition| self.certainty.forget(partition));
        Ok(())
    }

    fn linger(&self) -> Duration {
        match self.flights.is_empty() {
            true => IDLE_LINGER.min(self.settings.linger),
            false => self.settings.linger,
        }
    }

    /// Another member has these partitions, or is about to, and reads what is not committed again,
    /// so that nothing more is sent, committed or dead-lettered for them. What a request in flight
    /// still writes is absorbed by id.
    fn lose(&mut self, gone: &[(String, u32)]) {
        let gone = self.intake.indices(gone);
        self.dispatch_without(&gone);
        for flight in &mut self.flights {
            for partition in &gone {
                flight.lose(*partition);
            }
        }
        // Dropped, they are given up.
        let counts = self.counts;
        self.flights.retain(|flight| {
            let is_lost = flight.is_lost();
            if is_lost {
                counts.abandoned.add(flight.taken.len() as u64);
            }
            !is_lost
        });
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
        let reached = self.intake.take_reached();
        if !gone.is_empty() {
            let place = |at: usize| taken[batch.events[at].record as usize].place;
            batch = batch.subset(|at| !gone.contains(&place(at).partition));
            rows.retain(|row| !gone.contains(&taken[row.record as usize].place.partition));
        }
        let written = self.written_before(&reached);
        let (sender, outcomes) = oneshot::channel();
        let events = batch.events.clone();
        let (sink, stop, us) = (Arc::clone(self.sink), self.stop.clone(), thread::current());
        let turn = (!rows.is_empty()).then(|| {
            let (done, next) = oneshot::channel();
            (done, self.rows_kept.replace(next))
        });
        let delivery = self.runtime.spawn(async move {
            let outcomes = write_until_durable(sink.as_ref(), &batch, written, &stop).await;
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
            us.unpark();
        });
        let (way, lost) = (Way::Delivering { outcomes, delivery }, Vec::new());
        self.flights.push_back(Flight { way, events, taken, reached, lost });
    }

    fn written_before(&mut self, reached: &[Reach]) -> Written {
        let lag = match self.certainty.has_new(reached) {
            true => self.reader.lag().unwrap_or_default(),
            false => Vec::new(),
        };
        let (partitions, reader) = (&self.intake.partitions, &self.reader);
        self.certainty.of(reached, |partition| {
            let (topic, partition) = &partitions[partition as usize];
            let of = lag.iter().find(|(name, number, _)| number == partition && name == topic);
            let replayed_to = reader.replayed_to(topic, *partition);
            Came { unread: of.map(|(.., unread)| *unread), replayed_to }
        })
    }

    /// Finishes batches in the order of sending; waits at most `wait` for the first.
    fn land(&mut self, wait: Duration) -> Result<(), EndedEarly> {
        let deadline = Instant::now() + wait;
        while let Some(flight) = self.flights.front_mut() {
            match &mut flight.way {
                Way::Delivering { outcomes, .. } => match outcomes.try_recv() {
                    Ok((delivered, body)) => {
                        self.intake.events.give_back(body);
                        let Some(delivered) = delivered else { return Err(abandoned()) };
                        flight.begin_to_settle(delivered, &self.intake.partitions, &self.letters);
                        continue;
                    }
                    Err(oneshot::error::TryRecvError::Closed) => return Err(abandoned()),
                    Err(oneshot::error::TryRecvError::Empty) => {}
                },
                Way::Settling { verdicts, letters } => {
                    if letters.as_mut().map_or(Ok(true), Appending::are_durable)? {
                        let verdicts = std::mem::take(verdicts);
                        let flight = self.flights.pop_front().expect("it was the front one");
                        self.settle(&flight, &verdicts)?;
                        continue;
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // A delivery wakes us at its end, letters do not.
            thread::park_timeout(match flight.way {
                Way::Delivering { .. } => left,
                Way::Settling { .. } => left.min(LETTERS_LOOK),
            });
        }
        Ok(())
    }

    /// Finishes batches until none is left of those that are `meant`; false if `within` is over
    /// before, or stopping is urgent.
    fn land_all(
        &mut self,
        within: Duration,
        meant: impl Fn(&Flight) -> bool,
    ) -> Result<bool, EndedEarly> {
        let began = Instant::now();
        while self.flights.iter().any(&meant) {
            if self.stop.is_urgent() || began.elapsed() >= within {
                return Ok(false);
            }
            self.land(Duration::from_millis(50))?;
        }
        Ok(true)
    }

    /// Commits a batch whose every record is stored or has its dead letter, then counts.
    fn settle(&mut self, flight: &Flight, verdicts: &[Verdict]) -> Result<(), EndedEarly> {
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
        self.tallies.count(&self.intake.sources.names, &flight.taken, verdicts, is_lost);
        Ok(())
    }
}

/// The batch has as many events, or records, as one takes.
fn is_full(intake: &Intake) -> bool {
    intake.events.bytes() >= BATCH_BYTES || intake.record_bytes() >= BATCH_RECORD_BYTES
}

fn abandoned() -> EndedEarly {
    EndedEarly::Again("a batch was abandoned".to_owned())
}
