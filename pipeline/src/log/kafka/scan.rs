//! Reading a range of a partition outside of any group: what recovery and positions need.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::cloudevents;
use super::failure::{Faults, Plain};
use super::producer::{partition_i32, unusable};
use crate::header;
use crate::log::LAST_WAIT;
use crate::seams::{FindHeader, LogError, LogRecord, MoreHeaders, Visit};
use crate::stop::Patience;

/// A broker that restarts is back well within this.
const QUIET_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// Offsets are asked for as often as fits, so that a stop waits for one question only.
const ASK: Duration = Duration::from_secs(4);
const ASK_TIMES: u32 = 5;
/// Between two questions of which the first was refused at once.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A consumer that is assigned by hand and never joins its group.
pub(super) struct Scanner {
    consumer: Arc<BaseConsumer<Plain>>,
    faults: Faults,
}

impl Scanner {
    pub fn new(config: &mut ClientConfig, faults: &Faults) -> Result<Self, LogError> {
        config.set("enable.partition.eof", "true");
        let consumer = config.create_with_context(Plain(faults.clone()));
        let consumer = Arc::new(consumer.map_err(|error| unusable(&error))?);
        faults.supply(&consumer);
        Ok(Self { consumer, faults: faults.clone() })
    }

    /// Visits what is there of `[from, to)`; `lost` is told what is gone of its beginning.
    pub fn scan(
        &self,
        (topic, partition): (&str, u32),
        (from, to): (u64, u64),
        lost: &dyn Fn((u64, u64)) -> Result<(), LogError>,
        patience: &Patience,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let partition = partition_i32(partition);
        let decide = |error: &KafkaError| self.faults.decide(error, Some(topic));
        let watermarks = || self.consumer.fetch_watermarks(topic, partition, ASK);
        let (low, high) = self.ask(topic, patience, watermarks)?;
        if from < offset_u64(low).min(to) {
            lost((from, offset_u64(low)))?;
        }
        let from = from.max(offset_u64(low));
        let to = to.min(offset_u64(high));
        if from >= to {
            return Ok(());
        }
        let mut start = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        start
            .add_partition_offset(topic, partition, offset)
            .and_then(|()| self.consumer.assign(&start))
            .map_err(|error| decide(&error))?;
        let scanned = self.visit_until(topic, to, patience, visit);
        self.consumer.unassign().map_err(|error| decide(&error))?;
        scanned
    }

    /// What is there, from the first record on that was stamped at `from_ms` or later.
    pub fn offsets(
        &self,
        topic: &str,
        partition: u32,
        from_ms: Option<i64>,
        patience: &Patience,
    ) -> Result<Range<u64>, LogError> {
        let partition = partition_i32(partition);
        let decide = |error: KafkaError| self.faults.decide(&error, Some(topic));
        let watermarks = || self.consumer.fetch_watermarks(topic, partition, ASK);
        let (low, high) = self.ask(topic, patience, watermarks)?;
        let (low, high) = (offset_u64(low), offset_u64(high));
        let Some(from_ms) = from_ms else { return Ok(low..high) };
        let mut asked = TopicPartitionList::with_capacity(1);
        asked
            .add_partition_offset(topic, partition, Offset::Offset(from_ms.max(0)))
            .map_err(decide)?;
        let at_time = || self.consumer.offsets_for_times(asked.clone(), ASK);
        let found = self.ask(topic, patience, at_time)?;
        let first = match found.find_partition(topic, partition).map(|one| one.offset()) {
            Some(Offset::Offset(first)) => offset_u64(first).clamp(low, high),
            // No record is as late as that.
            _ => high,
        };
        Ok(first..high)
    }

    /// Where partitions end; `None` of one whose leader does not answer.
    pub fn ends(
        &self,
        partitions: &[(&str, u32)],
        patience: &Patience,
    ) -> Result<Vec<Option<u64>>, LogError> {
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            asked
                .add_partition_offset(topic, partition_i32(*partition), Offset::End)
                .map_err(|error| self.faults.decide(&error, Some(topic)))?;
        }
        let of_all = || self.consumer.offsets_for_times(asked.clone(), ASK);
        let found =
            self.ask(partitions.first().map_or("", |(topic, _)| topic), patience, of_all)?;
        let end = |(topic, partition): &(&str, u32)| {
            let one = found.find_partition(topic, partition_i32(*partition))?;
            match (one.error(), one.offset()) {
                (Ok(()), Offset::Offset(end)) => Some(offset_u64(end)),
                _ => None,
            }
        };
        Ok(partitions.iter().map(end).collect())
    }

    /// Asks again while no broker answers, and there is patience.
    fn ask<T>(
        &self,
        topic: &str,
        patience: &Patience,
        question: impl Fn() -> Result<T, KafkaError>,
    ) -> Result<T, LogError> {
        let (began, mut times) = (Instant::now(), 1);
        loop {
            let asked = Instant::now();
            let error = match question() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if patience.is_over() {
                return Err(LogError::Stopped);
            }
            let decided = self.faults.decide(&error, Some(topic));
            if asked.elapsed() >= ASK && times < ASK_TIMES {
                times += 1;
                continue;
            }
            // What was refused at once is asked again only if it may pass soon: a partition that was
            // just made has no leader for a moment.
            if !matches!(decided, LogError::Retry(..)) || began.elapsed() >= ASK {
                return Err(decided);
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    fn visit_until(
        &self,
        topic: &str,
        to: u64,
        patience: &Patience,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let mut heard = Instant::now();
        let mut space = Vec::new();
        loop {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let offset = offset_u64(message.offset());
                    let headers = Native(message.headers());
                    let more_headers = MoreHeaders::of(&headers);
                    let record = LogRecord { more_headers, ..record(&message, &mut space) };
                    let flow = match offset < to {
                        true => visit(record),
                        false => ControlFlow::Break(()),
                    };
                    if flow.is_break() || offset + 1 >= to {
                        return Ok(());
                    }
                }
                // The last offsets of the range hold no record (compacted, or a transaction's mark).
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => match self.faults.decide(&error, Some(topic)) {
                    LogError::Retry(..) => {}
                    other => return Err(other),
                },
                None => {}
            }
            if patience.is_over() && heard.elapsed() > LAST_WAIT {
                return Err(LogError::Stopped);
            }
            if heard.elapsed() > QUIET_MAX {
                let text = format!(
                    "{} gave nothing of {topic} for {} s: check KAFKA_BOOTSTRAP_SERVERS",
                    self.faults.brokers(),
                    QUIET_MAX.as_secs()
                );
                return Err(LogError::Retry(text, None));
            }
        }
    }
}

/// Kafka's offsets are never negative for a record that is there.
pub(super) fn offset_u64(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or_default()
}

/// The message as the seam shows it, without its further headers; nothing is copied,
/// except the header of a CloudEvent, which is decoded into `space`.
pub(super) fn record<'m>(
    message: &'m BorrowedMessage<'_>,
    space: &'m mut Vec<u8>,
) -> LogRecord<'m> {
    LogRecord {
        topic: message.topic(),
        partition: u32::try_from(message.partition()).unwrap_or_default(),
        offset: offset_u64(message.offset()),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().unwrap_or_default(),
        value: message.payload().unwrap_or_default(),
        header: message.headers().and_then(|headers| ours(headers, space)),
        more_headers: MoreHeaders::default(),
    }
}

/// All headers of a message, looked at only when one is asked for.
pub(super) struct Native<'m>(pub Option<&'m BorrowedHeaders>);

impl FindHeader for Native<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0?.iter().find(|header| header.key == name)?.value
    }
}

fn ours<'m>(headers: &'m BorrowedHeaders, space: &'m mut Vec<u8>) -> Option<&'m [u8]> {
    let found =
        headers.iter().find(|header| matches!(header.key, header::NAME | cloudevents::OURS))?;
    match found.key {
        header::NAME => found.value,
        _ => Some(cloudevents::decode(found.value?, space)),
    }
}
