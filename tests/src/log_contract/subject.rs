//! A log under test, and what is done with it in many promises.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tahoe_seams::{Log, LogError, LogReader, LogRecord, Outgoing, Pending, Polled, Topic};

/// Long enough for a broker to form a group on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// An implementation under test.
pub struct Subject {
    /// Opens it, again and again on the same data.
    pub open: Box<dyn Fn() -> Box<dyn Log> + Send + Sync>,
    /// Begins the names of this test's topics, groups and owners.
    pub prefix: String,
    /// Name of the compacted topic that positions go to.
    pub positions_topic: String,
    /// Largest record in bytes.
    pub record_bytes_max: usize,
}

/// A record as it was visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Timestamp in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
    /// The `tahoe` header.
    pub header: Option<Vec<u8>>,
}

impl Seen {
    fn of(record: LogRecord<'_>) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            header: record.header.map(<[u8]>::to_vec),
        }
    }
}

impl Subject {
    pub(super) fn name(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.prefix)
    }

    /// Opens the log and creates the test's topic.
    pub(super) fn start(&self, partitions: u32) -> (Box<dyn Log>, String) {
        let (log, topic) = ((self.open)(), self.name("logs"));
        let positions =
            Topic { name: self.positions_topic.clone(), partitions: 1, compacted: true };
        let topics = [Topic { name: topic.clone(), partitions, compacted: false }, positions];
        log.setup(&topics).expect("topics can be created");
        (log, topic)
    }
}

/// One record of a topic with a value and nothing else of note.
#[must_use]
pub fn outgoing<'a>(topic: &'a str, partition: u32, value: &'a [u8]) -> Outgoing<'a> {
    let header = Some(&b"h"[..]);
    let timestamp_ms = now_ms();
    Outgoing { topic, partition, key: b"k", value, timestamp_ms, header, more_headers: &[] }
}

pub(super) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("the clock is after 1970").as_millis()).expect("milliseconds fit")
}

/// Waits for an append.
pub fn durable(pending: &Pending) -> Vec<(String, u32, u64)> {
    pending.wait(PATIENCE).expect("acknowledged in time").expect("durable")
}

/// Appends the values to one partition and waits until they are durable.
pub fn append(log: &dyn Log, topic: &str, partition: u32, values: &[&[u8]]) -> u64 {
    let records: Vec<_> = values.iter().map(|value| outgoing(topic, partition, value)).collect();
    let reached = durable(&log.append(&records).expect("accepted"));
    assert_eq!(reached.len(), 1);
    reached[0].2
}

/// Visits a range of a partition.
pub fn scan(log: &dyn Log, topic: &str, partition: u32, from: u64, to: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    log.scan(topic, partition, from, to, &mut |record| {
        assert_eq!(record.topic, topic);
        seen.push(Seen::of(record));
        ControlFlow::Continue(())
    })
    .expect("scanned");
    seen
}

/// Reads until `count` records were seen, or until `PATIENCE` ends.
pub fn read(reader: &mut dyn LogReader, count: usize) -> Vec<Seen> {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < count && Instant::now() < deadline {
        poll(reader, Duration::from_millis(200), &mut seen);
    }
    seen
}

/// One call of `read`; confirms what the group takes away.
pub fn poll(reader: &mut dyn LogReader, wait: Duration, seen: &mut Vec<Seen>) -> Polled {
    let polled = reader.read(wait, &mut |record| {
        seen.push(Seen::of(record));
        ControlFlow::Continue(())
    });
    let polled = match polled {
        Err(LogError::Retry(..)) => Polled::Records,
        other => other.expect("readable"),
    };
    if let Polled::Revoking(_) = polled {
        reader.confirm_revoked().expect("confirmed");
    }
    polled
}

pub(super) fn values(seen: &[Seen]) -> Vec<&[u8]> {
    seen.iter().map(|record| record.value.as_slice()).collect()
}
