//! Where an operator's commands are tried: on the embedded parts, and on real Kafka and
//! Elasticsearch, with the same words.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tahoe_pipeline::log::embedded::{EmbeddedLog, EmbeddedSettings};
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_seams::Log;
use tahoe_transformer::dead_letter_topic;
use tempfile::TempDir;

use crate::documents::{Documents, Embedded};
use crate::pipeline::Pipeline;
use crate::program::{Ended, Program, command};
use crate::wait::until;

/// One of the two.
pub struct Site {
    /// The topic that records go to.
    pub topic: String,
    kind: Kind,
}

enum Kind {
    Embedded(TempDir),
    Real(Box<Pipeline>),
}

impl Site {
    /// The embedded parts, and the real ones where they are up. `topic` is that of the datasets that
    /// the test uses.
    pub fn all(test: &str, topic: &str) -> Vec<Self> {
        std::iter::once(Self::embedded(topic)).chain(Self::real(test)).collect()
    }

    /// The embedded parts alone.
    ///
    /// # Panics
    /// When there is no room for a folder.
    pub fn embedded(topic: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { topic: topic.to_owned(), kind: Kind::Embedded(folder) }
    }

    /// Real Kafka and Elasticsearch, with a topic of the test's own; `None` skips the test.
    pub fn real(test: &str) -> Option<Self> {
        let pipeline = Pipeline::set_up(test)?;
        Some(Self { topic: pipeline.name.clone(), kind: Kind::Real(Box::new(pipeline)) })
    }

    /// A file of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        match &self.kind {
            Kind::Embedded(folder) => folder.path().join(name),
            Kind::Real(pipeline) => pipeline.path(name),
        }
    }

    /// Its path as a flag takes it.
    ///
    /// # Panics
    /// When the folder for temporary files has a name that is not UTF-8.
    pub fn flag(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// The namespace that its records are of.
    pub fn namespace(&self) -> &str {
        match &self.kind {
            Kind::Embedded(_) => "default",
            Kind::Real(pipeline) => &pipeline.name,
        }
    }

    /// What it has stored.
    pub fn documents(&self) -> Box<dyn Documents + '_> {
        match &self.kind {
            Kind::Embedded(_) => Box::new(InFolder(self.path("data"))),
            Kind::Real(pipeline) => Box::new(&pipeline.documents),
        }
    }

    /// Elasticsearch itself, where it is the store.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Real(pipeline) => Some(pipeline),
        }
    }

    /// `tahoe` with the settings of this site, running.
    pub fn start(&self, arguments: &[&str]) -> Program {
        Program::spawn("tahoe", self.command(arguments))
    }

    /// `tahoe` with the settings of this site.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = command("tahoe");
        command.args(arguments);
        match &self.kind {
            Kind::Embedded(_) => command.env("TAHOE_DATA", self.path("data")),
            Kind::Real(pipeline) => command.envs(pipeline.settings()),
        };
        command
    }

    /// The same to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).wait()
    }

    /// The same with a file as its standard input.
    ///
    /// # Panics
    /// When there is no such file, or no such program.
    pub fn run_with_input(&self, arguments: &[&str], input: &Path) -> Ended {
        let input = std::fs::File::open(input).expect("it was written");
        let ended = self.command(arguments).stdin(input).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { status: ended.status, stdout: text(ended.stdout), stderr: text(ended.stderr) }
    }

    /// Its log, which nobody else may have open if it is the embedded one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn with_log<T>(&self, ask: impl FnOnce(&dyn Log) -> T) -> T {
        match &self.kind {
            Kind::Embedded(_) => {
                let settings = EmbeddedSettings::default();
                let log = EmbeddedLog::open(&self.path("data/log"), &settings);
                ask(&log.expect("nobody else has it"))
            }
            Kind::Real(pipeline) => {
                let settings = pipeline.settings();
                let setting = |name| {
                    let found = settings.iter().find(|(known, _)| *known == name);
                    found.map(|(_, value)| (*value).to_owned()).expect("every pipeline has it")
                };
                let args = KafkaArgs {
                    kafka_positions_topic: setting("KAFKA_POSITIONS_TOPIC"),
                    ..KafkaArgs::at(&setting("KAFKA_BOOTSTRAP_SERVERS"))
                };
                ask(&KafkaLog::connect(&args, "tests").expect("Kafka is there"))
            }
        }
    }

    /// How many dead letters there are.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn dead_letters(&self) -> usize {
        let topic = dead_letter_topic(&self.topic);
        self.with_log(|log| {
            let mut letters = 0;
            for partition in 0..log.partitions(&topic).expect("the topic is there") {
                let scanned = log.scan(&topic, partition, 0, u64::MAX, &mut |_| {
                    letters += 1;
                    ControlFlow::Continue(())
                });
                scanned.expect("the log can be read");
            }
            letters
        })
    }

    /// Reads a file from its beginning, as `DATASET=PATH`, until so many documents and so many dead
    /// letters are there.
    ///
    /// # Panics
    /// When they do not come.
    pub fn carry(&self, file: &str, documents: usize, letters: usize) {
        let Kind::Real(pipeline) = &self.kind else {
            let up = ["up", "--no-system", "--start-at", "beginning", "--for", "1s"];
            let ended = self.run(&[&up[..], &["--file", file]].concat());
            assert!(ended.status.success(), "{}", ended.stderr);
            assert_eq!(self.documents().count("*"), documents);
            return assert_eq!(self.dead_letters(), letters);
        };
        let transformer = pipeline.transformer();
        let producer = pipeline.start("tahoe-file", &["--file", file]);
        pipeline.documents.wait_for("*", documents);
        until("the dead letters", || match self.dead_letters() {
            found if found >= letters => Ok(()),
            found => Err(format!("{found} are there")),
        });
        producer.stop();
        transformer.stop();
    }
}

struct InFolder(PathBuf);

impl Documents for InFolder {
    fn find(&self, query: &str) -> Vec<crate::documents::Document> {
        Embedded(Path::new(&self.0)).find(query)
    }

    fn count(&self, query: &str) -> usize {
        Embedded(Path::new(&self.0)).count(query)
    }
}

impl Documents for &crate::documents::InElasticsearch {
    fn find(&self, query: &str) -> Vec<crate::documents::Document> {
        (**self).find(query)
    }

    fn count(&self, query: &str) -> usize {
        (**self).count(query)
    }
}
