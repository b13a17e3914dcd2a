//! `tahoe check`: everything that is configured, connected to, and nothing changed.

use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use tahoe_pipeline::service::{Check, Planned, SourceArgs, run_checks, topics_of};
use tahoe_transformer::{record_topics, sink_check};

use crate::backends::BackendArgs;
use crate::up;

/// Settings of the command beside those of the producers.
#[derive(Args)]
struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    backends: BackendArgs,
}

/// The command with every producer's settings.
pub fn command() -> Command {
    up::with_producers(CheckArgs::augment_args(Command::new("check")))
        .about("Connect to everything that is configured and say what is wrong")
        .long_about(
            "Connect to everything that is configured, change nothing, and say what is wrong and \
             which setting mends it. Takes the settings of `tahoe up`, answers within 10 s, and \
             exits with 1 if something is wrong.",
        )
        .after_help(
            "Example: tahoe check --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200",
        )
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = CheckArgs::from_arg_matches(matches)?;
    let place = args.backends.place(&args.sources, None)?;
    let planned = up::plan_producers(matches, &place)?;
    let mut topics = record_topics();
    topics.extend(topics_of(&planned));
    topics.sort();
    topics.dedup();
    let mut checks = backends(&args.backends, topics)?;
    checks.extend(planned.into_iter().map(Planned::check));
    Ok(run_checks(checks, args.json))
}

fn backends(args: &BackendArgs, topics: Vec<String>) -> anyhow::Result<Vec<Check>> {
    let mut checks = Vec::new();
    if args.kafka.is_set() {
        let log = args.log()?;
        checks.push(Check::new("kafka", move || {
            log.check(&topics).map_err(|error| error.to_string())
        }));
    }
    if args.elasticsearch.is_set() {
        checks.push(sink_check(args.sink()?));
    }
    if checks.len() < 2 {
        let data = args.data.clone();
        checks.push(Check::new("data", move || folder(&data)));
    }
    Ok(checks)
}

/// The embedded log and store are not opened: a running `tahoe up` may have them.
fn folder(data: &Path) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("--data {}: {error}", data.display());
    let there = data.try_exists().map_err(fail)?;
    let nearest = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    if !nearest.is_dir() {
        return Err(format!("--data {}: {} is no folder", data.display(), nearest.display()));
    }
    let writable = rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK);
    writable.map_err(|error| fail(error.into()))?;
    match there {
        true => Ok(format!("embedded log and store in {}", data.display())),
        false => Ok(format!("{} is created by the first `tahoe up`", data.display())),
    }
}
