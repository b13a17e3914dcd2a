//! Any producer's source, as its own settings say, until so many of its records are in Kafka.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args as _, Command, FromArgMatches as _};
use serde_json::json;
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_pipeline::produce::{ProduceSettings, produce};
use tahoe_pipeline::service::{Producer, SourceArgs as CommonArgs, topics_of};
use tahoe_pipeline::stop::Stop;
use tahoe_pipeline::telemetry::ProducerCounts;
use tahoe_seams::{Batch, BatchEnd, Known, Origin, Record, Source, SourceError, SourceId};

use crate::measure::Meter;
use crate::topics;

/// Producers of databases; `bench/databases` starts the servers of those that have a package.
const PRODUCERS: [&dyn Producer; 3] =
    [&tahoe_postgres::Postgres, &tahoe_mysql::Mysql, &tahoe_mongodb::MongoDb];

#[derive(clap::Args)]
pub struct SourceArgs {
    /// Name of its binary
    pub producer: String,
    /// Records after which it stops; a second run goes on where the first one stopped
    #[arg(long, value_name = "N")]
    pub records: u64,
    /// What the records are, for the result
    #[arg(long, value_name = "TEXT")]
    pub kind: String,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Settings of the producer
    #[arg(last = true, value_name = "FLAGS")]
    pub flags: Vec<String>,
}

pub fn run(args: SourceArgs) -> anyhow::Result<()> {
    let mut meter = Meter::of_process();
    let found = PRODUCERS.into_iter().find(|producer| producer.name() == args.producer);
    let producer = found.with_context(|| format!("no producer is named {}", args.producer))?;
    let command = CommonArgs::augment_args(producer.arguments(Command::new(producer.name())));
    let words = std::iter::once(&args.producer).chain(&args.flags);
    let matches = command.no_binary_name(false).try_get_matches_from(words)?;
    let place = CommonArgs::from_arg_matches(&matches)?.place().map_err(|error| anyhow!(error))?;
    let mut planned = producer.plan(&matches, &place).map_err(|error| anyhow!(error))?;
    ensure!(planned.len() == 1, "{} sources are set, and one is measured", planned.len());
    let log = KafkaLog::connect(&args.kafka, "tahoe-bench")?;
    for topic in topics_of(&planned) {
        topics::set_up(&log, &args.kafka, &topic)?;
    }
    let mut planned = planned.remove(0);
    let mut source = Until { inner: (planned.open)()?, left: args.records };
    let settings = ProduceSettings {
        owner: format!("bench/{}", planned.name),
        grace: Duration::from_secs(60),
        pack_bytes: 0,
        screen: None,
    };
    let counts = Arc::new(ProducerCounts::default());
    meter.begin();
    produce(&log, &mut source, &settings, &Stop::default(), &counts)?;
    let (read, appended) = (counts.read.get(), counts.appended.get());
    ensure!(read == appended, "{read} records were read and {appended} are in Kafka");
    meter.finish("source", appended, json!({"producer": args.producer, "kind": args.kind}))
}

/// A source that ends when it has given enough.
struct Until {
    inner: Box<dyn Source>,
    left: u64,
}

impl Source for Until {
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        self.inner.resume(known)
    }

    fn successor(&self, former: SourceId) -> Option<SourceId> {
        self.inner.successor(former)
    }

    fn stream_of(&self, origin: &Origin) -> Option<SourceId> {
        self.inner.stream_of(origin)
    }

    fn recover(&mut self, record: &Record<'_>, context: &mut Vec<u8>) {
        self.inner.recover(record, context);
    }

    fn may_change(&self, stream: SourceId) -> bool {
        self.inner.may_change(stream)
    }

    fn read(&mut self, batch: &mut Batch, wait: Duration) -> Result<(), SourceError> {
        let before = batch.records().len();
        let result = self.inner.read(batch, wait);
        self.left = self.left.saturating_sub((batch.records().len() - before) as u64);
        result
    }

    fn release(&mut self, through: BatchEnd) -> Result<(), SourceError> {
        self.inner.release(through)
    }

    fn holds(&self) -> bool {
        self.inner.holds()
    }

    fn stored(&mut self, through: BatchEnd) -> Result<(), SourceError> {
        self.inner.stored(through)
    }

    fn has_ended(&self) -> bool {
        self.left == 0 || self.inner.has_ended()
    }

    fn close(&mut self) -> Result<(), SourceError> {
        self.inner.close()
    }
}
