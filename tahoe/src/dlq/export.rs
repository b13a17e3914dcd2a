//! `tahoe dlq export`: letters as a file, to look at elsewhere, mend, or load again.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Args};
use tahoe_transformer::replay::Letters;

use super::{ChosenArgs, as_json};
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
    let chosen = args.chosen.open(matches)?;
    let mut letters = Letters::open(chosen.log.as_ref())?;
    output::telling(|out| {
        chosen.visit(&mut letters, |_, visited| match args.all || !visited.mark.stored {
            true => writeln!(out, "{}", as_json(visited)),
            false => Ok(()),
        })?;
        Ok(ExitCode::SUCCESS)
    })
}
