//! `tahoe retention`: what is past its time goes, where no server sees to it.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tahoe_pipeline::service::ProcessArgs;
use tahoe_schemas::retention::Keep;
use tahoe_sink_elasticsearch::{Backing, Elasticsearch, Keeper, Retained};
use tahoe_sink_embedded::Expired;

use crate::backends::BackendArgs;
use crate::output;

/// Delete what is past its retention, and tell the server how long to keep the rest.
///
/// Where Elasticsearch deletes by itself (data stream lifecycle, or ILM), each data stream is told
/// its days. Where it does not, whole backing indices are deleted whose youngest event is older than
/// that, and the one that is written to is rolled over first when it is due: run it once a day. The
/// embedded store deletes single events, by itself about once an hour and by this command now.
///
/// Example: tahoe retention --elasticsearch http://127.0.0.1:9200 --retention '*-acme=365,60' --dry-run
#[derive(Args)]
struct Settings {
    /// Change nothing; print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object: {"dry_run", "data_streams": […]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// The command.
pub fn command() -> Command {
    Settings::augment_args(Command::new("retention"))
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = Settings::from_arg_matches(matches)?;
    let process = args.process.begin(&command(), matches).map_err(|error| anyhow!(error))?;
    let backends = &args.backends;
    let retention = backends.retention.rules();
    if backends.elasticsearch.is_set() {
        let sink = Elasticsearch::new(&backends.elasticsearch, Vec::new())?;
        let now_ms = Timestamp::now().as_millisecond();
        let retain = sink.retain(&retention, now_ms, args.dry_run);
        let all = process.runtime.block_on(retain)?;
        args.print(&serde_json::to_value(&all)?, all.iter().map(line).collect())?;
        let failed = all.iter().filter_map(|one| Some((&one.data_stream, one.error.as_ref()?)));
        let failed: Vec<_> = failed.map(|(stream, error)| format!("{stream}: {error}")).collect();
        return match failed.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => bail!("not all was done: {}", failed.join("; ")),
        };
    }
    // Read first: a folder without a store is a typing error, and none is made.
    let store = backends.stored()?;
    let all = match args.dry_run {
        true => process.runtime.block_on(store.expired(&retention))?,
        false => process.runtime.block_on(backends.store()?.retire())?,
    };
    let values = all.iter().map(value).collect();
    args.print(&values, all.iter().map(line_of_store).collect())?;
    Ok(ExitCode::SUCCESS)
}

impl Settings {
    fn print(&self, data_streams: &Value, lines: Vec<String>) -> anyhow::Result<()> {
        if self.json {
            let all = json!({"dry_run": self.dry_run, "data_streams": data_streams});
            return output::print(format!("{all}\n"));
        }
        let lines = lines.join("\n");
        let would = if self.dry_run { "would be:\n" } else { "" };
        match lines.is_empty() {
            true => output::print("no data stream of ours is there\n"),
            false => output::print(format!("{would}{lines}\n")),
        }
    }
}

/// `logs-laravel.log-acme  90d, by Tahoe: rolled over; 2 indices deleted (12 documents); 1 stays`
fn line(retained: &Retained) -> String {
    let keep = retained.days.map_or(Keep::Forever, Keep::Days);
    let by = match retained.kept_by {
        Keeper::DataStreamLifecycle => "by its lifecycle",
        Keeper::IndexLifecycle => "by ILM",
        Keeper::Tahoe => "by Tahoe",
    };
    let mut parts = Vec::new();
    if retained.changed {
        parts.push("the server was told".to_owned());
    }
    if retained.rolled_over {
        parts.push("rolled over".to_owned());
    }
    if !retained.deleted.is_empty() {
        let documents = documents(&retained.deleted);
        let indices = retained.deleted.len();
        parts.push(format!("{indices} indices deleted ({documents} documents)"));
    }
    if !retained.kept.is_empty() {
        let documents = documents(&retained.kept);
        parts.push(format!("{} stay ({documents} documents)", retained.kept.len()));
    }
    parts.extend(retained.error.iter().map(|error| format!("failed: {error}")));
    format!("{}  {keep}, {by}: {}", retained.data_stream, parts.join("; "))
        .trim_end_matches(": ")
        .to_owned()
}

fn documents(all: &[Backing]) -> u64 {
    all.iter().map(|backing| backing.documents).sum()
}

fn value(expired: &Expired) -> Value {
    let Expired { data_stream, keep, events, kept } = expired;
    json!({
        "data_stream": data_stream, "days": keep.days(), "kept_by": "tahoe",
        "events_deleted": events, "events_kept": kept,
    })
}

fn line_of_store(expired: &Expired) -> String {
    let Expired { data_stream, keep, events, kept } = expired;
    format!("{data_stream}  {keep}: {events} events deleted; {kept} stay")
}
