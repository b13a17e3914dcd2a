//! The log as Apache Kafka keeps it: acks=all, an idempotent producer that sends again for as long
//! as it takes, and groups whose offsets only move when the loop says so. A broker that restarts
//! makes calls wait or ask for a retry; it loses nothing and ends nothing.

mod admin;
mod cloudevents;
mod failure;
mod iam;
mod ownership;
mod producer;
mod reader;
mod scan;
mod settings;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use self::settings::{
    Compression, Headers, KafkaArgs, LostOffsets, SaslMechanism, SecurityProtocol,
};

use self::admin::Admin;
use self::failure::Faults;
use self::producer::Producer;
use self::scan::Scanner;
use crate::clock::now_ms;
use crate::lock::lock;
use crate::log::{durable, fence_of};
use crate::retry::Backoff;
use crate::seams::{
    KeyValue, Log, LogError, LogReader, Outgoing, Ownership, Pending, Topic, Visit,
};
use crate::stop::Patience;

/// A partition without a leader has one again within this, or the brokers have other troubles.
const OFFSETS_WITHIN: Duration = Duration::from_secs(20);

/// Group of what is read outside of groups: librdkafka reads nothing for a consumer without one. It
/// is never joined, and only has to be seen.
pub const SCAN_GROUP: &str = "tahoe.scan";

/// Group whose only member is the process that has an owner's claim; what begins an owner's name
/// begins its group's.
pub fn group_of_owner(owner: &str) -> String {
    format!("tahoe.{owner}")
}

/// What Kafka adds to a record in a batch, at most: lengths, attributes, the batch's own head.
const RECORD_OVERHEAD: usize = 512;

/// A connection to Kafka: one producer, and clients for what else is asked of it.
pub struct KafkaLog {
    args: KafkaArgs,
    client_id: String,
    faults: Faults,
    patience: Patience,
    admin: Admin,
    producer: Mutex<Arc<Producer>>,
    scanner: Mutex<Option<Scanner>>,
    /// Topics that were found, so that a missing one is told at once and not after 30 s.
    found: Mutex<BTreeSet<String>>,
}

impl KafkaLog {
    /// Takes the settings; the brokers are asked for nothing yet, so that a service can start
    /// before they do. `client_id` names this client in the brokers' logs and quotas.
    ///
    /// # Errors
    /// [`LogError::Stop`] if a setting is missing, unreadable or refused by librdkafka.
    pub fn connect(args: &KafkaArgs, client_id: &str) -> Result<Self, LogError> {
        let brokers = args.kafka.as_deref().unwrap_or_default();
        let config = args.producer(client_id)?;
        let faults = Faults::of(brokers, args.login()?);
        let producer = Producer::new(&config, args.kafka_headers, &faults)?;
        let admin = Admin::new(&config, &faults)?;
        Ok(Self {
            args: args.clone(),
            client_id: client_id.to_owned(),
            faults,
            patience: Patience::default(),
            admin,
            producer: Mutex::new(Arc::new(producer)),
            scanner: Mutex::default(),
            found: Mutex::default(),
        })
    }

    /// Every call comes back when there is no more patience: [`LogError::Stopped`], which leaves
    /// what it was about to the next start.
    #[must_use]
    pub fn until(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The producer, made anew when a broker has lost its state; what was on its way then is told
    /// to those who wait for it.
    fn producer(&self) -> Result<Arc<Producer>, LogError> {
        let mut producer = lock(&self.producer);
        if producer.is_broken() {
            tracing::warn!("the producer is made anew");
            let (config, headers) = (self.args.producer(&self.client_id)?, self.args.kafka_headers);
            *producer = Arc::new(Producer::new(&config, headers, &self.faults)?);
        }
        Ok(Arc::clone(&producer))
    }

    fn find(&self, topic: &str) -> Result<(), LogError> {
        if !lock(&self.found).contains(topic) {
            self.admin.partitions(topic)?;
            lock(&self.found).insert(topic.to_owned());
        }
        Ok(())
    }

    /// What can be refused is refused before the first record is sent.
    fn accept(&self, records: &[Outgoing<'_>]) -> Result<(), LogError> {
        let limit = self.args.record_bytes_max;
        let mut topic = "";
        for record in records {
            let more = record.more_headers.iter().map(|(name, value)| name.len() + value.len());
            let header = record.header.map_or(0, <[u8]>::len) + more.sum::<usize>();
            let bytes = record.key.len() + record.value.len() + header;
            if bytes + RECORD_OVERHEAD > limit {
                return Err(LogError::TooLarge { bytes, limit });
            }
            if record.topic != topic {
                topic = record.topic;
                self.find(topic)?;
            }
        }
        Ok(())
    }

    /// Visits what is there of the range; `lost` decides what to do if its beginning is gone.
    fn scan_from(
        &self,
        topic: &str,
        partition: u32,
        range: (u64, u64),
        lost: &dyn Fn((u64, u64)) -> Result<(), LogError>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let patience = &self.patience;
        self.with_scanner(topic, |scanner| {
            scanner.scan((topic, partition), range, lost, patience, visit)
        })
    }

    /// Uses the one client that reads outside of groups, which is made at its first use.
    fn with_scanner<T>(
        &self,
        topic: &str,
        ask: impl FnOnce(&Scanner) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        self.find(topic)?;
        let mut scanner = lock(&self.scanner);
        let scanner = match scanner.take() {
            Some(known) => scanner.insert(known),
            None => {
                let mut config = self.group(SCAN_GROUP)?;
                scanner.insert(Scanner::new(&mut config, &self.faults)?)
            }
        };
        ask(scanner)
    }

    fn group(&self, name: &str) -> Result<rdkafka::ClientConfig, LogError> {
        self.args.consumer(&self.client_id, name)
    }
}

impl Log for KafkaLog {
    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.admin.partitions(topic)
    }

    fn setup(&self, topics: &[Topic]) -> Result<(), LogError> {
        self.admin.create(topics, self.args.kafka_replication, self.args.record_bytes_max)
    }

    fn append(&self, records: &[Outgoing<'_>]) -> Result<Pending, LogError> {
        self.accept(records)?;
        self.producer()?.append(records, &self.patience)
    }

    fn fence(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        let fence = fence_of(topic, partition, now_ms());
        let appended = durable(&self.append(&[fence])?, &self.patience)?;
        Ok(appended.first().map_or(0, |(_, _, offset)| *offset))
    }

    fn scan(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let lost = "before they were read: what they held is unknown";
        let refuse = |gone| {
            let place = (topic, producer::partition_i32(partition));
            self.args.kafka_lost_offsets.decide(place, gone, lost)
        };
        self.scan_from(topic, partition, (from, to), &refuse, visit)
    }

    fn offsets(
        &self,
        topic: &str,
        partition: u32,
        from_ms: Option<i64>,
    ) -> Result<Range<u64>, LogError> {
        let (asked, mut backoff) = (Instant::now(), Backoff::usual());
        loop {
            let told = self.with_scanner(topic, |scanner| {
                scanner.offsets(topic, partition, from_ms, &self.patience)
            });
            match told {
                // The partition is new, or its leader has moved.
                Err(LogError::Retry(..))
                    if asked.elapsed() < OFFSETS_WITHIN && !self.patience.is_over() =>
                {
                    std::thread::sleep(backoff.pause());
                }
                told => return told,
            }
        }
    }

    fn ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<Option<u64>>, LogError> {
        let Some((topic, _)) = partitions.first() else { return Ok(Vec::new()) };
        self.with_scanner(topic, |scanner| scanner.ends(partitions, &self.patience))
    }

    fn positions(&self) -> Result<Vec<KeyValue>, LogError> {
        let topic = &self.args.kafka_positions_topic;
        let mut latest = BTreeMap::new();
        for partition in 0..self.partitions(topic)? {
            // What compaction has removed is not missed.
            self.scan_from(topic, partition, (0, u64::MAX), &|_| Ok(()), &mut |record| {
                if record.value.is_empty() {
                    latest.remove(record.key);
                } else {
                    latest.insert(record.key.to_vec(), record.value.to_vec());
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(latest.into_iter().collect())
    }

    fn store_positions(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError> {
        let topic = &self.args.kafka_positions_topic;
        self.find(topic)?;
        let pending = self.producer()?.append_compacted(topic, changes, &self.patience)?;
        durable(&pending, &self.patience).map(drop)
    }

    fn own(&self, owner: &str) -> Result<Box<dyn Ownership>, LogError> {
        let topic = &self.args.kafka_positions_topic;
        self.find(topic)?;
        let config = self.group(&group_of_owner(owner))?;
        let claim = ownership::Claim::take(config, topic, owner, &self.faults, &self.patience)?;
        Ok(Box::new(claim))
    }

    fn check(&self, topics: &[String]) -> Result<String, LogError> {
        let mut topics = topics.to_vec();
        topics.push(self.args.kafka_positions_topic.clone());
        self.admin.check(&topics, self.args.record_bytes_max)
    }

    fn reader(&self, group: &str, topics: &[String]) -> Result<Box<dyn LogReader>, LogError> {
        topics.iter().try_for_each(|topic| self.find(topic))?;
        let config = self.group(group)?;
        Ok(Box::new(reader::Reader::join(
            config,
            topics,
            &self.faults,
            self.args.kafka_lost_offsets,
            self.patience.clone(),
        )?))
    }
}
