//! `tahoe parse --policy`: what a privacy policy makes of each record, beside what it was.

use std::sync::Arc;

use anyhow::anyhow;
use serde::Serialize;
use serde_json::value::RawValue;
use tahoe_pipeline::service::{of_setting, read_privacy};
use tahoe_schemas::Dataset;
use tahoe_schemas::rules::Screen;
use tahoe_seams::{Conditions, Events, Record, Rejection};

use super::ParseArgs;
use crate::exported::bytes_as_json;

/// A record before and after.
pub(super) struct Comparing {
    before: Conditions,
    after: Conditions,
    screen: Option<Screen>,
}

#[derive(Serialize)]
struct Compared<'a> {
    before: &'a RawValue,
    after: &'a RawValue,
    /// As a producer sends it with this policy; left out where it would send what it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<serde_json::Value>,
}

impl Comparing {
    /// With the policy of `--policy`; none without.
    pub(super) fn new(args: &ParseArgs, before: &Conditions) -> anyhow::Result<Option<Self>> {
        if args.policy.is_none() {
            return Ok(None);
        }
        let key = &args.rules.privacy_key;
        let read = read_privacy("--policy", args.policy.as_deref(), key);
        let policy = read.map_err(|error| anyhow!(error))?;
        let mut rules = args.rules.clone();
        rules.privacy.clone_from(&args.policy);
        let rules = rules.read().map_err(|error| anyhow!(error))?;
        let app_fields = Arc::clone(&rules.app_fields);
        let after = Conditions { rules: rules.given(), ..before.clone() };
        let secret = key.secret().map_err(|error| anyhow!(error))?;
        let screen =
            secret.map(|_| Screen::new(policy, app_fields).map_err(of_setting("--policy")));
        let screen = match screen.transpose() {
            Ok(screen) => screen,
            Err(error) => {
                eprintln!("tahoe parse: in a producer this policy cannot hold: {error}");
                None
            }
        };
        Ok(Some(Self { before: before.clone(), after, screen }))
    }

    /// A line for each of a record's events.
    pub(super) fn record(
        &self,
        dataset: &Dataset,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let documents = |given: &Conditions| {
            let mut events = Events::default();
            dataset.normalizer.normalize(record, given, &mut events)?;
            Ok(events.documents().map(<[u8]>::to_vec).collect::<Vec<_>>())
        };
        let (before, after) = (documents(&self.before)?, documents(&self.after)?);
        let sent = self.screen.as_ref().and_then(|screen| screen.screened(record));
        let mut sent = sent.map(|sent| bytes_as_json(&sent.bytes));
        for (before, after) in before.iter().zip(&after) {
            let raw = |text: &'_ [u8]| -> Box<RawValue> {
                serde_json::from_slice(text).expect("a document is JSON")
            };
            let (before, after) = (raw(before), raw(after));
            let compared = Compared { before: &before, after: &after, sent: sent.take() };
            serde_json::to_writer(&mut *out, &compared).expect("it is JSON");
            out.push(b'\n');
        }
        Ok(())
    }
}
