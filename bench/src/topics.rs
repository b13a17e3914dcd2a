//! Topics of a measurement: as `setup` creates them, and gone afterwards.

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tahoe_pipeline::log::kafka::KafkaArgs;
use tahoe_seams::{Log, Topic};

/// As `setup` gives every topic.
const PARTITIONS: u32 = 6;

/// Creates what is missing of a topic, its dead letters and the positions.
pub fn set_up(log: &dyn Log, kafka: &KafkaArgs, topic: &str) -> anyhow::Result<()> {
    let records = |name: String| Topic { name, partitions: PARTITIONS, compacted: false };
    let positions =
        Topic { name: kafka.kafka_positions_topic.clone(), partitions: 1, compacted: true };
    let dead_letters = tahoe_transformer::dead_letter_topic(topic);
    Ok(log.setup(&[records(topic.to_owned()), records(dead_letters), positions])?)
}

/// Deletes topics with their dead letters.
pub fn delete(client: &ClientConfig, topics: &[String]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let dead = topics.iter().map(|topic| tahoe_transformer::dead_letter_topic(topic));
    let all: Vec<String> = topics.iter().cloned().chain(dead).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deleted = runtime.block_on(admin.delete_topics(&names, &AdminOptions::new()));
    deleted.context("the topics of the measurement stay in Kafka").map(drop)
}
