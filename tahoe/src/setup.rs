//! `tahoe setup`: topics, templates and data streams, and what the databases that are read need, as
//! often as one likes. `tahoe teardown` takes away what it made in those databases.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;
use tahoe_pipeline::service::{Check, Place, ProcessArgs, SourceArgs, run_checks, topics_of};
use tahoe_schemas::datasets;
use tahoe_schemas::templates::template_name;
use tahoe_seams::{Sink as _, TablePatterns};
use tahoe_sink_elasticsearch::{Elasticsearch, templates_of};
use tahoe_transformer::{TableArgs, record_topics};
use tokio::runtime::Handle;

use crate::acl::{self, Access};
use crate::backends::BackendArgs;
use crate::output;
use crate::registry::PRODUCERS;
use crate::up::with_producers;

/// Settings of the command beside those of the producers.
#[derive(Args)]
struct SetupArgs {
    /// Print one JSON object: {"topics": […], "data_streams": […], "tables": […]}
    #[arg(long)]
    json: bool,
    /// Connect to nothing; print the commands that give each binary, as a user named like it, what
    /// it needs in Kafka and no more
    #[arg(long, requires = "kafka")]
    acl: bool,
    /// With --acl: the transformer's consumer group
    #[arg(long, env = "KAFKA_GROUP", default_value = "tahoe-transformer", value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    tables: TableArgs,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Settings of its opposite.
#[derive(Args)]
struct TeardownArgs {
    /// Print one JSON object: {"ok", "checks": [{"name", "ok", "text"}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: ProcessArgs,
}

/// The command with every producer's settings.
pub fn command() -> Command {
    with_producers(SetupArgs::augment_args(Command::new("setup")))
        .about("Create the topics, index templates and data streams that are missing")
        .long_about(
            "Create the topics, index templates and data streams that are missing, and what the \
             databases that are read need: a publication and a slot. The tables that \
             --table-streams and --latest-state name get a template each, with a type for every column: run it \
             again when their columns have changed.\n\n\
             What is there already is left as it is, except that an older version of a template is \
             replaced and its data streams begin a new backing index. The embedded log and store \
             need no setting up.\n\n\
             With --acl it prints commands of Kafka's own tool for the sources that are \
             configured, and does nothing.",
        )
        .after_help(
            "Example: tahoe setup --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200",
        )
}

/// The command that takes away what was made in databases.
pub fn teardown_command() -> Command {
    with_producers(TeardownArgs::augment_args(Command::new("teardown")))
        .about("Take away what `tahoe setup` made in the databases that are read")
        .after_help("Example: tahoe teardown --pg-host 127.0.0.1 --pg-database shop")
}

/// Runs `tahoe teardown`.
pub fn tear_down(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = TeardownArgs::from_arg_matches(matches)?;
    let begun = args.process.begin(&teardown_command(), matches);
    let _process = begun.map_err(|error| anyhow!(error))?;
    let mut steps = Vec::new();
    for producer in PRODUCERS {
        steps.extend(producer.dismantle(matches).map_err(|error| anyhow!(error))?);
    }
    match steps.is_empty() {
        true => bail!("nothing to take away: name a database, as for `tahoe setup`"),
        false => Ok(run_checks(steps, args.json)),
    }
}

/// What the databases that are read need.
pub fn prepare_sources(matches: &ArgMatches) -> anyhow::Result<Vec<Check>> {
    let mut steps = Vec::new();
    for producer in PRODUCERS {
        steps.extend(producer.prepare(matches).map_err(|error| anyhow!(error))?);
    }
    Ok(steps)
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = SetupArgs::from_arg_matches(matches)?;
    let process = args.process.begin(&command(), matches).map_err(|error| anyhow!(error))?;
    if args.acl {
        return print_acl(&args, matches);
    }
    let sources = prepare_sources(matches)?;
    let backends = &args.backends;
    if sources.is_empty() && !backends.kafka.is_set() && !backends.elasticsearch.is_set() {
        bail!(
            "nothing to set up: pass --kafka (KAFKA_BOOTSTRAP_SERVERS) or --elasticsearch \
             (ELASTICSEARCH_URL); the embedded log and store set themselves up"
        );
    }
    let place = args.backends.place(&args.sources, None)?;
    let mut topics = Vec::new();
    if backends.kafka.is_set() {
        let wanted = backends.topics(place.topic.as_slice());
        backends.log()?.setup(&wanted)?;
        topics = wanted.into_iter().map(|topic| topic.name).collect();
    }
    let mut streams = Vec::new();
    if backends.elasticsearch.is_set() {
        let sink = backends.elasticsearch()?;
        let name = |dataset: &&tahoe_schemas::Dataset| {
            format!("{}-{}", template_name(dataset), place.namespace)
        };
        let names: Vec<_> = datasets::ALL.iter().map(name).collect();
        process.runtime.block_on(async {
            sink.setup().await?;
            sink.create_data_streams(&names).await
        })?;
        streams = names;
    }
    // First what a table's columns are read through.
    prepare(sources)?;
    let runtime = process.runtime.handle();
    let tables = set_up_tables(matches, &args.tables, &place, backends, runtime)?;
    let list = |kind: &str, names: &[String]| -> String {
        names.iter().map(|name| format!("{kind:<12} {name}\n")).collect()
    };
    output::print(match args.json {
        true => {
            json!({"topics": topics, "data_streams": streams, "tables": tables}).to_string() + "\n"
        }
        false => [("topic", &topics), ("data stream", &streams), ("table", &tables)]
            .map(|(kind, names)| list(kind, names))
            .concat(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the templates of the tables that have data streams of their own; their names.
pub fn set_up_tables(
    matches: &ArgMatches,
    args: &TableArgs,
    place: &Place,
    backends: &BackendArgs,
    runtime: &Handle,
) -> anyhow::Result<Vec<String>> {
    let (streams, latest) = (args.streams(), args.latest());
    if streams.is_empty() && latest.is_empty() {
        return Ok(Vec::new());
    }
    if !backends.elasticsearch.is_set() {
        if !latest.is_empty() {
            bail!("--latest-state: the embedded store keeps no rows, set --elasticsearch");
        }
        return Ok(Vec::new());
    }
    let mut tables = Vec::new();
    for producer in PRODUCERS {
        tables.extend(producer.tables(matches, place).map_err(|error| anyhow!(error))?);
    }
    let named = |patterns: &TablePatterns| -> Vec<_> {
        tables.iter().filter(|table| patterns.has(&table.names().full())).collect()
    };
    let templates = templates_of(&named(&streams), &named(&latest)).into_iter();
    let retention = backends.retention.rules();
    let templates = templates.map(|template| template.kept(&retention)).collect();
    let sink = Elasticsearch::new(&backends.elasticsearch, templates)?;
    runtime.block_on(sink.setup())?;
    let names = tables.iter().map(|table| table.names().full());
    Ok(names.filter(|name| streams.has(name) || latest.has(name)).collect())
}

fn print_acl(args: &SetupArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let place = args.backends.place(&args.sources, None)?;
    let mut producers = Vec::new();
    for producer in PRODUCERS {
        let planned = producer.plan(matches, &place).map_err(|error| anyhow!(error))?;
        if !planned.is_empty() {
            producers.push((producer.name(), topics_of(&planned)));
        }
    }
    let mut consumed = record_topics();
    consumed.extend(place.topic);
    consumed.sort();
    consumed.dedup();
    let access = Access { producers, consumed, group: &args.group };
    output::print(acl::commands(&access, &args.backends.kafka).join("\n") + "\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what the databases have now, to stderr: the command's own result is on stdout.
pub fn prepare(sources: Vec<Check>) -> anyhow::Result<()> {
    for source in sources {
        let done = source.run().map_err(|error| anyhow!(error))?;
        done.lines().for_each(|line| eprintln!("source       {line}"));
    }
    Ok(())
}
