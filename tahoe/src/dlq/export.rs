//! `tahoe dlq export`: letters as a file, to look at elsewhere, mend, or load again.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{ArgMatches, Args};
use tahoe_transformer::replay::Letters;

use super::{ChosenArgs, as_json, unless_stopped};
use crate::output;

/// Print rejected records as NDJSON, with everything that is known of each.
///
/// `tahoe parse --exported` tries them with a parser, `tahoe ingest --exported` loads them as new
/// records. Those that a replay has stored are left out.
///
/// Example: tahoe dlq export --kafka 127.0.0.1:9092 --code no_timestamp > rejected.ndjson
#[derive(Args)]
pub struct ExportArgs {
    /// Those as well that a replay has stored
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    chosen: ChosenArgs,
}

/// Runs the command.
pub fn run(args: &ExportArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let process = args.chosen.begin(matches)?;
    let (log, filter) =
        (args.chosen.backends.existing_log(process.patience())?, args.chosen.filter()?);
    let topics = args.chosen.topics(log.as_ref())?;
    let mut letters = Letters::open(log.as_ref())?;
    output::telling(|out| {
        for topic in &topics {
            let mut written = Ok(());
            letters.visit(topic, &filter, &mut |visited| {
                if args.all || !visited.mark.stored {
                    written = writeln!(out, "{}", as_json(&visited));
                }
                match written.is_err() || process.stop.is_asked() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            written?;
            unless_stopped(&process)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
