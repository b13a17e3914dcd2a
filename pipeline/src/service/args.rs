//! Settings that every producer shares: whose records they are, and how they are sent.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tahoe_schemas::Dataset;
use tahoe_schemas::rules::is_namespace;
use tahoe_seams::Origin;

use crate::log::RECORD_BYTES_MAX;
use crate::poll::{PollSettings, Schedule, Trigger};
use crate::renewed::Screens;
use crate::replicate::{RecordKind, feed_id};
use crate::tail::{TailArgs, TailSettings};

/// Whose records they are, what they are marked with, and where they go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Records")]
pub struct RecordArgs {
    /// Client company that the events belong to
    #[arg(long, env = "TAHOE_NAMESPACE", default_value = "default", value_name = "NAME")]
    pub namespace: String,
    /// Name of this host in the events [default: the system's]
    #[arg(long, env = "TAHOE_HOST", value_name = "NAME")]
    pub host: Option<String>,
    /// Zone of time stamps that name none: an IANA name or an offset
    #[arg(long = "tz", env = "TAHOE_TIME_ZONE", default_value = "UTC", value_name = "ZONE")]
    pub time_zone: String,
    /// Topic for all records of this process [default: each dataset's own]
    #[arg(long, env = "KAFKA_TOPIC", value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Label for every event; may be repeated
    #[arg(long = "label", env = "TAHOE_LABELS", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Tag for every event; may be repeated
    #[arg(long = "tag", env = "TAHOE_TAGS", value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Bytes of records that share one Kafka record; 0 gives each record its own
    #[arg(long = "pack", env = "TAHOE_PACK", default_value_t = 0, value_name = "BYTES")]
    pub pack_bytes: usize,
}

/// Where a producer runs and what its records are marked with.
#[derive(Args, Clone, Debug)]
pub struct SourceArgs {
    /// What the records are marked with.
    #[command(flatten)]
    pub records: RecordArgs,
    /// How files are read.
    #[command(flatten)]
    pub tail: TailArgs,
}

/// What every stream of a service has in common.
#[derive(Clone, Debug)]
pub struct Place {
    /// This host's name.
    pub host: String,
    /// Client company.
    pub namespace: String,
    /// Zone of stamps without one; empty is UTC.
    pub time_zone: String,
    /// Labels of every event.
    pub labels: Vec<(String, String)>,
    /// Tags of every event.
    pub tags: Vec<String>,
    /// Topic that replaces each dataset's own.
    pub topic: Option<String>,
    /// How files are read.
    pub tail: TailSettings,
    /// Polled tables are read once, and nothing else is.
    pub once: bool,
    /// Asks for polled tables to be read now.
    pub trigger: Trigger,
    /// The privacy policy that comes before the log.
    pub screen: Option<Arc<Screens>>,
    /// Largest record that the log takes, with key and header (`KAFKA_RECORD_BYTES_MAX`).
    pub log_record_bytes_max: usize,
}

/// Of what the log takes, for a record's key and header: a key has a table's primary key or a path,
/// a header the origin with its labels and the framer's context.
const KEY_AND_HEADER_BYTES: usize = 64 << 10;

/// The system's name of this host.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl SourceArgs {
    /// Checks the settings and looks up the host's name.
    ///
    /// # Errors
    /// Names the setting.
    pub fn place(&self) -> Result<Place, String> {
        self.records.place(TailSettings::from(&self.tail))
    }
}

impl RecordArgs {
    /// Checks the settings and looks up the host's name.
    ///
    /// # Errors
    /// Names the setting.
    pub fn place(&self, tail: TailSettings) -> Result<Place, String> {
        let labels = self.labels.iter().map(|label| match label.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(format!("--label {label}: give NAME=VALUE")),
        });
        if !is_namespace(&self.namespace) {
            return Err(format!(
                "--namespace {}: only a-z, 0-9, _ and . make the name of a data stream",
                self.namespace
            ));
        }
        let host = match &self.host {
            Some(host) => host.clone(),
            None => host_name(),
        };
        if !tahoe_schemas::zone_is_known(&self.time_zone) {
            return Err(format!(
                "--tz {}: neither an IANA zone name nor an offset",
                self.time_zone
            ));
        }
        let time_zone =
            if self.time_zone == "UTC" { String::new() } else { self.time_zone.clone() };
        Ok(Place {
            host,
            namespace: self.namespace.clone(),
            time_zone,
            labels: labels.collect::<Result<_, _>>()?,
            tags: self.tags.clone(),
            topic: self.topic.clone().filter(|topic| !topic.is_empty()),
            tail,
            once: false,
            trigger: Trigger::default(),
            screen: None,
            log_record_bytes_max: RECORD_BYTES_MAX,
        })
    }
}

impl Place {
    /// Bytes of the largest record, as it is read, that the log takes from here.
    fn bytes_max(&self) -> usize {
        let room = self.log_record_bytes_max.saturating_sub(KEY_AND_HEADER_BYTES);
        // What a policy encrypts whole is sent as base64.
        if self.screen.is_some() { room / 4 * 3 } else { room }
    }

    /// How tables are polled: `every` is the setting of that name with its text, the overlap is in
    /// seconds.
    ///
    /// # Errors
    /// Names the setting that is no interval.
    pub fn polling(
        &self,
        every: (&str, &str),
        overlap: Option<u64>,
        chunk_rows_max: u64,
    ) -> Result<PollSettings, String> {
        let (setting, text) = every;
        let schedule = match self.once {
            true => Schedule::Once,
            false => Schedule::parse(text, &self.time_zone)
                .map_err(|error| format!("{setting}: {error}"))?,
        };
        let (trigger, screen) = (self.trigger.clone(), self.screen.clone());
        let overlap = overlap.map(Duration::from_secs);
        Ok(PollSettings { schedule, overlap, chunk_rows_max, trigger, screen })
    }

    /// Bytes of the largest record that a producer makes if nothing else is asked for: a fifth
    /// less, as the event that becomes of it is longer, and a key may repeat a part of it.
    pub fn record_bytes_max(&self) -> usize {
        self.bytes_max() / 5 * 4
    }

    /// The limit of a producer's own, or the log's where there is none.
    ///
    /// # Errors
    /// The log would refuse what the producer lets pass; names both settings.
    pub fn fitting(&self, setting: &str, asked: Option<usize>) -> Result<usize, String> {
        let bytes_max = self.bytes_max();
        match asked {
            Some(asked) if asked > bytes_max => {
                let sealed = match self.screen {
                    Some(_) => ", and a quarter of the rest for what --privacy encrypts",
                    None => "",
                };
                Err(format!(
                    "{setting} {asked}: a record may have {bytes_max} bytes, as KAFKA_RECORD_BYTES_MAX \
                     is {}, less {KEY_AND_HEADER_BYTES} for key and header{sealed}: lower the one \
                     or raise the other",
                    self.log_record_bytes_max
                ))
            }
            Some(asked) => Ok(asked),
            None => Ok(self.record_bytes_max()),
        }
    }

    /// A database's records of that dataset. Its name tells their source from all others and is its
    /// identity for good; the path is for people.
    pub fn kind(&self, dataset: &Dataset, name: &str, path: &str, may_change: bool) -> RecordKind {
        let origin = Origin {
            source: feed_id(name),
            dataset: dataset.name.to_owned(),
            namespace: self.namespace.clone(),
            host: self.host.clone(),
            path: path.to_owned(),
            time_zone: self.time_zone.clone(),
            labels: self.labels.clone(),
            tags: self.tags.clone(),
            ..Origin::default()
        };
        let topic = self.topic.clone().unwrap_or_else(|| dataset.declared().topic.to_owned());
        RecordKind { origin, topic, may_change, screen: self.screen.clone(), former: None }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::service::{PrivacyKeyArgs, ScreenArgs};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        sources: SourceArgs,
    }

    #[test]
    fn no_producer_lets_a_record_pass_that_the_log_would_refuse() {
        let line = Line::parse_from(["x"]);
        let usual = line.sources.place().expect("a place");
        assert_eq!(usual.fitting("--x", None), Ok(((20 << 20) - (64 << 10)) / 5 * 4));
        assert_eq!(usual.fitting("--x", Some(19 << 20)), Ok(19 << 20));
        assert_eq!(usual.fitting("--x", Some(1 << 20)), Ok(1 << 20));
        let serverless = Place { log_record_bytes_max: 8 << 20, ..usual };
        assert!(serverless.record_bytes_max() < 7 << 20);
        let error = serverless.fitting("--x", Some(16 << 20)).expect_err("too large");
        assert!(error.starts_with("--x 16777216: "), "{error}");
        assert!(error.contains("KAFKA_RECORD_BYTES_MAX is 8388608"), "{error}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = folder.path().join("key");
        std::fs::write(&key, "0123456789abcdef").expect("written");
        let privacy_key =
            PrivacyKeyArgs { privacy_key_file: Some(key), ..PrivacyKeyArgs::default() };
        let args = ScreenArgs { privacy_key, ..ScreenArgs::default() };
        let sealed = Place { screen: args.screens().expect("readable"), ..serverless };
        // Base64 has four bytes for three.
        assert!(sealed.bytes_max() / 3 * 4 + (60 << 10) <= 8 << 20);
        assert!(sealed.fitting("--x", Some(7 << 20)).expect_err("too large").contains("--privacy"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_setting() {
        let line = Line::parse_from(["x", "--namespace", "Acme Corp"]);
        assert!(line.sources.place().expect_err("refused").starts_with("--namespace Acme Corp"));
        let line = Line::parse_from(["x", "--tz", "Mars/Base"]);
        assert!(line.sources.place().expect_err("refused").starts_with("--tz Mars/Base"));
        let line = Line::parse_from(["x", "--label", "env"]);
        assert!(line.sources.place().expect_err("refused").starts_with("--label env"));
    }
}
