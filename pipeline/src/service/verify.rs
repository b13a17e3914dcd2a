//! `--verify`: a producer's tables against what Kafka says of them.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Progress;
use crate::seams::Log;
use crate::verify::{Limits, Step, Verification, verify};

#[derive(Args)]
#[command(next_help_heading = "Comparing")]
pub(super) struct VerifyArgs {
    /// Compare the tables with what Kafka says of them, change nothing, and exit: 0 the same,
    /// 1 they differ, 2 it could not be done
    #[arg(long, conflicts_with_all = ["setup", "teardown", "once"])]
    verify: bool,
    /// Memory for the keys of one pass of --verify, in MiB; more keys take more passes
    #[arg(long, env = "TAHOE_VERIFY_MEMORY", default_value_t = 256, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(1..))]
    verify_memory: u64,
    /// Seconds that --verify waits until the running producer has told what is compared
    #[arg(long, env = "TAHOE_VERIFY_WAIT", default_value_t = 60, value_name = "SECONDS")]
    verify_wait: u64,
    /// Rows of which --verify says together whether they differ
    #[arg(long, env = "TAHOE_VERIFY_CHUNK_ROWS", default_value_t = 10_000, value_name = "ROWS",
          value_parser = clap::value_parser!(u64).range(1..))]
    verify_chunk_rows: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing differs.
    Same,
    /// Something does.
    Differs,
}

impl Verdict {
    /// Neither could be found out.
    pub const CANNOT_SAY: u8 = 2;

    /// How a process says it.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Same => ExitCode::SUCCESS,
            Self::Differs => ExitCode::FAILURE,
        }
    }
}

impl VerifyArgs {
    pub fn is_asked(&self) -> bool {
        self.verify
    }

    /// Compares, and prints what was found.
    ///
    /// # Errors
    /// Why it could not be done, with the setting to change.
    pub fn run(
        &self,
        log: &dyn Log,
        asked: Vec<Verification>,
        json: bool,
    ) -> Result<Verdict, String> {
        if asked.is_empty() {
            let text = "--verify compares tables that are read with their changes, and none are";
            return Err(text.to_owned());
        }
        let limits = Limits {
            memory_bytes: usize::try_from(self.verify_memory << 20).unwrap_or(usize::MAX),
            wait: Duration::from_secs(self.verify_wait),
            chunk_rows: self.verify_chunk_rows,
        };
        let (mut reports, mut progress) = (Vec::new(), Progress::unbounded());
        for verification in asked {
            reports.push(verify(log, verification, &limits, &mut |step| {
                progress.say(|| sentence(step));
            })?);
        }
        drop(progress);
        let text = match json {
            true => {
                let all: Vec<_> = reports.iter().map(crate::verify::Report::json).collect();
                format!("{}\n", serde_json::json!({ "databases": all }))
            }
            false => reports.iter().map(crate::verify::Report::text).collect(),
        };
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| format!("the result cannot be printed: {error}"))?;
        let same = reports.iter().all(crate::verify::Report::is_same);
        Ok(if same { Verdict::Same } else { Verdict::Differs })
    }
}

fn sentence(step: Step<'_>) -> String {
    match step {
        Step::Waiting(place) => {
            format!("waiting until the producer has stored its position at {place}")
        }
        Step::Reading(records) => format!("reading Kafka: {records} records"),
        Step::Comparing(table, rows) => format!("comparing {table}: {rows} rows"),
    }
}
