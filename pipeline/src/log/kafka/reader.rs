//! A member of a consumer group that gives a partition back only when its work is done.
//!
//! librdkafka tells of a revocation and then waits, without delivering anything, until the member
//! lets go: that wait is the time between [`Polled::Revoking`] and `confirm_revoked`. Only when the
//! session is lost already there is nothing to wait for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::failure::{Faults, journal};
use super::producer::{partition_i32, unusable};
use super::scan::{Native, offset_u64, record};
use super::settings::LostOffsets;
use super::standing::Standing;
use crate::lock::lock;
use crate::log::{durable, start_thread};
use crate::seams::{LogError, LogReader, LogRecord, MoreHeaders, Pending, Polled, Visit};
use crate::stop::Patience;

/// What one call visits at most, so that it comes back often.
const READ_BYTES: usize = 1 << 20;
/// For the questions behind `lag`.
const ASK: Duration = Duration::from_secs(5);

/// What the group did, until `read` tells it.
#[derive(Default)]
struct Changes {
    untold: VecDeque<Polled>,
    /// Told or not, these are not given back yet.
    revoking: Option<TopicPartitionList>,
}

/// Receives what the group decides, on the thread that calls `read`.
struct Member {
    faults: Faults,
    changes: Mutex<Changes>,
    paused: AtomicBool,
    closing: AtomicBool,
}

impl rdkafka::ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        journal(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.faults.note(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done = if assigned {
            self.take(consumer, partitions)
        } else if self.closing.load(Ordering::Acquire) {
            consumer.incremental_unassign(partitions)
        } else if consumer.assignment_lost() {
            let lost = Polled::Lost(names(partitions));
            self.changes().untold.push_back(lost);
            consumer.incremental_unassign(partitions)
        } else {
            let mut changes = self.changes();
            changes.untold.push_back(Polled::Revoking(names(partitions)));
            changes.revoking = Some(partitions.clone());
            Ok(())
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the group's decision cannot be followed");
        }
    }
}

impl Member {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        lock(&self.changes)
    }

    /// A partition keeps its pause while it is away, so that it is set anew either way.
    fn take(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> KafkaResult<()> {
        consumer.incremental_assign(partitions)?;
        if self.paused.load(Ordering::Acquire) {
            consumer.pause(partitions)
        } else {
            consumer.resume(partitions)
        }
    }
}

fn names(partitions: &TopicPartitionList) -> Vec<(String, u32)> {
    let elements = partitions.elements();
    elements
        .iter()
        .map(|one| (one.topic().to_owned(), u32::try_from(one.partition()).unwrap_or_default()))
        .collect()
}

/// Where a partition was read to.
struct Place {
    /// The topic's address in librdkafka, which is compared faster than its name.
    address: usize,
    topic: String,
    partition: i32,
    next: i64,
    /// See [`LogReader::replayed_to`].
    replayed_to: i64,
}

/// See [`LogReader`].
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Member>>,
    faults: Faults,
    lost_offsets: LostOffsets,
    patience: Patience,
    places: Vec<Place>,
    /// Where the partitions that were assigned ended when one of them was asked about first.
    ends: HashMap<(String, i32), i64>,
    /// For headers that have to be decoded.
    space: Vec<u8>,
}

impl Reader {
    pub fn join(
        mut config: ClientConfig,
        topics: &[String],
        faults: &Faults,
        lost_offsets: LostOffsets,
        patience: Patience,
    ) -> Result<Self, LogError> {
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let member = Member {
            faults: faults.clone(),
            changes: Mutex::default(),
            paused: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<Member> =
            config.create_with_context(member).map_err(|error| unusable(&error))?;
        let consumer = Arc::new(consumer);
        faults.supply(&consumer);
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| unusable(&error))?;
        Ok(Self {
            consumer,
            faults: faults.clone(),
            lost_offsets,
            patience,
            places: Vec::new(),
            ends: HashMap::new(),
            space: Vec::new(),
        })
    }

    fn decide(&self, error: &KafkaError) -> LogError {
        while_reading(self.faults.decide(error, None))
    }

    fn change(&mut self) -> Option<Polled> {
        let change = self.consumer.context().changes().untold.pop_front()?;
        // Those of a revocation are still committed to until it is confirmed.
        if let Polled::Lost(gone) = &change {
            self.forget(gone);
        }
        Some(change)
    }

    fn forget(&mut self, gone: &[(String, u32)]) {
        self.ends.clear();
        self.places.retain(|place| {
            let partition = u32::try_from(place.partition).unwrap_or_default();
            !gone.iter().any(|(topic, of)| *topic == place.topic && *of == partition)
        });
    }

    fn place(&self, topic: &str, partition: i32) -> Option<&Place> {
        self.places.iter().find(|place| place.partition == partition && place.topic == topic)
    }

    fn assignment(&self) -> Result<TopicPartitionList, LogError> {
        self.consumer.assignment().map_err(|error| self.decide(&error))
    }

    /// The offset that the group has committed, and what it said with it if it was one of us.
    fn committed(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<(i64, Option<Standing>)>, LogError> {
        let mut asked = TopicPartitionList::with_capacity(1);
        asked.add_partition(topic, partition);
        let committed = self.consumer.committed_offsets(asked, ASK);
        let committed = committed.map_err(|error| self.decide(&error))?;
        let one = committed.find_partition(topic, partition);
        Ok(one.and_then(|one| match one.offset() {
            Offset::Offset(next) => Some((next, Standing::read(one.metadata(), next))),
            _ => None,
        }))
    }

    /// Where a partition ended since it was assigned: behind everything that another member stored.
    fn end(&mut self, topic: &str, partition: i32) -> Result<i64, LogError> {
        let wanted = (topic.to_owned(), partition);
        if let Some(end) = self.ends.get(&wanted) {
            return Ok(*end);
        }
        let found = self.offsets(&self.assignment()?, Offset::End)?;
        for one in found.elements() {
            self.ends.insert((one.topic().to_owned(), one.partition()), self.offset(&one)?);
        }
        let taken_away = || LogError::Retry("the partition was taken away".to_owned(), None);
        self.ends.get(&wanted).copied().ok_or_else(taken_away)
    }

    /// Where partitions begin or end, in one question for all: on the way that it takes, it waits
    /// for a fetch that waits for records, which is up to a second.
    fn offsets(
        &self,
        partitions: &TopicPartitionList,
        at: Offset,
    ) -> Result<TopicPartitionList, LogError> {
        let mut asked = partitions.clone();
        if asked.count() == 0 {
            return Ok(asked);
        }
        let found = match asked.set_all_offsets(at) {
            Ok(()) => self.consumer.offsets_for_times(asked, ASK),
            Err(error) => Err(error),
        };
        found.map_err(|error| self.decide(&error))
    }

    /// The answer for one of them.
    fn offset(&self, one: &TopicPartitionListElem<'_>) -> Result<i64, LogError> {
        one.error().map_err(|error| self.decide(&error))?;
        match one.offset() {
            Offset::Offset(offset) => Ok(offset),
            _ => Ok(0),
        }
    }

    /// A record that was not given to anybody comes again.
    fn unread(&self, message: &BorrowedMessage<'_>) {
        let offset = Offset::Offset(message.offset());
        let sought = self.consumer.seek(message.topic(), message.partition(), offset, SEEK);
        if let Err(error) = sought {
            tracing::debug!(%error, "the partition is read again with the group's next session");
        }
    }

    /// What holds of a partition whose first record has come: up to where the group reads again
    /// what may be stored. It is told if records are gone between what the group has committed and
    /// the first that came: librdkafka then goes on from the earliest without a word.
    fn begin(&mut self, message: &BorrowedMessage<'_>) -> Result<i64, LogError> {
        let (topic, partition) = (message.topic(), message.partition());
        let Some((next, standing)) = self.committed(topic, partition)? else {
            return self.end(topic, partition);
        };
        if message.offset() > next {
            let low = self.consumer.fetch_watermarks(topic, partition, ASK);
            let (low, _) = low.map_err(|error| self.decide(&error))?;
            if low > next {
                let gone = (offset_u64(next), offset_u64(low));
                let loss = "before this group had read them";
                self.lost_offsets.decide((topic, partition), gone, loss)?;
            }
        }
        match standing.filter(|_| message.offset() >= next) {
            Some(standing) => Ok(standing.replayed_to),
            None => {
                let high = self.end(topic, partition)?;
                tracing::info!(
                    topic,
                    partition,
                    from = message.offset(),
                    to = high,
                    "the group was set back, or is new here: what is read is looked up everywhere"
                );
                Ok(high)
            }
        }
    }
}

/// A broker that has just started knows no topic for a moment. One that is gone is told when the
/// reader begins again, which looks for its topics first.
fn while_reading(error: LogError) -> LogError {
    match error {
        LogError::NoTopic(_) => {
            LogError::Retry("the broker knows no topic that is read".to_owned(), None)
        }
        other => other,
    }
}

/// Says whether the partition is known.
fn note(places: &mut [Place], message: &BorrowedMessage<'_>) -> bool {
    let (address, partition) = (message.topic_ptr().addr(), message.partition());
    let known = places.iter_mut().find(|one| one.address == address && one.partition == partition);
    match known {
        Some(place) => {
            place.next = message.offset() + 1;
            true
        }
        None => false,
    }
}

/// How long the return to a record may take.
const SEEK: Duration = Duration::from_secs(10);

impl LogReader for Reader {
    fn read(&mut self, wait: Duration, visit: &mut Visit<'_>) -> Result<Polled, LogError> {
        if let Some(change) = self.change() {
            return Ok(change);
        }
        let mut wait = wait;
        let mut bytes = 0;
        let consumer = Arc::clone(&self.consumer);
        while bytes < READ_BYTES {
            match consumer.poll(wait) {
                Some(Ok(message)) => {
                    wait = Duration::ZERO;
                    bytes += message.payload_len() + message.key_len();
                    if !note(&mut self.places, &message) {
                        let replayed_to = match self.begin(&message) {
                            Ok(replayed_to) => replayed_to,
                            Err(error) => {
                                self.unread(&message);
                                return Err(error);
                            }
                        };
                        self.places.push(Place {
                            address: message.topic_ptr().addr(),
                            topic: message.topic().to_owned(),
                            partition: message.partition(),
                            next: message.offset() + 1,
                            replayed_to,
                        });
                    }
                    let headers = Native(message.headers());
                    let more_headers = MoreHeaders::of(&headers);
                    let record = record(&message, &mut self.space);
                    if visit(LogRecord { more_headers, ..record }).is_break() {
                        break;
                    }
                }
                Some(Err(error)) => match self.decide(&error) {
                    LogError::Stop(text, cause) => return Err(LogError::Stop(text, cause)),
                    // librdkafka goes on by itself; the caller's next call sees what comes of it.
                    other => {
                        tracing::debug!(error = %other, "the group's session");
                        break;
                    }
                },
                None => break,
            }
        }
        Ok(self.change().unwrap_or(Polled::Records))
    }

    fn commit(&mut self, next: &[(String, u32, u64)]) -> Result<(), LogError> {
        if next.is_empty() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (topic, partition, next) in next {
            let (partition, next) = (partition_i32(*partition), i64::try_from(*next));
            let next = next.unwrap_or(i64::MAX);
            let replayed_to = self.place(topic, partition).map_or(0, |place| place.replayed_to);
            let mut one = offsets.add_partition(topic, partition);
            one.set_metadata(Standing { next, replayed_to }.text());
            one.set_offset(Offset::Offset(next)).map_err(|error| self.decide(&error))?;
        }
        // Without a coordinator librdkafka waits for one, ten minutes long; a thread of its own
        // does, so that a stop need not.
        let (promise, pending) = Pending::channel();
        let (consumer, faults) = (Arc::clone(&self.consumer), self.faults.clone());
        start_thread("log-commit", move || {
            let committed = match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
                Err(error) => Err(while_reading(faults.decide(&error, None))),
            };
            drop(consumer);
            // The loop may have gone without waiting.
            let _ = promise.send(committed.map(|()| Vec::new()));
        })?;
        durable(&pending, &self.patience).map(drop)
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        self.consumer.context().paused.store(paused, Ordering::Release);
        let assignment = self.assignment()?;
        let done = if paused {
            self.consumer.pause(&assignment)
        } else {
            self.consumer.resume(&assignment)
        };
        done.map_err(|error| self.decide(&error))
    }

    fn confirm_revoked(&mut self) -> Result<(), LogError> {
        let revoking = self.consumer.context().changes().revoking.take();
        match revoking {
            Some(partitions) => {
                self.forget(&names(&partitions));
                self.consumer.incremental_unassign(&partitions).map_err(|error| self.decide(&error))
            }
            None => Ok(()),
        }
    }

    fn lag(&self) -> Result<Vec<(String, u32, u64)>, LogError> {
        let assignment = self.assignment()?;
        let ends = self.offsets(&assignment, Offset::End)?;
        // Of the others, what the group has committed is next, or else the earliest.
        let mut untouched = TopicPartitionList::new();
        for one in assignment.elements() {
            if self.place(one.topic(), one.partition()).is_none() {
                untouched.add_partition(one.topic(), one.partition());
            }
        }
        let begins = self.offsets(&untouched, Offset::Beginning)?;
        let committed = match untouched.count() {
            0 => Ok(untouched),
            _ => self.consumer.committed_offsets(untouched, ASK),
        };
        let committed = committed.map_err(|error| self.decide(&error))?;
        let mut lag = Vec::with_capacity(ends.count());
        for end in ends.elements() {
            let (topic, partition) = (end.topic(), end.partition());
            let high = self.offset(&end)?;
            let next = match self.place(topic, partition) {
                Some(place) => place.next,
                None => {
                    let begin = begins.find_partition(topic, partition);
                    let low = begin.map_or(Ok(0), |begin| self.offset(&begin))?;
                    let committed = committed.find_partition(topic, partition);
                    match committed.map(|one| one.offset()) {
                        Some(Offset::Offset(next)) => next.max(low),
                        _ => low,
                    }
                }
            };
            let partition = u32::try_from(partition).unwrap_or_default();
            lag.push((topic.to_owned(), partition, offset_u64(high - next)));
        }
        Ok(lag)
    }

    fn replayed_to(&self, topic: &str, partition: u32) -> u64 {
        let place = self.place(topic, partition_i32(partition));
        place.map_or(0, |place| offset_u64(place.replayed_to))
    }
}

impl Drop for Reader {
    /// Leaving the group revokes everything, which nobody would confirm any more.
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
        if let Err(error) = self.confirm_revoked() {
            tracing::debug!(%error, "the group is left with partitions in hand");
        }
    }
}
