//! `tahoe setup --acl`: what each binary must be allowed to do in Kafka, and nothing more, as
//! commands of Kafka's own tool. Each binary is a user of its own, named like it; the operator's
//! command is the user `tahoe`.

use tahoe_pipeline::log::kafka::{KafkaArgs, SCAN_GROUP, group_of_owner};
use tahoe_schemas::datasets::tahoe_service;
use tahoe_transformer::dead_letter_topic;

use crate::ingest;

/// Who reads and writes what.
pub struct Access<'a> {
    /// Each producer that is configured, and the topics that it writes to.
    pub producers: Vec<(&'a str, Vec<String>)>,
    /// Topics that the transformer consumes.
    pub consumed: Vec<String>,
    /// Its consumer group.
    pub group: &'a str,
}

/// The commands, one a line; they print what they did and can be run again.
pub fn commands(access: &Access<'_>, kafka: &KafkaArgs) -> Vec<String> {
    let positions = kafka.kafka_positions_topic.as_str();
    let producers = access.producers.iter();
    let mut grants: Vec<_> =
        producers.flat_map(|(name, topics)| of_producer(name, topics, positions)).collect();
    grants.extend(of_transformer(access, positions));
    grants.extend(of_operator(access, positions));
    let brokers = kafka.kafka.as_deref().unwrap_or_default();
    grants.iter().map(|grant| grant.command(brokers)).collect()
}

fn of_producer<'a>(name: &'a str, topics: &[String], positions: &str) -> [Grant<'a>; 3] {
    [
        // After a crash a producer reads what it has written, and so does --verify.
        Grant::on_topics(name, &["Read", "Write"], with(topics, [positions])),
        Grant::on_topics(name, &["Write"], vec![measures()]),
        // Its claims, whose names begin with its host's, which is not known here.
        Grant::on_groups_of(name, &["Read"], &group_of_owner("")),
    ]
}

fn of_transformer<'a>(access: &Access<'a>, positions: &str) -> [Grant<'a>; 5] {
    let name = "tahoe-transformer";
    let written = access.consumed.iter().map(|topic| dead_letter_topic(topic));
    [
        Grant::on_topics(name, &["Read"], access.consumed.clone()),
        Grant::on_topics(name, &["Write"], written.chain([measures()]).collect()),
        Grant::on_topics(name, &["Describe"], vec![positions.to_owned()]),
        Grant::on_group(name, &["Read"], access.group),
        // A record that is rejected is read once more, on its way to the dead letters.
        Grant::on_group(name, &["Describe"], SCAN_GROUP),
    ]
}

fn of_operator<'a>(access: &Access<'a>, positions: &str) -> [Grant<'a>; 5] {
    let name = "tahoe";
    let dead = access.consumed.iter().map(|topic| dead_letter_topic(topic));
    let all = with(&access.consumed, [positions]).into_iter().chain(dead).collect::<Vec<_>>();
    [
        // setup and check.
        Grant::on_topics(name, &["Create", "Describe", "DescribeConfigs"], all.clone()),
        // dlq, replay and --verify, and what ingest has loaded before.
        Grant::on_topics(name, &["Read"], all),
        Grant::on_group(name, &["Describe"], SCAN_GROUP),
        // ingest, and the marks that dlq replay keeps beside the positions.
        Grant::on_topics(name, &["Write"], with(&access.consumed, [positions])),
        Grant::on_groups_of(name, &["Read"], &group_of_owner(ingest::OWNERS)),
    ]
}

/// Where every service says how it is.
fn measures() -> String {
    tahoe_service::DATASET.declared().topic.to_owned()
}

fn with<const N: usize>(topics: &[String], more: [&str; N]) -> Vec<String> {
    topics.iter().cloned().chain(more.map(str::to_owned)).collect()
}

/// One user's operations on resources of one kind.
struct Grant<'a> {
    user: &'a str,
    operations: &'a [&'a str],
    /// Flag and name.
    resources: Vec<(&'a str, String)>,
    /// The names are beginnings.
    prefixed: bool,
}

impl<'a> Grant<'a> {
    fn on_topics(user: &'a str, operations: &'a [&'a str], topics: Vec<String>) -> Self {
        let resources = topics.into_iter().map(|topic| ("--topic", topic)).collect();
        Self { user, operations, resources, prefixed: false }
    }

    fn on_group(user: &'a str, operations: &'a [&'a str], group: &str) -> Self {
        let resources = vec![("--group", group.to_owned())];
        Self { user, operations, resources, prefixed: false }
    }

    /// On all groups whose names begin so.
    fn on_groups_of(user: &'a str, operations: &'a [&'a str], beginning: &str) -> Self {
        Self { prefixed: true, ..Self::on_group(user, operations, beginning) }
    }

    fn command(&self, brokers: &str) -> String {
        let mut line = format!(
            "kafka-acls.sh --bootstrap-server {} --command-config admin.properties --add \
             --allow-principal User:{}",
            quoted(brokers),
            self.user
        );
        for operation in self.operations {
            line += &format!(" --operation {operation}");
        }
        for (flag, name) in &self.resources {
            line += &format!(" {flag} {}", quoted(name));
        }
        if self.prefixed {
            line += " --resource-pattern-type prefixed";
        }
        line
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,/".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binary_may_do_what_it_does_and_nothing_else() {
        let access = Access {
            producers: vec![("tahoe-laravel", vec!["laravel_logs".to_owned()])],
            consumed: ["laravel_logs", "tahoe_metrics"].map(str::to_owned).to_vec(),
            group: "it's mine",
        };
        let tool = "kafka-acls.sh --bootstrap-server b:9092 --command-config admin.properties \
                    --add --allow-principal User:";
        let found = commands(&access, &KafkaArgs::at("b:9092"));
        let found: Vec<_> = found.iter().map(|line| line.strip_prefix(tool).expect(tool)).collect();
        let expected = [
            "tahoe-laravel --operation Read --operation Write --topic laravel_logs \
             --topic tahoe.positions",
            "tahoe-laravel --operation Write --topic tahoe_metrics",
            "tahoe-laravel --operation Read --group tahoe. --resource-pattern-type prefixed",
            "tahoe-transformer --operation Read --topic laravel_logs --topic tahoe_metrics",
            "tahoe-transformer --operation Write --topic laravel_logs.dlq \
             --topic tahoe_metrics.dlq --topic tahoe_metrics",
            "tahoe-transformer --operation Describe --topic tahoe.positions",
            r"tahoe-transformer --operation Read --group 'it'\''s mine'",
            "tahoe-transformer --operation Describe --group tahoe.scan",
            "tahoe --operation Create --operation Describe --operation DescribeConfigs \
             --topic laravel_logs --topic tahoe_metrics --topic tahoe.positions \
             --topic laravel_logs.dlq --topic tahoe_metrics.dlq",
            "tahoe --operation Read --topic laravel_logs --topic tahoe_metrics \
             --topic tahoe.positions --topic laravel_logs.dlq --topic tahoe_metrics.dlq",
            "tahoe --operation Describe --group tahoe.scan",
            "tahoe --operation Write --topic laravel_logs --topic tahoe_metrics \
             --topic tahoe.positions",
            "tahoe --operation Read --group tahoe.ingest/ --resource-pattern-type prefixed",
        ];
        assert_eq!(found, expected);
    }
}
