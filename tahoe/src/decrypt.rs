//! `tahoe decrypt`: what a privacy policy encrypted, for whoever has its secret.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use tahoe_pipeline::service::PrivacyKeyArgs;
use tahoe_schemas::rules::Keys;

use crate::output;

/// Reasons that are told apart; each key that is missing is one.
const REASONS_MAX: usize = 16;

/// Print values that a privacy policy encrypted as they were before.
///
/// Without values, lines of standard input are printed with every encrypted value in them readable,
/// as far as one of these secrets encrypted it; others stay as they are, and the command ends with
/// an error that counts them. Records that a producer encrypted as a whole are read too.
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
    let mut unread = Unread::default();
    let code = output::telling(|out| {
        for value in &args.values {
            let text = keys.decrypt(value).map_err(|error| anyhow!("{value}: {error}"))?;
            writeln!(out, "{text}")?;
        }
        if args.values.is_empty() {
            for line in io::stdin().lock().lines() {
                let line = keys.decrypt_all(&line?, &mut |why| unread.add(why));
                writeln!(out, "{line}")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })?;
    if unread.values > 0 {
        bail!("{}", unread.text());
    }
    Ok(code)
}

/// Values that are printed as they came.
#[derive(Default)]
struct Unread {
    values: u64,
    reasons: BTreeMap<String, u64>,
}

impl Unread {
    fn add(&mut self, why: String) {
        self.values += 1;
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&why) {
            *self.reasons.entry(why).or_default() += 1;
        }
    }

    fn text(&self) -> String {
        let mut reasons: Vec<_> =
            self.reasons.iter().map(|(why, values)| format!("{why} ({values})")).collect();
        let others = self.values - self.reasons.values().sum::<u64>();
        if others > 0 {
            reasons.push(format!("for other reasons ({others})"));
        }
        format!("{} encrypted values could not be read: {}", self.values, reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_stay_encrypted_are_counted_by_why() {
        let keys = Keys::new("0123456789abcdef").expect("long enough");
        let mut unread = Unread::default();
        let mut read = |text: &str| keys.decrypt_all(text, &mut |why| unread.add(why));
        assert_eq!(read("none, not even in enc:1:"), "none, not even in enc:1:");
        let line = "a enc:1:AAAAAAAA:AAAA, b enc:1:AAAAAAAA:BBBB";
        assert_eq!(read(line), line);
        read(&format!("enc:1:{}:!", keys.id()));
        let said = unread.text();
        assert!(
            said.starts_with("3 encrypted values could not be read: it is too short (1); it was")
        );
        let names = format!("the key AAAAAAAA, and these are {} (2)", keys.id());
        assert!(said.ends_with(&names), "{said}");
        (0..100).for_each(|n| unread.add(format!("{n:03}")));
        let said = unread.text();
        assert!(said.starts_with("103 ") && said.ends_with("other reasons (86)"), "{said}");
    }
}
