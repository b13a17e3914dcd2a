//! The producer loop: a source's records into the log, each once.
//!
//! A position is stored only after every record up to it is acknowledged; the time in a record's
//! id is stored before the record is sent. Between the two lies what a crash may leave undecided,
//! and `recover` decides it from the log itself.

mod changes;
mod envelope;
mod recover;
mod screened;
mod streams;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tahoe_seams::{
    Advance, Appended, Batch, BatchEnd, Known, Log, LogError, Ownership, Pending, Raw, Source,
};

use envelope::envelopes;
pub use recover::each as each_record;
use screened::Sent;
use streams::{Address, Span, Streams};

use crate::clock::{Moment, now_ms};
use crate::renewed::Screens;
use crate::retry::EndedEarly;
use crate::stop::Stop;
use crate::telemetry::ProducerCounts;

/// A batch is one MiB: large enough that its fixed costs vanish, small enough for eight in flight.
const BATCH_BYTES: usize = 1 << 20;

/// In flight at most, so 8 MiB beside what the log's client buffers.
const FLIGHTS_MAX: usize = 8;

/// Most that the loop of one source holds: what is in flight, and the batch that is being filled.
pub const MEMORY_BYTES_MAX: usize = (FLIGHTS_MAX + 1) * BATCH_BYTES;

/// After this long without anything in flight, positions are stored clean.
const IDLE: Duration = Duration::from_secs(1);

/// Between two looks at how far the source is behind.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// What a source still holds when the loop ends early is counted for at most this long.
const LET_GO_TIME: Duration = Duration::from_secs(1);

/// How a producer runs.
#[derive(Clone, Debug)]
pub struct ProduceSettings {
    /// Who owns the positions: one running instance per name.
    pub owner: String,
    /// How long a stop waits for what is in flight; the log's [`Patience`](crate::stop::Patience)
    /// is the same.
    pub grace: Duration,
    /// Bytes of records in one Kafka record; 0 puts each in its own.
    pub pack_bytes: usize,
    /// The privacy policy that comes before the log, if one does.
    pub screen: Option<Arc<Screens>>,
}

/// Runs until `stop` is asked for, or the source has ended; then finishes what is in flight and
/// stores clean positions.
///
/// # Errors
/// [`EndedEarly`] says whether starting again may help. Nothing that the source can give again
/// is lost either way.
pub fn produce(
    log: &dyn Log,
    source: &mut dyn Source,
    settings: &ProduceSettings,
    stop: &Stop,
    counts: &Arc<ProducerCounts>,
) -> Result<(), EndedEarly> {
    let ownership = log.own(&settings.owner)?;
    let screen = settings.screen.as_ref().map(|screens| screens.now());
    let recovered = recover::recover(log, &settings.owner, source, screen.as_deref())?;
    counts.already_there.add(recovered.records);
    let known = recovered.positions.values().map(|position| Known {
        source: position.source,
        generation: position.generation,
        next: position.next,
        context: position.context.clone(),
        identity: position.identity.clone(),
    });
    source.resume(known.collect())?;
    let mut producer = Producer {
        log,
        source,
        settings,
        stop,
        counts,
        streams: Streams::new(log, &settings.owner, recovered, screen, now_ms())?,
        flights: VecDeque::new(),
        idle_since: Some(Instant::now()),
        quiet_at: Instant::now(),
        lag_at: None,
        source_is: SourceIs::Open,
        released: BatchEnd::default(),
        stored: (BatchEnd::default(), Instant::now()),
    };
    counts.set_running(true);
    let result = producer.run(ownership.as_ref());
    counts.set_running(false);
    producer.let_go();
    result
}

struct Flight {
    /// None if it has no records, only positions to move.
    pending: Option<Pending>,
    end: BatchEnd,
    spans: Vec<Span>,
    /// Spans without records, for what [`Batch::advance`] was told.
    moved: Vec<Span>,
    /// What [`Batch::mark`] was told.
    marks: Vec<u64>,
    records: Records,
}

/// Records by what becomes of them when the loop ends before the log has them.
#[derive(Clone, Copy)]
struct Records {
    /// Their source gives them again.
    again: u64,
    /// Their source cannot.
    lost: u64,
}

impl Records {
    fn of(batch: &Batch) -> Self {
        let again = |raw: &&Raw| batch.streams()[raw.stream as usize].resumable;
        let again = batch.records().iter().filter(again).count() as u64;
        Self { again, lost: batch.records().len() as u64 - again }
    }
}

struct Producer<'a> {
    log: &'a dyn Log,
    source: &'a mut dyn Source,
    settings: &'a ProduceSettings,
    stop: &'a Stop,
    counts: &'a ProducerCounts,
    streams: Streams,
    flights: VecDeque<Flight>,
    /// When the last flight landed, until positions were stored after it.
    idle_since: Option<Instant>,
    /// When quiet streams were looked for last.
    quiet_at: Instant,
    /// When the lag was asked for last.
    lag_at: Option<Instant>,
    source_is: SourceIs,
    /// The last batch that is durable in the log.
    released: BatchEnd,
    /// The last batch that the source was told to be stored, and when.
    stored: (BatchEnd, Instant),
}

#[derive(Clone, Copy)]
enum SourceIs {
    Open,
    Closed,
    Drained,
}

impl Producer<'_> {
    fn run(&mut self, ownership: &dyn Ownership) -> Result<(), EndedEarly> {
        let mut batch = Batch::new(BATCH_BYTES);
        while !self.stop.is_asked() && !self.source.has_ended() {
            self.turn(&mut batch, ownership)?;
            while self.flights.len() >= FLIGHTS_MAX && !self.stop.is_asked() {
                self.collect(Duration::from_millis(100))?;
            }
        }
        let drained = self.drain(&mut batch, ownership);
        if let Some(lost) = ownership.lost() {
            return Err(lost.into());
        }
        // An error of the source concerns what it did not give, not what is in flight.
        self.finish()?;
        drained
    }

    /// Reads once and sends what came; true if anything did.
    fn turn(&mut self, batch: &mut Batch, ownership: &dyn Ownership) -> Result<bool, EndedEarly> {
        if let Some(lost) = ownership.lost() {
            return Err(lost.into());
        }
        self.collect(Duration::ZERO)?;
        self.store_if_idle()?;
        self.report_lag();
        // With something in flight its acknowledgement is the next event, in milliseconds.
        let wait = if self.flights.is_empty() { 100 } else { 5 };
        let read = self.source.read(batch, Duration::from_millis(wait));
        let came = !batch.is_empty();
        if came {
            self.count_read(batch);
            let records = Records::of(batch);
            let sent = self.send(batch, records);
            batch.next();
            sent.inspect_err(|_| self.undo(records))?;
        }
        read?;
        Ok(came)
    }

    /// Closes the source and reads what it still holds. Half of the grace period is left for the
    /// acknowledgements.
    fn drain(&mut self, batch: &mut Batch, ownership: &dyn Ownership) -> Result<(), EndedEarly> {
        self.source.close()?;
        self.source_is = SourceIs::Closed;
        while !self.stop.is_over(self.settings.grace / 2) {
            if self.flights.len() >= FLIGHTS_MAX {
                self.collect(Duration::from_millis(50))?;
            } else if !self.turn(batch, ownership)? {
                self.source_is = SourceIs::Drained;
                return Ok(());
            }
        }
        if !self.stop.is_urgent() {
            let advice = "raise --grace-seconds";
            tracing::warn!(advice, "stopped before everything that was taken in was read");
        }
        Ok(())
    }

    /// Waits for what is in flight, a stop no longer than the grace period, and stores where to
    /// resume.
    fn finish(&mut self) -> Result<(), EndedEarly> {
        while !self.flights.is_empty() && !self.is_over() {
            self.collect(Duration::from_millis(50))?;
        }
        let clean = self.flights.is_empty();
        self.store(clean)?;
        match clean {
            true => Ok(()),
            false => Err(LogError::Stopped.into()),
        }
    }

    /// A stop waits no longer, for nothing.
    fn is_over(&self) -> bool {
        self.stop.is_over(self.settings.grace)
    }

    /// Stores where to resume, and lets the source's server forget what is before that.
    fn store(&mut self, clean: bool) -> Result<(), EndedEarly> {
        self.streams.store(self.log, &[], clean, now_ms())?;
        if self.source.holds() && self.released > self.stored.0 {
            self.source.stored(self.released)?;
        }
        self.stored = (self.released, Instant::now());
        Ok(())
    }

    fn count_read(&self, batch: &Batch) {
        self.counts.dropped.add(batch.dropped());
        self.counts.read.add(batch.dropped());
        let mut of_stream = vec![0; batch.streams().len()];
        batch.records().iter().for_each(|raw| of_stream[raw.stream as usize] += 1);
        for (stream, records) in batch.streams().iter().zip(of_stream) {
            self.counts.add_read(&stream.origin, records);
        }
    }

    fn undo(&self, records: Records) {
        self.counts.undone.add(records.again);
        self.counts.dropped.add(records.lost);
    }

    /// Counts what ends with this loop: what is in flight, and what the source has taken in, cannot
    /// give again and was not asked for.
    fn let_go(&mut self) {
        while let Some(flight) = self.flights.pop_front() {
            self.undo(flight.records);
        }
        let closed = match self.source_is {
            SourceIs::Open => self.source.close().is_ok(),
            SourceIs::Closed => true,
            SourceIs::Drained => return,
        };
        if self.stop.is_urgent() || !closed {
            return;
        }
        let deadline = Instant::now() + LET_GO_TIME;
        let mut batch = Batch::new(BATCH_BYTES);
        let mut lost = 0;
        while Instant::now() < deadline {
            let read = self.source.read(&mut batch, Duration::from_millis(5));
            if read.is_err() || batch.is_empty() {
                break;
            }
            self.count_read(&batch);
            let records = Records::of(&batch);
            self.undo(records);
            lost += records.lost;
            batch.next();
        }
        if lost > 0 {
            tracing::warn!(lost, "records that were taken in and not sent are lost");
        }
    }

    fn send(&mut self, batch: &Batch, records: Records) -> Result<(), EndedEarly> {
        if self.streams.changes_generation(batch) {
            while !self.flights.is_empty() {
                if self.is_over() {
                    return Err(LogError::Stopped.into());
                }
                self.collect(Duration::from_millis(100))?;
            }
        }
        if let Some(screens) = &self.settings.screen {
            self.streams.screen = Some(screens.now());
        }
        let addresses = self.streams.admit(self.log, batch)?;
        if !batch.forgotten().is_empty() || !batch.beginnings().is_empty() {
            self.streams.store(self.log, batch.forgotten(), false, now_ms())?;
        }
        self.idle_since.get_or_insert_with(Instant::now);
        let moved = moved(batch, &addresses);
        let (end, marks) = (batch.end(), batch.marks().to_vec());
        if batch.records().is_empty() {
            if !moved.is_empty() || !marks.is_empty() {
                let (pending, spans) = (None, Vec::new());
                self.flights.push_back(Flight { pending, end, spans, moved, marks, records });
            }
            return Ok(());
        }
        let spans = spans(batch, &addresses);
        let now = Moment::now();
        self.streams.reserve(self.log, &spans, now)?;
        let sent = (batch, &Sent::new(batch, self.streams.screen.clone(), self.source));
        let envelopes =
            envelopes(sent, &addresses, &self.streams, now.ms, self.settings.pack_bytes);
        let outgoing = envelopes.outgoing(sent, &addresses);
        let pending = Some(self.log.append(&outgoing)?);
        self.flights.push_back(Flight { pending, end, spans, moved, marks, records });
        Ok(())
    }

    /// Takes acknowledgements in the order of sending, waiting at most `wait` for the first.
    fn collect(&mut self, mut wait: Duration) -> Result<(), EndedEarly> {
        while let Some(flight) = self.flights.front() {
            let offsets: Appended = match &flight.pending {
                None => Appended::new(),
                Some(pending) => match pending.wait(wait) {
                    None => break,
                    Some(result) => result?,
                },
            };
            wait = Duration::ZERO;
            let flight = self.flights.pop_front().expect("it was the front one");
            self.streams.mark(&flight.marks);
            self.streams.acknowledge(&flight.spans, &flight.moved, &offsets);
            self.counts.appended.add(flight.records.again + flight.records.lost);
            self.source.release(flight.end)?;
            self.released = flight.end;
            self.idle_since = Some(Instant::now());
        }
        Ok(())
    }

    fn report_lag(&mut self) {
        if self.lag_at.is_none_or(|at| at.elapsed() >= LAG_EVERY) {
            self.counts.set_lag(self.source.lag());
            self.lag_at = Some(Instant::now());
        }
    }

    fn store_if_idle(&mut self) -> Result<(), EndedEarly> {
        if self.flights.is_empty() && self.idle_since.is_some_and(|since| since.elapsed() >= IDLE) {
            self.store(true)?;
            self.idle_since = None;
        }
        if self.source.holds() && self.released > self.stored.0 && self.stored.1.elapsed() >= IDLE {
            self.store(false)?;
        }
        if self.quiet_at.elapsed() >= streams::QUIET {
            self.quiet_at = Instant::now();
            let spans = self.flights.iter().flat_map(|flight| &flight.spans);
            let in_flight = spans.map(|span| span.source).collect();
            self.streams.store_quiet(self.log, &in_flight, Moment::now())?;
        }
        Ok(())
    }
}

/// Spans without a record, for streams whose positions move without one.
fn moved(batch: &Batch, addresses: &[Address]) -> Vec<Span> {
    let span = |(advance, carried): (Advance, &[u8])| {
        let index = advance.stream as usize;
        let stream = &batch.streams()[index];
        Span {
            source: stream.origin.source,
            first_start: advance.at,
            last_start: advance.at,
            end: advance.at,
            mark: advance.mark,
            carried: carried.to_vec(),
            topic: stream.topic.clone(),
            partition: addresses[index].partition,
        }
    };
    batch.advances().map(span).collect()
}

/// One span per stream of the batch, in which its records lie.
fn spans(batch: &Batch, addresses: &[Address]) -> Vec<Span> {
    let mut spans: Vec<Option<Span>> = addresses.iter().map(|_| None).collect();
    let mut last: Vec<Option<&Raw>> = vec![None; addresses.len()];
    for raw in batch.records() {
        let index = raw.stream as usize;
        let stream = &batch.streams()[index];
        let span = spans[index].get_or_insert_with(|| Span {
            source: stream.origin.source,
            first_start: raw.start,
            last_start: raw.start,
            end: raw.end,
            mark: None,
            carried: Vec::new(),
            topic: stream.topic.clone(),
            partition: addresses[index].partition,
        });
        span.last_start = raw.start;
        span.end = raw.end;
        last[index] = Some(raw);
    }
    for (span, raw) in spans.iter_mut().zip(last) {
        if let (Some(span), Some(raw)) = (span, raw) {
            span.carried = batch.carried(raw).to_vec();
        }
    }
    spans.into_iter().flatten().collect()
}
