//! A pipeline of separate processes through real Kafka into real Elasticsearch, with topics, a
//! namespace, a host and a consumer group of its own. The settings go through the environment, as a
//! compose file gives them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;
use tahoe_pipeline::header::{Content, Decoder};
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_seams::{Log as _, LogRecord, Topic};
use tempfile::TempDir;

use crate::documents::{Document, Documents as _, InElasticsearch, each_once, number};
use crate::program::Program;
use crate::servers::{setting, unique};
use crate::wait::until;

/// What `tahoe` is given to create topics and data streams, here as in the compose file.
pub const SET_UP: [&str; 1] = ["setup"];

/// One test's pipeline.
pub struct Pipeline {
    /// What it has stored.
    pub documents: InElasticsearch,
    /// Names its topic, namespace, host and group.
    pub name: String,
    folder: TempDir,
    brokers: String,
    positions_topic: String,
}

/// A record of the test's topic.
#[derive(Clone, Debug)]
pub struct InKafka {
    /// As its document's `_id`.
    pub id: String,
    /// The bytes as read.
    pub text: String,
}

impl Pipeline {
    /// Sets up topics and data streams as an operator does; `None` skips the test.
    ///
    /// # Panics
    /// When `tahoe setup` fails.
    pub fn set_up(test: &str) -> Option<Self> {
        let pipeline = Self::prepare(test)?;
        let ended = pipeline.start("tahoe", &SET_UP).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        Some(pipeline)
    }

    /// One whose topics and data streams are still to be set up.
    pub fn prepare(test: &str) -> Option<Self> {
        let brokers = setting("TAHOE_TEST_KAFKA")?;
        let url = setting("TAHOE_TEST_ELASTICSEARCH")?;
        let name = unique(test);
        let documents = InElasticsearch::open(&url, &name);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let positions_topic = format!("{name}.positions");
        Some(Self { documents, name, folder, brokers, positions_topic })
    }

    /// One without a transformer and Elasticsearch; its topics are there. `None` skips the test.
    ///
    /// # Panics
    /// When Kafka refuses to create them.
    pub fn of_kafka(test: &str) -> Option<Self> {
        let brokers = setting("TAHOE_TEST_KAFKA")?;
        let name = unique(test);
        let documents = InElasticsearch::open("", &name);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let positions_topic = format!("{name}.positions");
        let pipeline = Self { documents, name, folder, brokers, positions_topic };
        let names = [(&pipeline.name, 6, false), (&pipeline.positions_topic, 1, true)];
        let topics = names.map(|(name, partitions, compacted)| Topic {
            name: name.clone(),
            partitions,
            compacted,
        });
        pipeline.log().setup(&topics).expect("topics can be created");
        Some(pipeline)
    }

    /// A file of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its path as a flag takes it.
    ///
    /// # Panics
    /// When the folder for temporary files has a name that is not UTF-8.
    pub fn flag(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Starts one of the binaries with the settings of this pipeline.
    pub fn start(&self, binary: &str, arguments: &[&str]) -> Program {
        self.start_with(binary, arguments, &[])
    }

    /// The same with further settings, which win over those of this pipeline.
    pub fn start_with(
        &self,
        binary: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Program {
        Program::start_with(binary, arguments, &[&self.settings()[..], settings].concat())
    }

    /// Starts the transformer.
    pub fn transformer(&self) -> Program {
        self.start("tahoe-transformer", &[])
    }

    /// The settings of every process of this pipeline.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("KAFKA_BOOTSTRAP_SERVERS", &self.brokers),
            ("KAFKA_TOPIC", &self.name),
            ("KAFKA_POSITIONS_TOPIC", &self.positions_topic),
            ("KAFKA_GROUP", &self.name),
            ("TAHOE_TOPICS", &self.name),
            ("TAHOE_NAMESPACE", &self.name),
            ("TAHOE_HOST", &self.name),
            ("TAHOE_START_AT", "beginning"),
            ("ELASTICSEARCH_URL", &self.documents.url),
            // A test that fails shows what was logged last.
            ("TAHOE_LOG", "info,tahoe_pipeline=debug,tahoe_transformer=debug"),
        ]
    }

    /// Every record in Kafka, as it is now. Fences are no records.
    ///
    /// # Panics
    /// When Kafka cannot be read, or holds records without our header.
    pub fn in_kafka(&self) -> Vec<InKafka> {
        let mut decoder = Decoder::default();
        let mut records = Vec::new();
        self.scan(&self.name, &mut |record| {
            let header = record.header.expect("written by a producer of ours");
            let header = decoder.decode(header).expect("ours");
            let Content::Single { id, .. } = header.content else {
                panic!("these tests do not pack");
            };
            let text = String::from_utf8_lossy(record.value).into_owned();
            records.push(InKafka { id: id.to_string(), text });
        });
        records
    }

    /// Every record in Kafka, of a source whose records are JSON.
    ///
    /// # Panics
    /// As [`Pipeline::in_kafka`], or when one is no JSON.
    pub fn json_in_kafka(&self) -> Vec<Value> {
        let records = self.in_kafka();
        records.iter().map(|record| serde_json::from_str(&record.text).expect("JSON")).collect()
    }

    /// Waits until so many records are in Kafka, or more.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_records(&self, count: usize) {
        until("records come", || match self.in_kafka().len() {
            found if found >= count => Ok(()),
            found => Err(format!("{found} of {count} are there")),
        });
    }

    /// Gives the text of every record to `visit`, those of a partition in their order.
    ///
    /// # Panics
    /// When Kafka cannot be read.
    pub fn each_in_kafka(&self, visit: &mut dyn FnMut(&str)) {
        self.scan(&self.name, &mut |record| visit(&String::from_utf8_lossy(record.value)));
    }

    /// How far Kafka's partitions reach together, fences included.
    ///
    /// # Panics
    /// When Kafka does not say.
    pub fn reach(&self) -> u64 {
        let log = self.log();
        let partitions = log.partitions(&self.name).expect("the topic is there");
        let held = |partition| log.offsets(&self.name, partition, None).expect("Kafka is there");
        (0..partitions).map(|partition| held(partition).end).sum()
    }

    /// How many dead letters there are.
    ///
    /// # Panics
    /// When Kafka cannot be read.
    pub fn dead_letters(&self) -> usize {
        let mut letters = 0;
        self.scan(&tahoe_transformer::dead_letter_topic(&self.name), &mut |_| letters += 1);
        letters
    }

    /// Kafka, as this pipeline's processes see it.
    ///
    /// # Panics
    /// When it is not there.
    pub fn log(&self) -> KafkaLog {
        let args = KafkaArgs {
            kafka_positions_topic: self.positions_topic.clone(),
            ..KafkaArgs::at(&self.brokers)
        };
        KafkaLog::connect(&args, "tests").expect("Kafka is there")
    }

    /// Visits what a topic holds, but for fences.
    ///
    /// # Panics
    /// When Kafka cannot be read.
    pub fn scan(&self, topic: &str, visit: &mut dyn FnMut(LogRecord<'_>)) {
        let log = self.log();
        for partition in 0..log.partitions(topic).expect("the topic is there") {
            let scanned = log.scan(topic, partition, 0, u64::MAX, &mut |record| {
                if !record.value.is_empty() {
                    visit(record);
                }
                ControlFlow::Continue(())
            });
            scanned.expect("Kafka can be read");
        }
    }

    /// What must hold once the producers have stopped: every number is in Kafka exactly once and in
    /// Elasticsearch exactly once, under the same ids, and there are no dead letters. A double that
    /// is still on its way would be in Kafka already.
    ///
    /// # Panics
    /// With what is missing, doubled or strange.
    pub fn assert_each_once(&self, expected: impl IntoIterator<Item = u64>) {
        let expected: BTreeSet<u64> = expected.into_iter().collect();
        let records = self.in_kafka();
        let in_text = |text| number(text).unwrap_or_else(|| panic!("no number in {text}"));
        each_once(records.iter().map(|record| in_text(&record.text)), expected.iter().copied());
        self.documents.wait_for("*", records.len());
        let documents = self.documents.find("*");
        let ids = documents.iter().map(|document| &document.id);
        each_once(ids, records.iter().map(|record| &record.id));
        each_once(documents.iter().map(Document::number), expected);
        let dead_letters = tahoe_transformer::dead_letter_topic(&self.name);
        self.scan(&dead_letters, &mut |record| {
            panic!("a dead letter: {}", String::from_utf8_lossy(record.value));
        });
    }
}
