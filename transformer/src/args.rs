//! Settings of the loop, the same for the service and for `tahoe up`.

use std::time::Duration;

use clap::Args;
use tahoe_seams::{Conditions, TablePatterns};

use crate::replay::ReplaySettings;
use crate::{RuleArgs, TransformSettings, record_topics};

/// How records are consumed and what their events keep.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Transformer")]
pub struct TransformArgs {
    /// Consumer group; processes of one group share the partitions
    #[arg(long, env = "KAFKA_GROUP", default_value = "tahoe-transformer", value_name = "GROUP")]
    pub group: String,
    /// Topics to consume [default: those of all datasets, and KAFKA_TOPIC's]
    #[arg(long, env = "TAHOE_TOPICS", value_name = "TOPIC", value_delimiter = ',')]
    pub topics: Vec<String>,
    /// Milliseconds that a bulk request which is not full waits for more events
    #[arg(long, env = "TAHOE_LINGER_MS", default_value_t = 200, value_name = "MS")]
    pub linger_ms: u64,
    /// How records become events.
    #[command(flatten)]
    pub normalize: NormalizeArgs,
}

/// How records become events. A replay makes the same of them as the loop if it is given the same.
#[derive(Args, Clone, Debug, Default)]
pub struct NormalizeArgs {
    /// Keep each record's bytes in its event, as event.original; the topic has them anyway
    #[arg(long, env = "TAHOE_KEEP_ORIGINAL", help_heading = "Transformer")]
    pub keep_original: bool,
    /// The operator's own files.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Tables that are kept in more ways than one.
    #[command(flatten)]
    pub tables: TableArgs,
}

impl NormalizeArgs {
    /// What a replay is given.
    ///
    /// # Errors
    /// A file that says something of events cannot be read; names it and the setting.
    pub fn settings(&self) -> Result<ReplaySettings, String> {
        Ok(ReplaySettings { given: self.given(), rules: self.rules.read()? })
    }

    fn given(&self) -> Conditions {
        Conditions {
            keep_original: self.keep_original,
            table_streams: self.tables.streams(),
            latest_state: self.tables.latest(),
            ..Conditions::default()
        }
    }
}

/// Which tables of databases have more than their dataset's data stream.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Tables")]
pub struct TableArgs {
    /// Tables whose rows and changes go to a data stream of the table's own, each column with its
    /// type, as patterns: shop.public.orders, shop.*, or * for all
    #[arg(long, env = "TAHOE_TABLE_STREAMS", value_name = "PATTERN", value_delimiter = ',')]
    pub table_streams: Vec<String>,
    /// Tables whose rows are kept as they are now, one document per row, in an index of the table;
    /// patterns as above
    #[arg(long, env = "TAHOE_LATEST_STATE", value_name = "PATTERN", value_delimiter = ',')]
    pub latest_state: Vec<String>,
}

impl TableArgs {
    /// Those with a data stream of their own.
    pub fn streams(&self) -> TablePatterns {
        TablePatterns::new(self.table_streams.iter().cloned())
    }

    /// Those whose rows are kept.
    pub fn latest(&self) -> TablePatterns {
        TablePatterns::new(self.latest_state.iter().cloned())
    }
}

impl TransformArgs {
    /// The topics to read; `more` are topics beside those of the datasets.
    pub fn topics(&self, more: &[String]) -> Vec<String> {
        let mut topics: Vec<_> = self.topics.iter().filter(|t| !t.is_empty()).cloned().collect();
        if topics.is_empty() {
            topics = record_topics();
            topics.extend(more.iter().filter(|topic| !topic.is_empty()).cloned());
        }
        topics.sort();
        topics.dedup();
        topics
    }

    /// The loop's settings; `more` are topics beside those of the datasets.
    ///
    /// # Errors
    /// A file that says something of events cannot be read; names it and the setting.
    pub fn settings(&self, more: &[String], grace: Duration) -> Result<TransformSettings, String> {
        let (rules, renewal) = self.normalize.rules.read_to_renew()?;
        Ok(TransformSettings {
            group: self.group.clone(),
            topics: self.topics(more),
            linger: Duration::from_millis(self.linger_ms),
            given: self.normalize.given(),
            rules,
            renewal,
            grace,
            drain: Duration::ZERO,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: TransformArgs,
    }

    #[test]
    fn without_topics_those_of_the_datasets_and_of_the_producers_are_consumed() {
        let grace = Duration::from_secs(1);
        let topics = |line: &[&str]| {
            let settings = Line::parse_from(line).args.settings(&["mine".into()], grace);
            settings.expect("no file is named").topics
        };
        assert!(topics(&["x"]).contains(&"laravel_logs".to_owned()));
        assert!(topics(&["x"]).contains(&"mine".to_owned()));
        assert_eq!(topics(&["x", "--topics", "a,b"]), ["a", "b"]);
    }
}
