//! An input as a source of the producer loop, so that what is loaded goes the way of all records:
//! positions behind acknowledgements, and after a crash what the log has already.
//!
//! Framing is a function of the bytes, and they are all there: a start frames the input anew from
//! its first byte and leaves out what is before its position, so that no boundary can move.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;
use tahoe_pipeline::renewed::Screens;
use tahoe_pipeline::service::Progress;
use tahoe_schemas::{Frame, Frames, LineFramer, datasets};
use tahoe_seams::{Batch, BatchEnd, Framer, Known, Origin, Source, SourceError, SourceId, Stream};

use super::input::Input;
use super::prefix::Prefix;
use crate::exported::Exported;

/// Bytes read at a time.
const READ_BYTES: u64 = 1 << 18;

/// Bytes without an end of a record that are held in memory at most.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// How an input is cut, and what its records are marked with.
#[derive(Clone)]
pub struct How {
    /// What every record is marked with; the dataset is empty if each names its own.
    pub origin: Origin,
    /// Topic in place of the dataset's own.
    pub topic: Option<String>,
    /// Where records begin and end; none if they were exported.
    pub framer: Option<(&'static dyn Framer, Vec<u8>)>,
    /// Milliseconds since the epoch that stand for the time of reading.
    pub read_at_ms: i64,
    /// The privacy policy that comes before the log.
    pub screen: Option<Arc<Screens>>,
}

/// What was seen of an input.
#[derive(Debug, Default)]
pub struct Seen {
    /// Records of it.
    pub records: AtomicU64,
    /// Those that were in the log before this start.
    pub already_there: AtomicU64,
}

/// One input, read to its end.
pub struct Loading {
    input: Input,
    how: How,
    seen: Arc<Seen>,
    progress: Arc<Mutex<Progress>>,
    /// Bytes of the inputs before this one.
    before: u64,
    bytes: Option<Box<dyn Read + Send>>,
    frames: Frames<'static>,
    buffer: Vec<u8>,
    read: u64,
    /// Of standard input, which a name alone does not tell.
    prefix: Option<Prefix>,
    next: HashMap<SourceId, u64>,
    streams: Vec<Arc<Stream>>,
    closed: bool,
    ended: bool,
}

impl Loading {
    /// Of this input, from its first byte.
    pub fn new(
        input: &Input,
        how: &How,
        seen: &Arc<Seen>,
        progress: &Arc<Mutex<Progress>>,
        before: u64,
    ) -> Self {
        let frames = match &how.framer {
            Some((framer, context)) => Frames::with_context(*framer, context.clone()),
            None => Frames::new(&LineFramer),
        };
        Self {
            input: input.clone(),
            how: how.clone(),
            seen: Arc::clone(seen),
            progress: Arc::clone(progress),
            before,
            bytes: None,
            frames,
            buffer: Vec::new(),
            read: 0,
            prefix: input.bytes.is_none().then(Prefix::default),
            next: HashMap::new(),
            streams: Vec::new(),
            closed: false,
            ended: false,
        }
    }

    /// Reads once and adds what is whole.
    fn step(&mut self, batch: &mut Batch) -> Result<(), SourceError> {
        let stop = |text: String| SourceError::Stop(text, None);
        let name = self.input.name.clone();
        let bytes = match &mut self.bytes {
            Some(bytes) => bytes,
            None => {
                let opened = self.input.read().map_err(|error| stop(format!("{error:#}")))?;
                self.bytes.insert(opened)
            }
        };
        let held = self.buffer.len();
        let read = bytes.take(READ_BYTES).read_to_end(&mut self.buffer);
        let read = read.map_err(|error| stop(format!("{name}: {error}")))?;
        self.read += read as u64;
        let ended = read == 0;
        if let Some(prefix) = &mut self.prefix {
            let seen = prefix.see(&self.buffer[held..], ended);
            seen.map_err(|error| stop(format!("{}: {error}", self.input.path)))?;
        }
        let mut frames = std::mem::replace(&mut self.frames, Frames::new(&LineFramer));
        let buffer = std::mem::take(&mut self.buffer);
        let mut failure = None;
        let used = frames.feed(&buffer, ended, &mut |frame| {
            if failure.is_none()
                && let Err(error) = self.record(&frame, batch)
            {
                failure = Some(format!("{name}:{}: {error:#}", frame.line));
            }
        });
        (self.frames, self.buffer) = (frames, buffer);
        self.buffer.drain(..used);
        if let Some(text) = failure {
            return Err(stop(text));
        }
        if self.buffer.len() > RECORD_BYTES_MAX {
            let text = format!(
                "{name}: no record ends within {RECORD_BYTES_MAX} bytes: is it of --dataset {}?",
                self.how.origin.dataset
            );
            return Err(stop(text));
        }
        if ended {
            self.end(batch);
        }
        Ok(())
    }

    /// Keeps with the positions that there is nothing behind them.
    fn end(&mut self, batch: &mut Batch) {
        self.ended = true;
        for stream in &self.streams {
            batch.stream(stream);
            let mut about = json!({
                "path": self.input.path, "bytes": self.read, "ended": true,
                "records": self.seen.records.load(Ordering::Relaxed),
                "streams": self.streams.len(),
            });
            if let Some(prefix) = &self.prefix {
                about["digest"] = prefix.digest().into();
            }
            batch.identify(stream.origin.source, about);
        }
    }

    fn record(&mut self, frame: &Frame<'_>, batch: &mut Batch) -> anyhow::Result<()> {
        if self.how.framer.is_some() {
            let stream = self.stream(self.how.origin.clone(), "");
            return self.push(&stream, frame, frame.bytes, self.how.read_at_ms, batch);
        }
        let exported = Exported::read(frame.bytes)?;
        let (bytes, context) = (exported.bytes()?, exported.context()?);
        let mut origin = exported.origin(&exported.dataset);
        datasets::named(&origin.dataset).map_err(|error| anyhow!(error))?;
        if origin.namespace.is_empty() {
            origin.namespace.clone_from(&self.how.origin.namespace);
        }
        let read_at_ms = exported.read_at().map_or(self.how.read_at_ms, |at| at.as_millisecond());
        let more =
            format!("{}\0{}\0{}\0{}", origin.host, origin.path, origin.peer, origin.time_zone);
        let stream = self.stream(origin, &more);
        let frame = Frame { context: &context, part: exported.part(), ..*frame };
        self.push(&stream, &frame, &bytes, read_at_ms, batch)
    }

    fn push(
        &self,
        stream: &Arc<Stream>,
        frame: &Frame<'_>,
        bytes: &[u8],
        read_at_ms: i64,
        batch: &mut Batch,
    ) -> anyhow::Result<()> {
        self.seen.records.fetch_add(1, Ordering::Relaxed);
        let next = self.next.get(&stream.origin.source).copied().unwrap_or(0);
        let is_there = match &self.prefix {
            Some(prefix) => prefix.has_loaded(frame, next).map_err(|error| anyhow!(error))?,
            None => frame.start < next,
        };
        if is_there {
            self.seen.already_there.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let index = batch.stream(stream);
        let span = (frame.start, frame.end);
        batch.push(index, span, bytes, frame.context, b"", read_at_ms, frame.part);
        Ok(())
    }

    fn stream(&mut self, origin: Origin, more: &str) -> Arc<Stream> {
        let source = self.input.source(&origin.dataset, &origin.namespace, more);
        let known = self.streams.iter().find(|stream| stream.origin.source == source);
        if let Some(stream) = known {
            return Arc::clone(stream);
        }
        let declared = datasets::find(&origin.dataset).map(|dataset| dataset.declared().topic);
        let topic = self.how.topic.clone().or(declared.map(str::to_owned)).unwrap_or_default();
        let origin = Origin { source, ..origin };
        let key = source.0.to_vec();
        let stream = Arc::new(Stream { origin, topic, key, lane: None, resumable: true });
        self.streams.push(Arc::clone(&stream));
        stream
    }
}

impl Source for Loading {
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        self.prefix = self.prefix.take().map(|_| Prefix::of(&known));
        self.next = known.into_iter().map(|known| (known.source, known.next)).collect();
        Ok(())
    }

    fn read(&mut self, batch: &mut Batch, _wait: Duration) -> Result<(), SourceError> {
        while !self.ended && !self.closed && !batch.is_full() {
            self.step(batch)?;
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.set(self.before + self.read, || self.input.name.clone());
        }
        Ok(())
    }

    /// Nothing to acknowledge: a file keeps its bytes.
    fn release(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    /// The rest can be read by the next start.
    fn close(&mut self) -> Result<(), SourceError> {
        self.closed = true;
        Ok(())
    }
}
