//! `tahoe replay`: kept records through today's parser.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tahoe_pipeline::service::{ProcessArgs, Progress};
use tahoe_schemas::Dataset;
use tahoe_seams::Log;
use tahoe_transformer::NormalizeArgs;
use tahoe_transformer::replay::{FieldCounts, RecordReplay, ReplayCounts};

use crate::backends::BackendArgs;
use crate::{dataset, output, topics};

/// Put records that the log still keeps through today's parser again.
///
/// In place, each document is found by its id wherever it is, and written over in its backing index
/// if today's parser makes another one; one that belongs to another data stream today, or to none, is
/// removed once what takes its place is durable. With --into, everything goes to a namespace of its
/// own, and what is there stays. Give it the settings of the transformer. It may be stopped and begun
/// again at any time. A record that today's parser rejects keeps the documents that it has; the
/// command exits with 3 then.
///
/// Example: tahoe replay --dataset nginx.access --from 2026-11-20 --to 2026-11-21 --dry-run
#[derive(Args)]
pub struct ReplayArgs {
    /// Only records that came as this dataset
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Only records read at their source at this time or later: 2026-11-21, 2026-11-21T09:00:00Z,
    /// or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    from: Timestamp,
    /// Only records read before this time
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    to: Timestamp,
    /// Namespace for the documents, instead of in place
    #[arg(long, value_name = "NAMESPACE", value_parser = dataset::namespace)]
    into: Option<String>,
    /// Change nothing; say what would change, and in which fields
    #[arg(long)]
    dry_run: bool,
    /// Topic that the records are in [default: the dataset's own, and KAFKA_TOPIC's]
    #[arg(long = "topic", value_name = "TOPIC", value_delimiter = ',')]
    topics: Vec<String>,
    /// Topic that the producers were given in place of their datasets' own
    #[arg(long = "producers-topic", env = "KAFKA_TOPIC", value_name = "TOPIC")]
    producers_topic: Option<String>,
    /// Print a summary as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    normalize: NormalizeArgs,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// The command.
pub fn command() -> Command {
    ReplayArgs::augment_args(Command::new("replay"))
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = ReplayArgs::from_arg_matches(matches)?;
    let process = args.process.begin(&command(), matches).map_err(|error| anyhow!(error))?;
    let dataset = dataset::given("--dataset", &args.dataset)?;
    if args.from >= args.to {
        bail!("--from {} is not before --to {}", args.from, args.to);
    }
    let settings = args.normalize.settings().map_err(|error| anyhow!(error))?;
    let (log, sink) = (args.backends.existing_log(process.patience())?, args.backends.sink()?);
    let topics = args.topics(log.as_ref(), dataset)?;
    let replay = RecordReplay {
        log: log.as_ref(),
        sink,
        settings: &settings,
        dataset: args.dataset.clone(),
        from_ms: args.from.as_millisecond(),
        to_ms: args.to.as_millisecond(),
        into: args.into.clone(),
        dry_run: args.dry_run,
        stop: &process.stop,
        runtime: process.runtime.handle(),
    };
    let mut progress = Progress::of(replay.count(&topics)?, "records");
    let counts = replay.run(&topics, &mut |counts, done| {
        progress.set(done, || sentence(counts, args.dry_run));
    })?;
    drop(progress);
    output::print(match args.json {
        true => format!("{}\n", summary(&counts, args.dry_run)),
        false => format!("{}\n{}", sentence(&counts, args.dry_run), table(&counts.fields)),
    })?;
    Ok(output::exit_code(!counts.rejected.is_empty()))
}

impl ReplayArgs {
    fn topics(&self, log: &dyn Log, dataset: &Dataset) -> anyhow::Result<Vec<String>> {
        let own = dataset.declared().topic.to_owned();
        let usual = [own].into_iter().chain(self.producers_topic.clone());
        topics::chosen(log, &self.topics, usual)
    }
}

fn sentence(counts: &ReplayCounts, dry_run: bool) -> String {
    let ReplayCounts { records, unchanged, rewritten, created, removed, left_out, .. } = counts;
    let rejected: u64 = counts.rejected.values().sum();
    let would = if dry_run { "would be " } else { "" };
    format!(
        "{records} records: documents {would}unchanged {unchanged}, rewritten {rewritten}, \
         created {created}, removed {removed}; {left_out} records left out by rules, {rejected} \
         rejected"
    )
}

fn table(fields: &BTreeMap<String, FieldCounts>) -> String {
    let mut out = String::new();
    if !fields.is_empty() {
        out = format!("{:>10} {:>10} {:>10}  field\n", "added", "changed", "removed");
    }
    for (path, FieldCounts { added, changed, removed }) in fields {
        out.push_str(&format!("{added:>10} {changed:>10} {removed:>10}  {path}\n"));
    }
    out
}

fn summary(counts: &ReplayCounts, dry_run: bool) -> Value {
    let field = |(path, count): (&String, &FieldCounts)| {
        let FieldCounts { added, changed, removed } = count;
        (path.clone(), json!({"added": added, "changed": changed, "removed": removed}))
    };
    json!({
        "dry_run": dry_run,
        "records": counts.records,
        "unchanged": counts.unchanged,
        "rewritten": counts.rewritten,
        "created": counts.created,
        "removed": counts.removed,
        "left_out": counts.left_out,
        "rejected": counts.rejected,
        "fields": counts.fields.iter().map(field).collect::<serde_json::Map<_, _>>(),
    })
}
