//! `tahoe decrypt`: what a privacy policy encrypted, for whoever has its secret.

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tahoe_pipeline::service::PrivacyKeyArgs;
use tahoe_schemas::rules::Keys;

use crate::output;

/// Print values that a privacy policy encrypted as they were before.
///
/// Without values, lines of standard input are printed with every encrypted value in them readable,
/// as far as one of these secrets encrypted it. So are records that a producer encrypted as a whole.
///
/// Example: tahoe search --json 'user.name:*' | TAHOE_PRIVACY_KEY_FILE=key tahoe decrypt
#[derive(Args)]
pub struct DecryptArgs {
    /// Values; each begins with enc:1: [default: those in standard input]
    #[arg(value_name = "VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    key: PrivacyKeyArgs,
}

/// Runs the command.
pub fn run(args: &DecryptArgs) -> anyhow::Result<ExitCode> {
    let secret = args.key.secret().map_err(|error| anyhow!(error))?;
    let secret = secret.context("TAHOE_PRIVACY_KEY or TAHOE_PRIVACY_KEY_FILE is not set")?;
    let keys = Keys::new(secret.reveal()).map_err(|error| anyhow!("TAHOE_PRIVACY_KEY: {error}"))?;
    output::telling(|out| {
        for value in &args.values {
            let text = keys.decrypt(value).map_err(|error| anyhow!("{value}: {error}"))?;
            writeln!(out, "{text}")?;
        }
        if args.values.is_empty() {
            for line in io::stdin().lock().lines() {
                writeln!(out, "{}", keys.decrypt_all(&line?))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
