//! A pipeline whose producer hides what a policy says, and what of it is in Kafka after all.

use std::collections::BTreeMap;

use tahoe_seams::Log as _;
use tahoe_transformer::dead_letter_topic;

use crate::documents::{Document, Documents as _};
use crate::pipeline::Pipeline;
use crate::program::Program;

/// The secret of every policy.
pub const SECRET: &str = "the secret of this test alone";
/// The one before it, which only decrypts.
pub const OLDER: &str = "the secret of the year before";

/// A pipeline and its policy.
pub struct Private {
    /// Without the policy's settings.
    pub pipeline: Pipeline,
    flags: [String; 4],
}

impl Private {
    /// `None` skips the test.
    ///
    /// # Panics
    /// When the policy cannot be written.
    pub fn set_up(test: &str, policy: &str) -> Option<Self> {
        let pipeline = Pipeline::set_up(test)?;
        std::fs::write(pipeline.path("policy"), policy).expect("written");
        std::fs::write(pipeline.path("key"), format!("{SECRET}\n{OLDER}\n")).expect("written");
        let (policy, key) = (pipeline.flag("policy"), pipeline.flag("key"));
        let flags = ["--privacy".to_owned(), policy, "--privacy-key-file".to_owned(), key];
        Some(Self { pipeline, flags })
    }

    /// The settings of the policy.
    pub fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }

    /// Starts a program with the policy.
    pub fn start(&self, binary: &str, arguments: &[&str]) -> Program {
        self.pipeline.start(binary, &[arguments, &self.flags()].concat())
    }

    /// Looks through records, keys, headers, positions and dead letters.
    ///
    /// # Panics
    /// When one of the words is there.
    pub fn assert_nowhere_in_kafka(&self, words: &[&str]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let assert_clean = |text: String| {
            for word in words {
                assert!(!text.contains(word), "{word}: {text}");
            }
        };
        for topic in [self.pipeline.name.clone(), dead_letter_topic(&self.pipeline.name)] {
            self.pipeline.scan(&topic, &mut |record| {
                let all = [record.value, record.key, record.header.unwrap_or_default()];
                all.map(text).into_iter().for_each(&assert_clean);
            });
        }
        for (key, value) in self.pipeline.log().positions().expect("Kafka can be read") {
            [text(&key), text(&value)].into_iter().for_each(assert_clean);
        }
    }

    /// The documents by their ids.
    pub fn by_id(&self) -> BTreeMap<String, Document> {
        let found = self.pipeline.documents.find("*");
        found.into_iter().map(|document| (document.id.clone(), document)).collect()
    }
}
