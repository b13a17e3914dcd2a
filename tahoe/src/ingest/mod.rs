//! `tahoe ingest`: files that are loaded once, as a producer would have sent them.

mod input;
mod prefix;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tahoe_pipeline::positions;
use tahoe_pipeline::produce::{self, ProduceSettings, produce};
use tahoe_pipeline::renewed::Screens;
use tahoe_pipeline::retry::{Backoff, EndedEarly};
use tahoe_pipeline::service::{Memory, Process, ProcessArgs, Progress, RecordArgs};
use tahoe_pipeline::telemetry::ProducerCounts;
use tahoe_seams::{Log, Origin, Sink};
use tahoe_transformer::{
    AtSourceArgs, TransformArgs, TransformSettings, TransformerCounts, transform,
};

use self::input::Input;
use self::source::{How, Loading, Seen};
use crate::backends::BackendArgs;
use crate::{dataset, output};

/// What the names of the owners of loaded files begin with.
pub const OWNERS: &str = "ingest/";

/// Load files once: uploads, backfills.
///
/// A file is known by its content, whatever its name, and whether it is compressed (gzip, Zstandard):
/// loaded again it adds nothing, and after a crash or Ctrl-C the same command goes on where it was. A
/// file that has grown since is another file; tahoe-file follows those that grow. Standard input (-)
/// is known by --name: given again under the same name it has to begin with what was loaded, and the
/// rest is loaded. Records go to their dataset's topic in Kafka; without Kafka they are stored at
/// once, and the command exits with 3 if some were rejected.
///
/// Example: tahoe ingest --dataset nginx.access access.log.2.gz access.log.3.gz
#[derive(Args)]
pub struct IngestArgs {
    /// What the files hold: a name from `tahoe parse --list`
    #[arg(long, required_unless_present = "exported", value_name = "NAME")]
    dataset: Option<String>,
    /// The files hold records as `tahoe dlq export` prints them, each of its own dataset
    #[arg(long, conflicts_with_all = ["dataset", "line_prefix"])]
    exported: bool,
    /// What each line begins with, as the server has it: PostgreSQL's log_line_prefix
    #[arg(long, value_name = "PREFIX")]
    line_prefix: Option<String>,
    /// Name by which standard input is known
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Moment that stands for the time of reading, which decides the year of stamps without one: a
    /// time, a day, or 2h for two hours ago [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    read_at: Option<Timestamp>,
    /// Print a summary as one JSON object
    #[arg(long)]
    json: bool,
    /// Files to load; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    transform: TransformArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    at_source: AtSourceArgs,
}

/// What became of one input.
struct Loaded {
    name: String,
    records: u64,
    already_there: u64,
}

/// The command.
pub fn command() -> Command {
    IngestArgs::augment_args(Command::new("ingest"))
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = IngestArgs::from_arg_matches(matches)?;
    let process = args.process.begin(&command(), matches).map_err(|error| anyhow!(error))?;
    let how = args.how()?;
    // What would keep records from being stored is said before any is loaded: the next command would
    // store them by its own settings.
    let stores = !args.backends.kafka.is_set();
    let settings = stores.then(|| args.transform_settings(&how, &process)).transpose()?;
    let name = args.name.as_deref();
    let inputs = args.files.iter().map(|path| Input::open(path, name));
    let inputs = inputs.collect::<anyhow::Result<Vec<_>>>()?;
    let batches = produce::MEMORY_BYTES_MAX + tahoe_transformer::MEMORY_BYTES_MAX;
    Memory::of(args.backends.memory().into_iter().chain([("batches", batches)])).log();
    let log = args.backends.log_until(process.patience())?;
    let storing =
        settings.map(|settings| args.storing(&log, &how, settings, &process)).transpose()?;
    let total = inputs.iter().filter_map(|input| input.bytes).sum();
    let progress = Arc::new(Mutex::new(Progress::of(total, "bytes")));
    let (mut loaded, mut before) = (Vec::new(), 0);
    for input in &inputs {
        loaded.push(args.load(input, &how, (&log, &process), &progress, before)?);
        before += input.bytes.unwrap_or(0);
    }
    drop(progress);
    let stored = storing.map(|storing| storing.store(&log, &process)).transpose()?;
    args.print(&loaded, stored.as_deref())?;
    Ok(output::exit_code(stored.is_some_and(|counts| counts.dead_lettered.get() > 0)))
}

impl IngestArgs {
    fn how(&self) -> anyhow::Result<How> {
        let screen = self.at_source.screens(&self.transform.normalize.rules);
        let screen = screen.map_err(|error| anyhow!(error))?;
        let place = self.backends.place_of_loaded(&self.records, screen)?;
        let read_at = self.read_at.unwrap_or_else(Timestamp::now);
        let framing = self.dataset.as_deref();
        let framing = framing.map(|name| dataset::framing(name, self.line_prefix.as_deref()));
        let framer = framing.transpose()?.map(|framing| (framing.framer, framing.context));
        let origin = Origin {
            dataset: self.dataset.clone().unwrap_or_default(),
            namespace: place.namespace,
            host: place.host,
            time_zone: place.time_zone,
            labels: place.labels,
            tags: place.tags,
            ..Origin::default()
        };
        let read_at_ms = read_at.as_millisecond();
        Ok(How { origin, topic: place.topic, framer, read_at_ms, screen: place.screen })
    }

    fn load(
        &self,
        input: &Input,
        how: &How,
        (log, process): (&Arc<dyn Log>, &Process),
        progress: &Arc<Mutex<Progress>>,
        before: u64,
    ) -> anyhow::Result<Loaded> {
        let mut how = how.clone();
        how.origin.path.clone_from(&input.path);
        let (dataset, namespace) = (&how.origin.dataset, &how.origin.namespace);
        let owner = format!("{OWNERS}{}", input.source(dataset, namespace, ""));
        let name = input.name.clone();
        let is_file = input.bytes.is_some();
        if is_file && let Some(records) = loaded_before(log.as_ref(), &owner, how.screen.as_ref())?
        {
            return Ok(Loaded { name, records, already_there: records });
        }
        let settings = ProduceSettings {
            owner,
            grace: process.grace,
            pack_bytes: self.records.pack_bytes,
            screen: how.screen.clone(),
        };
        let (mut backoff, counts) = (Backoff::usual(), Arc::new(ProducerCounts::default()));
        loop {
            let seen = Arc::new(Seen::default());
            let mut source = Loading::new(input, &how, &seen, progress, before);
            match produce(log.as_ref(), &mut source, &settings, &process.stop, &counts) {
                Ok(()) if tahoe_seams::Source::has_ended(&source) => {
                    let records = seen.records.load(Ordering::Relaxed);
                    let already_there = seen.already_there.load(Ordering::Relaxed);
                    return Ok(Loaded { name, records, already_there });
                }
                Ok(()) => bail!("stopped before the end of {name}: the same command goes on there"),
                Err(EndedEarly::Stop(text)) => bail!(text),
                Err(EndedEarly::Again(text)) if input.bytes.is_none() => {
                    bail!("{text}: standard input cannot be read again; give it once more")
                }
                Err(EndedEarly::Again(text)) => {
                    tracing::warn!(input = name, text, "loading goes on from the stored position");
                }
            }
            if process.stop.is_asked_within(backoff.pause()) {
                bail!("stopped before the end of {name}: the same command goes on there");
            }
        }
    }

    fn transform_settings(
        &self,
        how: &How,
        process: &Process,
    ) -> anyhow::Result<TransformSettings> {
        let settings = self.transform.settings(how.topic.as_slice(), process.grace);
        let settings = settings.map_err(|error| anyhow!(error))?;
        Ok(TransformSettings { drain: std::time::Duration::MAX, ..settings })
    }

    fn storing(
        &self,
        log: &Arc<dyn Log>,
        how: &How,
        settings: TransformSettings,
        process: &Process,
    ) -> anyhow::Result<Storing> {
        log.setup(&self.backends.topics(how.topic.as_slice()))?;
        let sink = self.backends.sink()?;
        process.runtime.block_on(sink.setup())?;
        Ok(Storing { sink, settings })
    }

    fn print(&self, loaded: &[Loaded], stored: Option<&TransformerCounts>) -> anyhow::Result<()> {
        if self.json {
            return output::print(format!("{}\n", summary(loaded, stored)));
        }
        let file = |Loaded { name, records, already_there }: &Loaded| {
            let new = records - already_there;
            format!("{name}: {new} records loaded, {already_there} were there\n")
        };
        let mut said: String = loaded.iter().map(file).collect();
        if let Some(counts) = stored {
            let (stored, rejected) = (counts.stored.get(), counts.dead_lettered.get());
            let dropped = match counts.dropped.get() {
                0 => String::new(),
                dropped => format!("{dropped} left out by rules, "),
            };
            said += &format!(
                "stored: {stored} records, {dropped}{rejected} rejected (tahoe dlq list)\n"
            );
        }
        output::print(said)
    }
}

/// Nobody else can read the embedded log while this process has it: what was loaded is stored.
struct Storing {
    sink: Arc<dyn Sink>,
    settings: TransformSettings,
}

impl Storing {
    fn store(
        &self,
        log: &Arc<dyn Log>,
        process: &Process,
    ) -> anyhow::Result<Arc<TransformerCounts>> {
        let counts = Arc::new(TransformerCounts::default());
        // Asked for from the start, it ends when nothing is left to be read.
        process.stop.ask_to_finish();
        let runtime = process.runtime.handle();
        transform(log.as_ref(), &self.sink, &self.settings, &process.stop, &counts, runtime)?;
        Ok(counts)
    }
}

fn summary(loaded: &[Loaded], stored: Option<&TransformerCounts>) -> Value {
    let file = |one: &Loaded| {
        json!({
            "file": one.name,
            "records": one.records,
            "loaded": one.records - one.already_there,
            "already_there": one.already_there,
        })
    };
    let mut object = json!({"files": loaded.iter().map(file).collect::<Vec<_>>()});
    if let Some(counts) = stored {
        object["stored"] = counts.stored.get().into();
        object["already_there"] = counts.already_there.get().into();
        object["dead_lettered"] = counts.dead_lettered.get().into();
        object["dropped"] = counts.dropped.get().into();
    }
    object
}

/// The records of an input that was loaded to its end, if it was.
fn loaded_before(
    log: &dyn Log,
    owner: &str,
    screen: Option<&Arc<Screens>>,
) -> anyhow::Result<Option<u64>> {
    let screen = screen.map(|screens| screens.now());
    let positions = positions::of_owner(owner, &log.positions()?, screen.as_deref())?;
    let ended = positions
        .iter()
        .filter(|position| position.clean && position.identity["ended"].as_bool() == Some(true));
    let ended: Vec<_> = ended.collect();
    let Some(first) = ended.first() else { return Ok(None) };
    let streams = first.identity["streams"].as_u64().unwrap_or(0);
    let records = first.identity["records"].as_u64().unwrap_or(0);
    Ok((ended.len() as u64 >= streams).then_some(records))
}
