//! Creating topics, and saying what is wrong with them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::failure::{Faults, Plain};
use super::iam;
use super::producer::{partition_i32, unusable};
use crate::seams::{LogError, Topic};

/// 7 days.
const RETENTION_MS: &str = "604800000";
/// `check` answers within 10 s: two requests of 4 s.
const REQUEST: Duration = Duration::from_secs(4);
/// A new topic takes some rounds of gossip to be known by all brokers.
const CREATED_MAX: Duration = Duration::from_secs(30);

/// What the cluster says about itself.
pub(super) struct Admin {
    client: Arc<AdminClient<Plain>>,
    faults: Faults,
}

/// A topic as it was found.
struct Found {
    partitions: usize,
    replicas: usize,
    brokers: usize,
}

impl Admin {
    pub fn new(config: &ClientConfig, faults: &Faults) -> Result<Self, LogError> {
        let client = config.create_with_context(Plain(faults.clone()));
        let client = Arc::new(client.map_err(|error| unusable(&error))?);
        faults.supply(&client);
        Ok(Self { client, faults: faults.clone() })
    }

    fn decide(&self, error: &KafkaError, topic: Option<&str>) -> LogError {
        self.faults.decide(error, topic)
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, LogError> {
        self.faults.can_log_in()?;
        let told = self.client.inner().fetch_metadata(topic, REQUEST);
        let metadata = told.map_err(|error| self.decide(&error, topic))?;
        self.faults.answered();
        Ok(metadata)
    }

    fn find(&self, topic: &str) -> Result<Found, LogError> {
        let metadata = self.metadata(Some(topic))?;
        let brokers = metadata.brokers().len();
        let found = metadata.topics().first();
        if let Some(error) = found.and_then(|topic| topic.error()) {
            let error = KafkaError::MetadataFetch(error.into());
            return Err(self.decide(&error, Some(topic)));
        }
        let partitions = found.map(|topic| topic.partitions()).unwrap_or_default();
        if partitions.is_empty() {
            return Err(LogError::NoTopic(topic.to_owned()));
        }
        let replicas = partitions.iter().map(|one| one.replicas().len()).min().unwrap_or(0);
        Ok(Found { partitions: partitions.len(), replicas, brokers })
    }

    /// How many partitions the topic has.
    pub fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(u32::try_from(self.find(topic)?.partitions).unwrap_or(u32::MAX))
    }

    fn brokers(&self) -> Result<usize, LogError> {
        Ok(self.metadata(None)?.brokers().len())
    }

    /// Creates what is missing and waits until it can be used.
    pub fn create(
        &self,
        topics: &[Topic],
        replication: Option<i32>,
        record_bytes_max: usize,
    ) -> Result<(), LogError> {
        let mut missing = Vec::new();
        for topic in topics {
            match self.find(&topic.name) {
                Ok(_) => {}
                Err(LogError::NoTopic(_)) => missing.push(topic),
                Err(error) => return Err(error),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let most = i32::try_from(self.brokers()?).unwrap_or(3).min(3);
        let bytes = record_bytes_max.to_string();
        let fresh = missing.iter().map(|topic| match iam::is_serverless(self.faults.brokers()) {
            true => new_topic(topic, replication.unwrap_or(3), &bytes),
            false => durable_topic(topic, replication.unwrap_or(most).max(1), &bytes),
        });
        let fresh: Vec<_> = fresh.collect();
        let options = AdminOptions::new()
            .request_timeout(Some(CREATED_MAX))
            .operation_timeout(Some(CREATED_MAX));
        let created = block_on(self.client.create_topics(&fresh, &options));
        for result in created.map_err(|error| self.decide(&error, None))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    let text = code.to_string();
                    return Err(self.faults.judge(code, &text, Some(&name)));
                }
            }
        }
        missing.iter().try_for_each(|topic| self.await_topic(&topic.name))
    }

    fn await_topic(&self, topic: &str) -> Result<(), LogError> {
        let deadline = Instant::now() + CREATED_MAX;
        loop {
            match self.find(topic) {
                Ok(_) => return Ok(()),
                Err(LogError::NoTopic(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One line per topic; a line that warns says which setting to change.
    pub fn check(&self, topics: &[String], record_bytes_max: usize) -> Result<String, LogError> {
        let deadline = Instant::now() + 2 * REQUEST;
        let at = self.faults.brokers();
        let mut lines = vec![format!("{} broker(s) at {at}", self.brokers()?)];
        for topic in topics {
            if Instant::now() > deadline {
                let text = format!("{at} is too slow to check {topic} now");
                return Err(LogError::Retry(text, None));
            }
            let found = self.find(topic)?;
            let settings = self.settings(topic)?;
            let Found { partitions, replicas, brokers } = found;
            lines.push(format!("topic {topic}: {partitions} partition(s), {replicas} replica(s)"));
            if brokers >= 3 && replicas < 3 {
                lines.push(format!(
                    "warning: topic {topic} has {replicas} replicas on {brokers} brokers: \
                     a lost disk may lose records; reassign it, or set KAFKA_REPLICATION for new ones"
                ));
            }
            if replicas >= 3 && settings.in_sync_min < 2 {
                lines.push(format!(
                    "warning: topic {topic} has min.insync.replicas {}: set it to 2",
                    settings.in_sync_min
                ));
            }
            if settings.bytes_max < record_bytes_max {
                lines.push(format!(
                    "warning: topic {topic} has max.message.bytes {}: raise it, or set \
                     KAFKA_RECORD_BYTES_MAX to that",
                    settings.bytes_max
                ));
            }
        }
        Ok(lines.join("\n"))
    }

    fn settings(&self, topic: &str) -> Result<Settings, LogError> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST));
        let asked = [ResourceSpecifier::Topic(topic)];
        let described = self.client.describe_configs(&asked, &options);
        let described = block_on(described).map_err(|error| self.decide(&error, Some(topic)))?;
        let resource = match described.into_iter().next() {
            Some(Ok(resource)) => Some(resource),
            // May the user not see the settings, they are taken to be right.
            Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) | None => None,
            Some(Err(code)) => {
                let text = code.to_string();
                return Err(self.faults.judge(code, &text, Some(topic)));
            }
        };
        let number = |name: &str| {
            let entry = resource.as_ref()?.get(name)?;
            entry.value.as_ref()?.parse::<usize>().ok()
        };
        Ok(Settings {
            in_sync_min: number("min.insync.replicas").unwrap_or(usize::MAX),
            bytes_max: number("max.message.bytes").unwrap_or(usize::MAX),
        })
    }
}

struct Settings {
    in_sync_min: usize,
    bytes_max: usize,
}

fn new_topic<'a>(topic: &'a Topic, replication: i32, bytes_max: &'a str) -> NewTopic<'a> {
    let replicas = TopicReplication::Fixed(replication);
    let fresh = NewTopic::new(&topic.name, partition_i32(topic.partitions), replicas)
        .set("max.message.bytes", bytes_max);
    if topic.compacted {
        fresh.set("cleanup.policy", "compact")
    } else {
        fresh.set("cleanup.policy", "delete").set("retention.ms", RETENTION_MS)
    }
}

/// MSK Serverless has two of three replicas in sync always, and refuses to be told.
fn durable_topic<'a>(topic: &'a Topic, replication: i32, bytes_max: &'a str) -> NewTopic<'a> {
    let fresh = new_topic(topic, replication, bytes_max);
    if replication >= 3 { fresh.set("min.insync.replicas", "2") } else { fresh }
}

/// librdkafka answers on a thread of its own, so no runtime is needed to wait for it.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
