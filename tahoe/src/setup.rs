//! `tahoe setup`: topics, templates and data streams, as often as one likes.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::json;
use tahoe_pipeline::service::{ProcessArgs, SourceArgs};
use tahoe_schemas::datasets;
use tahoe_seams::Sink as _;
use tahoe_sink_elasticsearch::{Elasticsearch, dataset_templates};

use crate::backends::BackendArgs;

/// Create the topics, index templates and data streams that are missing.
///
/// What is there already is left as it is, except that an older version of a template is replaced
/// and its data streams begin a new backing index. The embedded log and store need no setting up.
///
/// Example: tahoe setup --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200
#[derive(Args)]
pub struct SetupArgs {
    /// Print one JSON object: {"topics": […], "data_streams": […]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Runs the command.
pub fn run(args: &SetupArgs, matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    use clap::Args as _;
    let command = SetupArgs::augment_args(clap::Command::new("setup"));
    let process = args.process.begin(&command, matches).map_err(|error| anyhow!(error))?;
    let backends = &args.backends;
    if !backends.kafka.is_set() && !backends.elasticsearch.is_set() {
        bail!(
            "nothing to set up: pass --kafka (KAFKA_BOOTSTRAP_SERVERS) or --elasticsearch \
             (ELASTICSEARCH_URL); the embedded log and store set themselves up"
        );
    }
    let place = args.sources.place().map_err(|error| anyhow!(error))?;
    let mut topics = Vec::new();
    if backends.kafka.is_set() {
        let wanted = backends.topics(place.topic.as_slice());
        backends.log()?.setup(&wanted)?;
        topics = wanted.into_iter().map(|topic| topic.name).collect();
    }
    let mut streams = Vec::new();
    if backends.elasticsearch.is_set() {
        let sink = Elasticsearch::new(&backends.elasticsearch, dataset_templates())?;
        let name = |dataset: &&tahoe_schemas::Dataset| {
            format!("logs-{}-{}", dataset.name, place.namespace)
        };
        let names: Vec<_> = datasets::ALL.iter().map(name).collect();
        process.runtime.block_on(async {
            sink.setup().await?;
            sink.create_data_streams(&names).await
        })?;
        streams = names;
    }
    if args.json {
        println!("{}", json!({"topics": topics, "data_streams": streams}));
    } else {
        topics.iter().for_each(|topic| println!("topic        {topic}"));
        streams.iter().for_each(|stream| println!("data stream  {stream}"));
    }
    Ok(ExitCode::SUCCESS)
}
