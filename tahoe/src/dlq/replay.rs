//! `tahoe dlq replay`: rejected records through today's parser.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{ArgMatches, Args};
use serde_json::{Value, json};
use tahoe_pipeline::service::Progress;
use tahoe_transformer::NormalizeArgs;
use tahoe_transformer::replay::{LetterCounts, LetterReplay, Letters};

use super::ChosenArgs;
use crate::output;

/// Put rejected records through today's parser; store what it accepts.
///
/// A record that is accepted is stored under the id that it would have had, so that a second replay
/// changes nothing. One that is rejected again stays where it is, with one attempt more; after
/// --attempts-max it is left alone. Give it the settings of the transformer. Exits with 3 if any was
/// rejected again.
///
/// Example: tahoe dlq replay --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200 --dry-run
#[derive(Args)]
pub struct ReplayArgs {
    /// Store nothing and mark nothing; say what the parser makes of them. What the store would
    /// reject is not known then
    #[arg(long)]
    dry_run: bool,
    /// Leave letters alone that so many replays have rejected
    #[arg(long, env = "TAHOE_ATTEMPTS_MAX", default_value_t = 3, value_name = "N")]
    attempts_max: u32,
    /// Print a summary as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    normalize: NormalizeArgs,
    #[command(flatten)]
    chosen: ChosenArgs,
}

/// Runs the command.
pub fn run(args: &ReplayArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let process = args.chosen.begin(matches)?;
    let settings = args.normalize.settings().map_err(|error| anyhow!(error))?;
    let (log, filter) =
        (args.chosen.backends.existing_log(process.patience())?, args.chosen.filter()?);
    let sink = if args.dry_run { None } else { Some(args.chosen.backends.sink()?) };
    let topics = args.chosen.topics(log.as_ref())?;
    let total = Letters::open(log.as_ref())?.count(&topics)?;
    let mut progress = Progress::of(total, "letters");
    let replay = LetterReplay {
        log: log.as_ref(),
        sink,
        settings: &settings,
        filter,
        attempts_max: args.attempts_max,
        stop: &process.stop,
        runtime: process.runtime.handle(),
    };
    let counts = replay.run(&topics, &mut |counts, done| {
        progress.set(done, || sentence(counts, args.dry_run));
    })?;
    drop(progress);
    let mut said = match args.json {
        true => format!("{}\n", summary(&counts, args.dry_run)),
        false => format!("{}\n", sentence(&counts, args.dry_run)),
    };
    for (code, letters) in counts.rejected.iter().filter(|_| !args.json) {
        said += &format!("{letters:>10}  {code}\n");
    }
    output::print(said)?;
    Ok(output::exit_code(!counts.rejected.is_empty()))
}

fn sentence(counts: &LetterCounts, dry_run: bool) -> String {
    let LetterCounts { chosen, stored_before, given_up, stored, already_there, .. } = counts;
    let left_out = counts.left_out;
    let rejected: u64 = counts.rejected.values().sum();
    let stored = match dry_run {
        true => format!("{stored} would be accepted"),
        false => format!("{stored} stored, {already_there} were in the store"),
    };
    format!(
        "{chosen} letters: {stored}, {left_out} left out by rules, {rejected} rejected again; not \
         tried: {stored_before} stored by an earlier replay, {given_up} over --attempts-max"
    )
}

fn summary(counts: &LetterCounts, dry_run: bool) -> Value {
    json!({
        "dry_run": dry_run,
        "letters": counts.chosen,
        "stored": counts.stored,
        "already_there": counts.already_there,
        "left_out": counts.left_out,
        "rejected": counts.rejected,
        "stored_before": counts.stored_before,
        "given_up": counts.given_up,
    })
}
