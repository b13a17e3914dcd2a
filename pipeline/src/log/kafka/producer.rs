//! The one producer of a log. Every append is a batch whose records count down as the brokers
//! acknowledge them; what is on its way is bounded by bytes, and `append` waits while that is full,
//! for as long as there is patience.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::cloudevents::CloudEvents;
use super::failure::{Faults, journal};
use super::settings::Headers;
use crate::lock::lock;
use crate::log::headers_of;
use crate::seams::{Appended, LogError, Outgoing, Pending};
use crate::stop::Patience;

/// How often a full queue is looked at again; it drains by megabytes meanwhile.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// Records of one append that are still to be acknowledged.
pub(super) struct Batch(Mutex<InFlight>);

struct InFlight {
    left: usize,
    /// By the topic's address in librdkafka, which is compared faster than its name.
    reached: Vec<(usize, String, u32, u64)>,
    failed: Option<LogError>,
    promise: SyncSender<Result<Appended, LogError>>,
}

impl Batch {
    fn new(records: usize) -> (Arc<Self>, Pending) {
        let (promise, pending) = Pending::channel();
        let in_flight = InFlight { left: records, reached: Vec::new(), failed: None, promise };
        (Arc::new(Self(Mutex::new(in_flight))), pending)
    }

    /// `records` of the batch will not be sent.
    fn abandon(&self, records: usize, error: LogError) {
        let mut batch = lock(&self.0);
        batch.failed.get_or_insert(error);
        batch.answered(records);
    }

    fn acknowledged(&self, message: &BorrowedMessage<'_>) {
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let partition = u32::try_from(message.partition()).unwrap_or_default();
        let topic = message.topic_ptr().addr();
        let mut batch = lock(&self.0);
        let known =
            batch.reached.iter_mut().find(|(at, _, of, _)| *at == topic && *of == partition);
        match known {
            Some((_, _, _, highest)) => *highest = offset.max(*highest),
            None => {
                let name = message.topic().to_owned();
                batch.reached.push((topic, name, partition, offset));
            }
        }
        batch.answered(1);
    }
}

impl InFlight {
    fn answered(&mut self, records: usize) {
        self.left -= records;
        if self.left == 0 {
            let reached = std::mem::take(&mut self.reached).into_iter();
            let appended = reached.map(|(_, topic, partition, offset)| (topic, partition, offset));
            let result = self.failed.take().map_or_else(|| Ok(appended.collect()), Err);
            // The caller may have gone without waiting.
            let _ = self.promise.send(result);
        }
    }
}

/// Receives what the brokers say about each record, on the producer's own thread.
pub(super) struct Deliveries {
    faults: Faults,
}

impl rdkafka::ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        journal(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.faults.note(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(message) => batch.acknowledged(message),
            Err((error, message)) => {
                let bytes = message.payload_len() + message.key_len();
                batch.abandon(1, self.decide(error, message.topic(), bytes));
            }
        }
    }
}

impl Deliveries {
    fn decide(&self, error: &KafkaError, topic: &str, bytes: usize) -> LogError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
                LogError::Stop(
                    format!(
                        "{topic} refuses a record of {bytes} bytes: raise the topic's \
                         max.message.bytes to --kafka-record-bytes-max"
                    ),
                    None,
                )
            }
            Some(code) => self.faults.judge(code, &error.to_string(), Some(topic)),
            None => LogError::Retry(error.to_string(), None),
        }
    }
}

/// A record on its way, and the batch that it is one of.
type ToSend<'r> = BaseRecord<'r, [u8], [u8], Arc<Batch>>;

/// The producer, which librdkafka's own thread and one of ours serve.
pub(super) struct Producer {
    pub inner: Arc<ThreadedProducer<Deliveries>>,
    cloudevents: Option<CloudEvents>,
}

impl Producer {
    pub fn new(config: &ClientConfig, headers: Headers, faults: &Faults) -> Result<Self, LogError> {
        let context = Deliveries { faults: faults.clone() };
        let inner = config.create_with_context(context).map_err(|error| unusable(&error))?;
        let inner = Arc::new(inner);
        faults.supply(&inner);
        let cloudevents = (headers == Headers::CloudEvents).then(CloudEvents::default);
        Ok(Self { inner, cloudevents })
    }

    /// The broker has lost track of our sequence; only a new producer can go on.
    pub fn is_broken(&self) -> bool {
        self.inner.client().fatal_error().is_some()
    }

    /// Takes the records in order, waiting while the queue is full.
    ///
    /// # Errors
    /// [`LogError::Stopped`] when there is no more patience: only the first of them were sent, so
    /// that nothing may be sent after them.
    pub fn append(
        &self,
        records: &[Outgoing<'_>],
        patience: &Patience,
    ) -> Result<Pending, LogError> {
        self.send_all(records, patience, |record, batch| {
            let message = BaseRecord::with_opaque_to(record.topic, batch)
                .partition(partition_i32(record.partition))
                .payload(record.value)
                .key(record.key)
                .timestamp(record.timestamp_ms);
            Ok(match self.headers(record)? {
                Some(headers) => message.headers(headers),
                None => message,
            })
        })
    }

    fn headers(&self, record: &Outgoing<'_>) -> Result<Option<OwnedHeaders>, LogError> {
        match (&self.cloudevents, record.header) {
            (Some(cloudevents), Some(ours)) => cloudevents.headers(record, ours).map(Some),
            _ => Ok(native_headers(record)),
        }
    }

    /// Appends keys and values of a compacted topic; no value removes the key.
    ///
    /// # Errors
    /// As [`Producer::append`].
    pub fn append_compacted(
        &self,
        topic: &str,
        changes: &[(Vec<u8>, Option<Vec<u8>>)],
        patience: &Patience,
    ) -> Result<Pending, LogError> {
        self.send_all(changes, patience, |(key, value), batch| {
            let mut message = BaseRecord::with_opaque_to(topic, batch).key(key.as_slice());
            message.payload = value.as_deref();
            Ok(message)
        })
    }

    /// Sends what `message` makes of each record, as one batch; behind one that cannot be sent
    /// nothing is.
    fn send_all<'r, R>(
        &self,
        records: &'r [R],
        patience: &Patience,
        message: impl Fn(&'r R, Arc<Batch>) -> Result<ToSend<'r>, LogError>,
    ) -> Result<Pending, LogError> {
        let (batch, pending) = Batch::new(records.len().max(1));
        if records.is_empty() {
            lock(&batch.0).answered(1);
        }
        for (at, record) in records.iter().enumerate() {
            let sent = message(record, Arc::clone(&batch));
            match sent.and_then(|message| self.send(message, patience)) {
                Ok(()) => {}
                Err(LogError::Stopped) => return Err(LogError::Stopped),
                Err(error) => {
                    batch.abandon(records.len() - at, error);
                    break;
                }
            }
        }
        Ok(pending)
    }

    fn send(&self, mut message: ToSend<'_>, patience: &Patience) -> Result<(), LogError> {
        loop {
            match self.inner.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if patience.is_over() {
                        return Err(LogError::Stopped);
                    }
                    message = back;
                    self.inner.poll(FULL_WAIT);
                }
                Err((error, refused)) => {
                    let context = self.inner.client().context();
                    return Err(context.decide(&error, refused.topic, 0));
                }
            }
        }
    }
}

fn native_headers(record: &Outgoing<'_>) -> Option<OwnedHeaders> {
    let count = headers_of(record).count();
    if count == 0 {
        return None;
    }
    let native = OwnedHeaders::new_with_capacity(count);
    Some(
        headers_of(record)
            .fold(native, |native, (key, value)| native.insert(Header { key, value: Some(value) })),
    )
}

/// Kafka counts partitions as `i32`; a number over it is no partition of anything.
pub(super) fn partition_i32(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// librdkafka did not take its settings.
pub(super) fn unusable(error: &KafkaError) -> LogError {
    // Its text repeats the value, which may be a secret.
    let text = match error {
        KafkaError::ClientConfig(_, reason, key, _) => format!("{key}: {reason}"),
        error => error.to_string(),
    };
    LogError::Stop(format!("{text}: check the KAFKA_ settings and --kafka-option"), None)
}
