//! One owner per source: a static member of a consumer group. Kafka itself fences the older of two
//! members with one name, and a crash needs no clean-up, since the name can be taken at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::failure::{Faults, journal};
use super::producer::unusable;
use crate::log::start_thread;
use crate::seams::{LogError, Ownership};
use crate::stop::Patience;

/// The coordinator of a group that never was may take some seconds to appear.
const CLAIM_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// Takes what the group assigns without fetching any of it.
struct Holder {
    faults: Faults,
    held: SyncSender<()>,
}

impl rdkafka::ClientContext for Holder {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        journal(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.faults.note(&error, reason);
    }
}

impl ConsumerContext for Holder {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done = if assigned {
            consumer.assign(partitions).and_then(|()| consumer.pause(partitions))
        } else {
            consumer.unassign()
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the claim's partitions cannot be taken");
        }
        if assigned {
            // Only the first is waited for.
            let _ = self.held.try_send(());
        }
    }
}

/// A claim, held by a thread that keeps its session alive.
pub(super) struct Claim {
    stop: Arc<AtomicBool>,
    fenced: Arc<OnceLock<()>>,
    owner: String,
    thread: Option<JoinHandle<()>>,
}

impl Claim {
    /// Claims `owner` and waits until the group has agreed.
    pub fn take(
        mut config: ClientConfig,
        topic: &str,
        owner: &str,
        faults: &Faults,
        patience: &Patience,
    ) -> Result<Self, LogError> {
        config.set("group.instance.id", owner).set("heartbeat.interval.ms", "1000");
        let (held, agreed) = sync_channel(1);
        let member = Member {
            config,
            topic: topic.to_owned(),
            owner: owner.to_owned(),
            faults: faults.clone(),
            held,
        };
        let consumer = member.join()?;
        let (stop, fenced) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (stopped, lost) = (Arc::clone(&stop), Arc::clone(&fenced));
        let thread = start_thread("log-owner", move || member.hold(consumer, &stopped, &lost))?;
        let claim = Self { stop, fenced, owner: owner.to_owned(), thread: Some(thread) };
        claim.wait(&agreed, faults, patience)?;
        Ok(claim)
    }

    fn wait(
        &self,
        agreed: &Receiver<()>,
        faults: &Faults,
        patience: &Patience,
    ) -> Result<(), LogError> {
        let deadline = Instant::now() + CLAIM_MAX;
        while Instant::now() < deadline {
            if agreed.recv_timeout(POLL).is_ok() {
                return Ok(());
            }
            if let Some(error) = self.lost().or_else(|| faults.take_final()) {
                return Err(error);
            }
            if patience.is_over() {
                return Err(LogError::Stopped);
            }
        }
        let timed_out = KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
        Err(faults.decide(&timed_out, None))
    }
}

impl Ownership for Claim {
    fn lost(&self) -> Option<LogError> {
        self.fenced.get().map(|()| LogError::Fenced(self.owner.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(owner = self.owner, "the claim's thread panicked");
        }
    }
}

struct Member {
    config: ClientConfig,
    topic: String,
    owner: String,
    faults: Faults,
    held: SyncSender<()>,
}

impl Member {
    fn join(&self) -> Result<Arc<BaseConsumer<Holder>>, LogError> {
        let holder = Holder { faults: self.faults.clone(), held: self.held.clone() };
        let consumer: BaseConsumer<Holder> =
            self.config.create_with_context(holder).map_err(|error| unusable(&error))?;
        let consumer = Arc::new(consumer);
        self.faults.supply(&consumer);
        consumer.subscribe(&[&self.topic]).map_err(|error| unusable(&error))?;
        Ok(consumer)
    }

    /// A session that ends because a broker does is joined again by librdkafka; only a fence ends
    /// the claim. Any other fatal error needs a new client, and the name is still ours to take.
    fn hold(
        &self,
        mut consumer: Arc<BaseConsumer<Holder>>,
        stop: &AtomicBool,
        lost: &OnceLock<()>,
    ) {
        while !stop.load(Ordering::Acquire) {
            if let Some(Err(error)) = consumer.poll(POLL) {
                tracing::debug!(%error, owner = self.owner, "the claim's session");
            }
            match consumer.client().fatal_error() {
                None => {}
                Some((RDKafkaErrorCode::FencedInstanceId, _)) => {
                    tracing::error!(owner = self.owner, "another instance owns these sources now");
                    let _ = lost.set(());
                    return;
                }
                Some((code, reason)) => {
                    tracing::warn!(%code, reason, owner = self.owner, "the claim is made anew");
                    match self.join() {
                        Ok(again) => consumer = again,
                        Err(error) => tracing::warn!(%error, "the claim cannot be made now"),
                    }
                }
            }
        }
    }
}
