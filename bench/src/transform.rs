//! The transformer alone: the real loop and sink, from the first record of a topic to the last
//! event stored. The endpoint is another process, so that its work is not counted.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_pipeline::stop::Stop;
use tahoe_seams::Sink;
use tahoe_sink_elasticsearch::{Elasticsearch, ElasticsearchArgs, dataset_templates};
use tahoe_transformer::{TransformSettings, TransformerCounts, transform};

use crate::endpoint::Endpoint;
use crate::generate::Kind;
use crate::measure::Meter;

/// How often the counters are looked at: a thousandth of the CPU time of a fast run.
const LOOK: Duration = Duration::from_millis(5);
/// A topic that gives nothing new for so long has no more.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub struct TransformArgs {
    /// What kind of records the topic holds
    kind: Kind,
    /// Topic that `produce` filled
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// How many records it holds
    #[arg(long, value_name = "N")]
    events: u64,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    elasticsearch: ElasticsearchArgs,
}

pub fn run(mut args: TransformArgs) -> anyhow::Result<()> {
    let mut meter = Meter::of_process();
    let real = args.elasticsearch.is_set();
    let endpoint = if real { None } else { Some(Endpoint::start()?) };
    if let Some(endpoint) = &endpoint {
        args.elasticsearch.addresses = vec![endpoint.url().parse().map_err(anyhow::Error::msg)?];
    }
    // As the service has it: one thread for the loop, and the sink's requests beside it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sink: Arc<dyn Sink> =
        Arc::new(Elasticsearch::new(&args.elasticsearch, dataset_templates())?);
    if real {
        runtime.block_on(sink.setup())?;
    }
    let log = KafkaLog::connect(&args.kafka, "tahoe-bench")?;
    let settings = TransformSettings {
        group: format!("tahoe-bench-{}", std::process::id()),
        topics: vec![args.topic.clone()],
        ..TransformSettings::default()
    };
    let (stop, counts) = (Stop::default(), Arc::new(TransformerCounts::default()));
    let transformed = thread::scope(|scope| {
        let loop_ =
            scope.spawn(|| transform(&log, &sink, &settings, &stop, &counts, runtime.handle()));
        let watched = watch(&counts, args.events, &mut meter, || loop_.is_finished());
        stop.ask();
        let done = loop_.join().map_err(|_| anyhow::anyhow!("the loop stopped by a defect"))?;
        done.map_err(anyhow::Error::from).and(watched)
    });
    transformed?;
    let stored = counts.stored.get();
    ensure!(stored == args.events, "{stored} of {} records were stored", args.events);
    let more = json!({"kind": args.kind.name(), "topic": args.topic});
    if let Some(endpoint) = endpoint {
        let counted = endpoint.counted()?;
        ensure!(counted == args.events, "the endpoint counted {counted} events");
    }
    let what = if real { "transform to Elasticsearch" } else { "transform" };
    meter.finish(what, stored, more)
}

/// Returns when every record is decided. The wall clock begins with the first record, since a
/// group takes seconds to form.
fn watch(
    counts: &TransformerCounts,
    events: u64,
    meter: &mut Meter,
    ended: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        thread::sleep(LOOK);
        let (read, in_flight) = (counts.read.get(), counts.in_flight());
        if read > 0 && seen == 0 {
            meter.begin();
        }
        if read >= events && in_flight == 0 {
            return Ok(());
        }
        if read - in_flight > seen || (seen == 0 && read > 0) {
            (seen, since) = ((read - in_flight).max(1), Instant::now());
        }
        if ended() {
            bail!("the loop ended before the last record");
        }
        if since.elapsed() > PATIENCE {
            let text = format!("{read} of {events} records came within {PATIENCE:?}");
            return Err(anyhow::anyhow!(text)).context("is --events what the topic holds?");
        }
    }
}
