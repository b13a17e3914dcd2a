//! `tahoe up`: the whole pipeline in one process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;
use tahoe_pipeline::produce::{self, ProduceSettings};
use tahoe_pipeline::seams::{Log, Sink};
use tahoe_pipeline::service::{
    MeasureArgs, Measured, Memory, Place, Planned, Process, ProcessArgs, Running, ServeArgs,
    SourceArgs, Speaker, log_notes, start, topics_of,
};
use tahoe_pipeline::stop::Stop;
use tahoe_transformer::{
    AtSourceArgs, Dependencies, TransformArgs, TransformSettings, TransformerCounts,
    keep_transforming, readiness,
};
use tokio::runtime::Handle;

use crate::backends::BackendArgs;
use crate::registry::PRODUCERS;
use crate::view::{OWN, Pipeline, View};
use crate::{output, sample, setup};

/// Where there is nothing to read.
const WHAT_TO_PASS: &str = "pass --laravel PATH, --file DATASET=PATH or --syslog ADDRESS, or \
                            --sample to see recorded lines";

/// Between two looks at whether the transformer has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Settings of the command beside those of the producers.
#[derive(Args)]
pub struct UpArgs {
    /// Add a live feed of sample lines, so that a bare machine shows something too
    #[arg(long)]
    sample: bool,
    /// Stop by itself after this long: 20s, 5m
    #[arg(long = "for", value_name = "TIME", value_parser = crate::time::duration)]
    duration: Option<Duration>,
    /// Print a summary as the last line of stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    transform: TransformArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    served: ServeArgs,
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    at_source: AtSourceArgs,
}

/// The command with every producer's settings.
pub fn command() -> Command {
    // The description comes last: flattened settings bring one of their own.
    with_producers(UpArgs::augment_args(Command::new("up")))
        .about("Run the whole pipeline in this process")
        .long_about(
            "Run the whole pipeline in this process: producers, log, transformer and store.\n\n\
             Without settings it reads this machine's own logs, listens for syslog on \
             127.0.0.1:5514, and keeps everything in ./tahoe-data. --kafka and --elasticsearch \
             put Apache Kafka and Elasticsearch in place of the embedded log and store.",
        )
        .after_help("Example: tahoe up --laravel 'storage/logs/laravel-*.log' --start-at beginning")
}

/// A command with every producer's settings beside its own.
pub fn with_producers(command: Command) -> Command {
    PRODUCERS.iter().fold(command, |command, producer| producer.arguments(command))
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = UpArgs::from_arg_matches(matches)?;
    let begun = args.process.begin(&command(), matches).map_err(|error| anyhow!(error))?;
    let process =
        Process { metrics: args.served.listen().map_err(|error| anyhow!(error))?, ..begun };
    let (runtime, stop) = (&process.runtime, &process.stop);
    let screen = args.at_source.screens(&args.transform.normalize.rules);
    let screen = screen.map_err(|error| anyhow!(error))?;
    let place = args.backends.place(&args.sources, screen)?;
    let planned = plan(&args, matches, &place)?;
    setup::prepare(setup::prepare_sources(matches)?)?;
    let topics = topics_of(&planned);
    let drain = drain(&args, process.grace);
    let transform = args.transform.settings(&topics, process.grace);
    let transform = TransformSettings { drain, ..transform.map_err(|error| anyhow!(error))? };
    let batches = planned.len() * produce::MEMORY_BYTES_MAX + tahoe_transformer::MEMORY_BYTES_MAX;
    Memory::of(args.backends.memory().into_iter().chain([("batches", batches)])).log();
    let log = args.backends.log_until(process.patience())?;
    log.setup(&args.backends.topics(&topics))?;
    let sink = args.backends.sink()?;
    runtime.block_on(sink.setup())?;
    let tables = &args.transform.normalize.tables;
    setup::set_up_tables(matches, tables, &place, &args.backends, runtime.handle())?;

    let settings = ProduceSettings {
        owner: String::new(),
        grace: process.grace,
        pack_bytes: args.sources.records.pack_bytes,
        screen: place.screen.clone(),
    };
    let feed = args.sample.then(|| sample::start(&sample_folder(&args), stop)).transpose()?;
    let running = start(planned, &log, &place.host, &settings, stop);
    let counts = Arc::new(TransformerCounts::default());
    let ready = readiness(&log, &sink, transform.topics.clone(), runtime.handle());
    let pipeline = Pipeline::new(running.metered.clone(), Arc::clone(&counts), ready);
    process.show("tahoe", Arc::new(pipeline.clone())).map_err(|error| anyhow!(error))?;
    let transformer_stop = Stop::default();
    let transformer = Transformer { log, sink, settings: transform, counts: Arc::clone(&counts) };
    let measured = measure(&args, pipeline.clone(), &transformer, (&place.host, &process));
    let thread = transformer.spawn(&transformer_stop, runtime.handle())?;
    let mut view = View::new();
    watch(&mut view, &running, &thread, stop, args.duration, &pipeline);

    // Producers first, so that what they still send is read before the transformer stops.
    stop.ask_to_finish();
    let produced = running.join();
    if let Some(feed) = feed {
        feed.join().map_err(|_| anyhow!("the sample feed stopped by a defect"))??;
    }
    drop(measured);
    transformer_stop.ask();
    while !thread.is_finished() {
        if stop.is_urgent() {
            transformer_stop.ask();
        }
        view.show(&pipeline);
        std::thread::park_timeout(LOOK);
    }
    let transformed = thread.join().map_err(|_| anyhow!("the transformer stopped by a defect"))?;
    view.finish(&pipeline);
    if args.json {
        output::print(format!("{}\n", summary(&counts)))?;
    }
    produced.map_err(|error| anyhow!(error))?;
    transformed.map_err(|error| anyhow!(error))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what it measures of itself where Kibana can show it.
fn measure(
    args: &UpArgs,
    pipeline: Pipeline,
    transformer: &Transformer,
    (host, process): (&str, &Process),
) -> Measured {
    let Transformer { log, sink, settings, .. } = transformer;
    let BackendArgs { kafka, elasticsearch, .. } = &args.backends;
    let (topics, runtime) = (settings.topics.clone(), process.runtime.handle());
    let dependencies = Dependencies::new((log, kafka), (sink, elasticsearch), topics, runtime);
    let every = args.measure.every().filter(|_| elasticsearch.is_set());
    let speaker = Speaker { service: "tahoe", node: host.to_owned() };
    let health = Arc::new(pipeline.with(dependencies));
    Measured::begin(every, speaker, log, health, process.patience())
}

/// Told beforehand when to end, it ends with everything stored, however long that takes, unless
/// others write to the log too.
fn drain(args: &UpArgs, grace: Duration) -> Duration {
    let alone = !args.backends.kafka.is_set();
    if alone && args.duration.is_some() { Duration::MAX } else { grace }
}

fn sample_folder(args: &UpArgs) -> PathBuf {
    args.backends.data.join("sample")
}

/// What the producers' settings ask for.
pub fn plan_producers(matches: &ArgMatches, place: &Place) -> anyhow::Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for producer in PRODUCERS {
        planned.extend(producer.plan(matches, place).map_err(|error| anyhow!(error))?);
    }
    Ok(planned)
}

fn plan(args: &UpArgs, matches: &ArgMatches, place: &Place) -> anyhow::Result<Vec<Planned>> {
    let mut planned = plan_producers(matches, place)?;
    if args.sample {
        planned.push(sample::plan(&sample_folder(args), place)?);
    }
    if planned.is_empty() {
        bail!("nothing to read: {WHAT_TO_PASS}");
    }
    log_notes(&planned);
    if planned.iter().all(|plan| plan.waits_for_others) {
        tracing::warn!("no log file of this machine can be read: {WHAT_TO_PASS}");
    }
    Ok(planned)
}

struct Transformer {
    log: Arc<dyn Log>,
    sink: Arc<dyn Sink>,
    settings: TransformSettings,
    counts: Arc<TransformerCounts>,
}

type Thread = std::thread::JoinHandle<Result<(), String>>;

impl Transformer {
    fn spawn(self, stop: &Stop, runtime: &Handle) -> anyhow::Result<Thread> {
        let (stop, runtime) = (stop.clone(), runtime.clone());
        let body = move || {
            let Self { log, sink, settings, counts } = self;
            keep_transforming(log.as_ref(), &sink, &settings, &stop, &counts, &runtime)
        };
        std::thread::Builder::new()
            .name("transformer".to_owned())
            .spawn(body)
            .context("the system gives no thread")
    }
}

/// Shows what goes on until it is time to stop.
fn watch(
    view: &mut View,
    running: &Running,
    transformer: &Thread,
    stop: &Stop,
    duration: Option<Duration>,
    pipeline: &Pipeline,
) {
    let deadline = duration.map(|duration| Instant::now() + duration);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let step = Duration::from_secs(1).min(left.unwrap_or(Duration::MAX));
        let over = left.is_some_and(|left| left.is_zero());
        if over || stop.is_asked_within(step) || running.any_ended() || transformer.is_finished() {
            break;
        }
        view.show(pipeline);
    }
}

/// The transformer's half of the law, without what the pipeline says of itself.
fn summary(counts: &TransformerCounts) -> serde_json::Value {
    let own = counts.datasets().remove(OWN).unwrap_or_default();
    let (stored, already_there, dead_lettered) =
        (own.stored.get(), own.already_there.get(), own.dead_lettered.get());
    let mut by_dataset = counts.by_dataset();
    by_dataset.remove(OWN);
    json!({
        "read": counts.read.get() - stored - already_there - dead_lettered,
        "stored": counts.stored.get() - stored,
        "already_there": counts.already_there.get() - already_there,
        "dead_lettered": counts.dead_lettered.get() - dead_lettered,
        "dropped": counts.dropped.get(),
        "in_flight": counts.in_flight(),
        "by_dataset": by_dataset,
    })
}
