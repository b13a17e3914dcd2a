//! `tahoe setup --acl`: what each binary must be allowed to do in Kafka, and nothing more, as
//! commands of Kafka's own tool. Each binary is a user of its own, named like it.

use tahoe_pipeline::log::kafka::KafkaArgs;
use tahoe_transformer::dead_letter_topic;

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
    let positions = &kafka.kafka_positions_topic;
    let mut grants = Vec::new();
    for (producer, topics) in &access.producers {
        let topics: Vec<_> = topics.iter().chain([positions]).cloned().collect();
        // After a crash a producer reads what it has written.
        grants.push(Grant::on_topics(producer, &["Read", "Write"], topics));
        grants.push(Grant {
            user: producer,
            operations: &["Read"],
            resources: vec![("--group", "tahoe.".to_owned())],
            prefixed: true,
        });
    }
    let consumed = &access.consumed;
    let dead = consumed.iter().map(|topic| dead_letter_topic(topic)).collect();
    let transformer = "tahoe-transformer";
    grants.push(Grant::on_topics(transformer, &["Read"], consumed.clone()));
    grants.push(Grant::on_topics(transformer, &["Write"], dead));
    grants.push(Grant::on_topics(transformer, &["Describe"], vec![positions.clone()]));
    grants.push(Grant {
        user: transformer,
        operations: &["Read"],
        resources: vec![("--group", access.group.to_owned())],
        prefixed: false,
    });
    let dead = consumed.iter().map(|topic| dead_letter_topic(topic));
    let all = consumed.iter().cloned().chain(dead).chain([positions.clone()]).collect();
    let operations = &["Create", "Describe", "DescribeConfigs"];
    grants.push(Grant::on_topics("tahoe", operations, all));
    let brokers = kafka.kafka.as_deref().unwrap_or_default();
    grants.iter().map(|grant| grant.command(brokers)).collect()
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
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,".contains(c);
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
            consumed: vec!["laravel_logs".to_owned()],
            group: "it's mine",
        };
        let tool = "kafka-acls.sh --bootstrap-server b:9092 --command-config admin.properties \
                    --add --allow-principal User:";
        let found = commands(&access, &KafkaArgs::at("b:9092"));
        let found: Vec<_> = found.iter().map(|line| line.strip_prefix(tool).expect(tool)).collect();
        let expected = [
            "tahoe-laravel --operation Read --operation Write --topic laravel_logs \
             --topic tahoe.positions",
            "tahoe-laravel --operation Read --group tahoe. --resource-pattern-type prefixed",
            "tahoe-transformer --operation Read --topic laravel_logs",
            "tahoe-transformer --operation Write --topic laravel_logs.dlq",
            "tahoe-transformer --operation Describe --topic tahoe.positions",
            r"tahoe-transformer --operation Read --group 'it'\''s mine'",
            "tahoe --operation Create --operation Describe --operation DescribeConfigs \
             --topic laravel_logs --topic laravel_logs.dlq --topic tahoe.positions",
        ];
        assert_eq!(found, expected);
    }
}
