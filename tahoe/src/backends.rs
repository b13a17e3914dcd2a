//! Which log and which store: the real ones where a setting names them, else the embedded ones.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use tahoe_pipeline::log::embedded::{self, EmbeddedLog, EmbeddedSettings};
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_pipeline::renewed::Screens;
use tahoe_pipeline::service::{Place, RecordArgs, SourceArgs};
use tahoe_pipeline::stop::Patience;
use tahoe_pipeline::tail::TailSettings;
use tahoe_schemas::retention::{Retention, RetentionRule};
use tahoe_seams::{Log, Sink, Topic, search::Search};
use tahoe_sink_elasticsearch::{Elasticsearch, ElasticsearchArgs, dataset_templates};
use tahoe_sink_embedded::{EmbeddedStore, Settings};
use tahoe_transformer::record_topics;

/// Partitions of a topic that has to be created in Kafka.
const KAFKA_PARTITIONS: u32 = 6;

/// Partitions of an embedded topic: there is one reader.
const EMBEDDED_PARTITIONS: u32 = 1;

/// Where records and events are kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Embedded log and store")]
pub struct BackendArgs {
    /// Folder of the embedded log and store, and of the samples
    #[arg(long, env = "TAHOE_DATA", default_value = "./tahoe-data", value_name = "PATH")]
    pub data: PathBuf,
    /// The embedded log.
    #[command(flatten)]
    pub embedded: EmbeddedSettings,
    /// Kafka, instead of the embedded log.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Elasticsearch, instead of the embedded store.
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
    /// How long events are kept.
    #[command(flatten)]
    pub retention: RetentionArgs,
}

/// How long events are kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Retention")]
pub struct RetentionArgs {
    /// Days that events are kept: of a dataset (mysql.general=30), of a company (*-acme=365), of
    /// both (laravel.log-acme=14) or of all (60); `forever` for no end. The first rule that fits
    /// counts [default: what the dataset declares, 90 mostly]
    #[arg(
        id = "retention",
        long = "retention",
        env = "TAHOE_RETENTION",
        value_name = "RULE",
        value_delimiter = ','
    )]
    rules: Vec<RetentionRule>,
}

impl RetentionArgs {
    /// The rules.
    pub fn rules(&self) -> Retention {
        Retention::new(self.rules.clone())
    }
}

impl BackendArgs {
    /// The place of producers that write to this log, with what is screened before it.
    pub fn place(
        &self,
        sources: &SourceArgs,
        screen: Option<Arc<Screens>>,
    ) -> anyhow::Result<Place> {
        self.fitting(sources.place(), &sources.records, screen)
    }

    /// The same of records that are loaded.
    pub fn place_of_loaded(
        &self,
        records: &RecordArgs,
        screen: Option<Arc<Screens>>,
    ) -> anyhow::Result<Place> {
        self.fitting(records.place(TailSettings::default()), records, screen)
    }

    fn fitting(
        &self,
        place: Result<Place, String>,
        records: &RecordArgs,
        screen: Option<Arc<Screens>>,
    ) -> anyhow::Result<Place> {
        let place = place.map_err(|error| anyhow!(error))?;
        let log_record_bytes_max = match self.kafka.is_set() {
            true => self.kafka.record_bytes_max,
            false => self.embedded.record_bytes_max,
        };
        let place = Place { log_record_bytes_max, screen, ..place };
        place.fitting("--pack", Some(records.pack_bytes)).map_err(|error| anyhow!(error))?;
        Ok(place)
    }

    /// Opens the log.
    pub fn log(&self) -> anyhow::Result<Arc<dyn Log>> {
        self.log_until(Patience::default())
    }

    /// Opens the log, whose calls wait no longer than there is `patience`.
    pub fn log_until(&self, patience: Patience) -> anyhow::Result<Arc<dyn Log>> {
        if self.kafka.is_set() {
            return Ok(Arc::new(KafkaLog::connect(&self.kafka, "tahoe")?.until(patience)));
        }
        Ok(Arc::new(EmbeddedLog::open(&self.folder("log")?, &self.embedded)?))
    }

    /// Most that the log and the store hold, the log with one reader.
    pub fn memory(&self) -> [(&'static str, usize); 2] {
        let log = match self.kafka.is_set() {
            true => ("kafka", self.kafka.memory_bytes_max(1)),
            false => ("embedded log", embedded::MEMORY_BYTES_MAX),
        };
        // Requests to Elasticsearch are slices of the transformer's batches.
        let store = match self.elasticsearch.is_set() {
            true => 0,
            false => Settings::default().memory_bytes_max(),
        };
        [log, ("embedded store", store)]
    }

    /// Opens the log if there is one: asking an empty folder is a typing error, and creates nothing.
    pub fn existing_log(&self, patience: Patience) -> anyhow::Result<Arc<dyn Log>> {
        let folder = self.data.join("log");
        if !self.kafka.is_set() && !folder.is_dir() {
            bail!(
                "no embedded log in {}: name its folder by --data, or Kafka by --kafka",
                self.data.display()
            );
        }
        self.log_until(patience)
    }

    /// Opens the store for writing.
    pub fn sink(&self) -> anyhow::Result<Arc<dyn Sink>> {
        if self.elasticsearch.is_set() {
            return Ok(Arc::new(self.elasticsearch()?));
        }
        Ok(Arc::new(self.store()?))
    }

    /// Elasticsearch with the templates of all datasets, which keep what the rules say.
    pub fn elasticsearch(&self) -> anyhow::Result<Elasticsearch> {
        let retention = self.retention.rules();
        let templates = dataset_templates().into_iter().map(|template| template.kept(&retention));
        Ok(Elasticsearch::new(&self.elasticsearch, templates.collect())?)
    }

    /// The embedded store, for writing.
    pub fn store(&self) -> anyhow::Result<EmbeddedStore> {
        let settings = Settings { retention: self.retention.rules(), ..Settings::default() };
        Ok(EmbeddedStore::open(&self.folder("store")?, settings)?)
    }

    /// The embedded store, for reading.
    pub fn stored(&self) -> anyhow::Result<EmbeddedStore> {
        Ok(EmbeddedStore::open_read_only(&self.data.join("store"))?)
    }

    /// Opens the store for reading.
    pub fn search(&self) -> anyhow::Result<Box<dyn Search>> {
        if self.elasticsearch.is_set() {
            return Ok(Box::new(Elasticsearch::new(&self.elasticsearch, Vec::new())?));
        }
        Ok(Box::new(self.stored()?))
    }

    /// What must be in the log: every dataset's topic, its dead letters, and the positions.
    pub fn topics(&self, more: &[String]) -> Vec<Topic> {
        let partitions = if self.kafka.is_set() { KAFKA_PARTITIONS } else { EMBEDDED_PARTITIONS };
        let mut names = record_topics();
        names.extend(more.iter().filter(|topic| !topic.is_empty()).cloned());
        names.sort();
        names.dedup();
        let dead = names.iter().map(|name| tahoe_transformer::dead_letter_topic(name));
        let names: Vec<_> = dead.collect::<Vec<_>>().into_iter().chain(names).collect();
        let topic = |name| Topic { name, partitions, compacted: false };
        let positions = Topic {
            name: self.kafka.kafka_positions_topic.clone(),
            partitions: 1,
            compacted: true,
        };
        names.into_iter().map(topic).chain([positions]).collect()
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.data.join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("--data {}", self.data.display()))?;
        Ok(folder)
    }
}
