//! What the transformer says in the log of what it depends on, for the dashboard of the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::log::kafka::KafkaArgs;
use tahoe_pipeline::seams::{Log, Sink};
use tahoe_pipeline::service::object;
use tahoe_sink_elasticsearch::{AccessArgs, Address, ElasticsearchArgs, Kibana};
use tokio::runtime::Handle;

use crate::TransformerCounts;

/// Asked each time, so that they are seen to be away while nothing has to be stored.
pub struct Dependencies {
    log: Arc<dyn Log>,
    brokers: String,
    topics: Vec<String>,
    sink: Arc<dyn Sink>,
    store: String,
    kibana: Option<(String, Kibana)>,
    runtime: Handle,
}

impl Dependencies {
    /// Those of a transformer that reads these topics.
    pub fn new(
        (log, kafka): (&Arc<dyn Log>, &KafkaArgs),
        (sink, elasticsearch): (&Arc<dyn Sink>, &ElasticsearchArgs),
        topics: Vec<String>,
        runtime: &Handle,
    ) -> Self {
        let store = elasticsearch.addresses.iter().map(ToString::to_string);
        Self {
            log: Arc::clone(log),
            brokers: kafka.kafka.clone().unwrap_or_default(),
            topics,
            sink: Arc::clone(sink),
            store: store.collect::<Vec<_>>().join(","),
            kibana: None,
            runtime: runtime.clone(),
        }
    }

    /// Kibana too, if there is one, as whoever Elasticsearch lets in.
    ///
    /// # Errors
    /// Names the setting that cannot be.
    pub fn with_kibana(
        mut self,
        address: Option<&Address>,
        access: &AccessArgs,
    ) -> Result<Self, String> {
        let client = |address: &Address| {
            let client = Kibana::new(address, access);
            client.map(|client| (address.to_string(), client)).map_err(|error| error.to_string())
        };
        self.kibana = address.map(client).transpose()?;
        Ok(self)
    }

    /// A record of each service, and of each topic.
    pub fn records(&self, counts: &TransformerCounts) -> Vec<Map<String, Value>> {
        let mut records = vec![
            service("kafka", &self.brokers, || {
                self.log.check(&self.topics).map(drop).map_err(|error| error.to_string())
            }),
            service("elasticsearch", &self.store, || {
                let checked = self.runtime.block_on(self.sink.check());
                checked.map(drop).map_err(|error| error.to_string())
            }),
        ];
        if let Some((address, kibana)) = &self.kibana {
            records.push(service("kibana", address, || {
                self.runtime.block_on(kibana.check()).map_err(|error| error.to_string())
            }));
        }
        records.extend(self.topic_records(counts));
        records
    }

    /// What waits in the partitions that this member has committed something of. The seconds are
    /// those of all topics together: of one nobody knows when its oldest record was read.
    fn topic_records(&self, counts: &TransformerCounts) -> Vec<Map<String, Value>> {
        let mut waiting: BTreeMap<&str, u64> = BTreeMap::new();
        let reached = counts.reached();
        let partitions: Vec<_> =
            reached.keys().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        let ends = self.log.ends(&partitions).unwrap_or_default();
        for (((topic, _), next), end) in reached.iter().zip(ends) {
            // One that cannot be told now is told next time.
            if let Some(end) = end {
                *waiting.entry(topic).or_default() += end.saturating_sub(*next);
            }
        }
        let seconds = counts.lag.seconds(now_ms());
        let record = |(topic, records)| {
            object(json!({
                "tahoe.set": "topic",
                "tahoe.topic.name": topic,
                "tahoe.lag.records": records,
                "tahoe.lag.seconds": seconds,
            }))
        };
        waiting.into_iter().map(record).collect()
    }
}

/// A service that is asked now.
fn service(name: &str, node: &str, ask: impl FnOnce() -> Result<(), String>) -> Map<String, Value> {
    let asked = Instant::now();
    let answer = ask();
    let mut record = object(json!({
        "tahoe.set": "service",
        "service.name": name,
        "service.type": name,
        "service.node.name": node,
        "service.state": if answer.is_ok() { "up" } else { "down" },
        "event.duration": u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX),
    }));
    record.extend(answer.err().map(|why| ("event.reason".to_owned(), json!(why))));
    record
}
