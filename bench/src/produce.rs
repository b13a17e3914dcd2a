//! The producer alone: the real tail and loop, from a file that is there to its last
//! acknowledgement.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_pipeline::produce::{ProduceSettings, produce};
use tahoe_pipeline::stop::Stop;
use tahoe_pipeline::tail::{PathSet, StartAt, Tail, TailSettings};
use tahoe_pipeline::telemetry::ProducerCounts;
use tahoe_schemas::datasets;

use crate::generate::Kind;
use crate::measure::Meter;
use crate::topics;

#[derive(clap::Args)]
pub struct ProduceArgs {
    /// What kind of lines the file holds
    pub kind: Kind,
    /// The file
    pub file: PathBuf,
    /// Topic; created if it is missing
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// Bytes of records that share one Kafka record; 0 gives each record its own
    #[arg(long = "pack", default_value_t = 0, value_name = "BYTES")]
    pub pack_bytes: usize,
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

pub fn run(args: ProduceArgs) -> anyhow::Result<()> {
    let mut meter = Meter::of_process();
    let dataset = datasets::find(args.kind.dataset()).context("the dataset is in the list")?;
    let log = KafkaLog::connect(&args.kafka, "tahoe-bench")?;
    topics::set_up(&log, &args.kafka, &args.topic)?;
    let set = PathSet {
        patterns: vec![args.file.to_string_lossy().into_owned()],
        dataset: dataset.name.to_owned(),
        framer: dataset.framer,
        context: Vec::new(),
        topic: args.topic.clone(),
        namespace: "default".to_owned(),
        time_zone: String::new(),
        labels: Vec::new(),
        tags: Vec::new(),
    };
    let how = TailSettings { start_at: StartAt::Beginning, once: true, ..TailSettings::default() };
    let mut source = Tail::new("bench", vec![set], how)?;
    let settings = ProduceSettings {
        owner: format!("bench/{}/{}", args.topic, std::process::id()),
        grace: Duration::from_secs(60),
        pack_bytes: args.pack_bytes,
        screen: None,
    };
    let counts = Arc::new(ProducerCounts::default());
    meter.begin();
    produce(&log, &mut source, &settings, &Stop::default(), &counts)?;
    let (read, appended) = (counts.read.get(), counts.appended.get());
    anyhow::ensure!(read > 0, "{} holds no record: generate it first", args.file.display());
    anyhow::ensure!(read == appended, "{read} records were read and {appended} are in Kafka");
    meter.finish("produce", appended, json!({"kind": args.kind.name(), "pack": args.pack_bytes}))
}
