//! `tahoe dlq`: the records that no parser and no store took, and what can be done about them.

mod export;
mod list;
mod replay;
mod show;

use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use tahoe_pipeline::service::{Process, ProcessArgs};
use tahoe_seams::Log;
use tahoe_transformer::replay::{LetterFilter, Letters, Visited};
use tahoe_transformer::{dead_letter_topic, record_topics};

use crate::backends::BackendArgs;
use crate::exported::bytes_as_json;
use crate::{dataset, topics};

#[derive(Subcommand)]
enum Dlq {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Export(export::ExportArgs),
    Replay(Box<replay::ReplayArgs>),
}

/// Which letters, and where they are.
#[derive(Args)]
#[command(next_help_heading = "Rejected records")]
struct ChosenArgs {
    /// Only letters of this code; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    code: Vec<String>,
    /// Only records that came as this dataset; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    dataset: Vec<String>,
    /// Only records read at their source at this time or later: 2026-11-21, 2026-11-21T09:00:00Z,
    /// or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    from: Option<Timestamp>,
    /// Only records read before this time
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    to: Option<Timestamp>,
    /// Only letters of this topic, by its own name or that of its dead letters; repeatable [default:
    /// those of all datasets, and KAFKA_TOPIC's]
    #[arg(long = "topic", value_name = "TOPIC", value_delimiter = ',')]
    topics: Vec<String>,
    /// Topic that the producers were given in place of their datasets' own
    #[arg(long = "producers-topic", env = "KAFKA_TOPIC", value_name = "TOPIC")]
    producers_topic: Option<String>,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

impl ChosenArgs {
    fn filter(&self) -> anyhow::Result<LetterFilter> {
        for name in &self.dataset {
            dataset::given("--dataset", name)?;
        }
        Ok(LetterFilter {
            codes: self.code.clone(),
            datasets: self.dataset.clone(),
            from_ms: self.from.map(Timestamp::as_millisecond),
            to_ms: self.to.map(Timestamp::as_millisecond),
        })
    }

    /// The dead-letter topics that there are. One that is named must be there.
    fn topics(&self, log: &dyn Log) -> anyhow::Result<Vec<String>> {
        let of = |topic: String| match topic.ends_with(".dlq") {
            true => topic,
            false => dead_letter_topic(&topic),
        };
        let named = self.topics.iter().filter(|topic| !topic.is_empty()).cloned();
        let named: Vec<_> = named.map(of).collect();
        let producers = self.producers_topic.clone().filter(|topic| !topic.is_empty());
        topics::chosen(log, &named, record_topics().into_iter().chain(producers).map(of))
    }

    fn begin(&self, matches: &ArgMatches) -> anyhow::Result<Process> {
        begin(&self.process, matches)
    }

    fn open(&self, matches: &ArgMatches) -> anyhow::Result<Chosen> {
        let process = self.begin(matches)?;
        let (log, filter) = (self.backends.existing_log(process.patience())?, self.filter()?);
        let topics = self.topics(log.as_ref())?;
        Ok(Chosen { log, topics, filter, process })
    }
}

/// The letters that are asked for, in a log that is open.
struct Chosen {
    log: Arc<dyn Log>,
    topics: Vec<String>,
    filter: LetterFilter,
    process: Process,
}

impl Chosen {
    /// Visits all of them. What was printed until a stop is not the whole, and must not look like it:
    /// a stop is an error.
    fn visit(
        &self,
        letters: &mut Letters<'_>,
        mut visit: impl FnMut(&str, &Visited<'_, '_>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let stop = &self.process.stop;
        for topic in &self.topics {
            let mut printed = Ok(());
            letters.visit(topic, &self.filter, &mut |visited| {
                printed = visit(topic, &visited);
                match printed.is_err() || stop.is_asked() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            printed?;
            if stop.is_asked() {
                return Err(anyhow!("stopped before the end"));
            }
        }
        Ok(())
    }
}

/// Starts logging as every process does, by the subcommand's own settings.
fn begin(process: &ProcessArgs, matches: &ArgMatches) -> anyhow::Result<Process> {
    let (name, matches) = matches.subcommand().expect("clap requires one of the subcommands");
    let command = command();
    let command = command.find_subcommand(name).expect("clap took it from this one");
    process.begin(command, matches).map_err(|error| anyhow!(error))
}

/// The command with its subcommands.
pub fn command() -> Command {
    Dlq::augment_subcommands(Command::new("dlq"))
        .about("Look at rejected records, and try them again")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Example: tahoe dlq list --kafka 127.0.0.1:9092")
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match Dlq::from_arg_matches(matches)? {
        Dlq::List(args) => list::run(&args, matches),
        Dlq::Show(args) => show::run(&args, matches),
        Dlq::Export(args) => export::run(&args, matches),
        Dlq::Replay(args) => replay::run(&args, matches),
    }
}

/// `TOPIC/PARTITION/OFFSET`, by which [`show`] finds it again.
fn place(visited: &Visited<'_, '_>) -> String {
    let letter = visited.letter;
    format!("{}/{}/{}", letter.topic, letter.partition, letter.offset)
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// When its record was read: a record that was loaded says it itself.
fn read_at_ms(visited: &Visited<'_, '_>) -> i64 {
    visited.opened.read_at_ms.unwrap_or(visited.letter.read_at_ms)
}

/// A letter as `show --json` and `export` print it, and `parse --exported` and `ingest --exported`
/// read it: nothing of the record is left out.
fn as_json(visited: &Visited<'_, '_>) -> Value {
    let Visited { letter, opened, dataset, mark } = visited;
    let mut object = json!({
        "letter": place(visited),
        "code": letter.code,
        "reason": letter.reason,
        "byte": letter.byte,
        "attempts": mark.attempts,
        "stored": mark.stored,
        "record": format!("{}/{}/{}", letter.from_topic, letter.from_partition, letter.from_offset),
        "ordinal": letter.ordinal,
        "read_at": time(read_at_ms(visited)),
        "dataset": dataset,
    });
    if let Some(origin) = &opened.origin {
        object["origin"] = json!({
            "source": origin.source.to_string(),
            "generation": origin.generation,
            "namespace": origin.namespace,
            "host": origin.host,
            "path": origin.path,
            "peer": origin.peer,
            "time_zone": origin.time_zone,
            "labels": origin.labels,
            "tags": origin.tags,
        });
    }
    if let Some(id) = opened.id {
        object["id"] = id.to_string().into();
    }
    if let Some((start, end)) = opened.span {
        object["position"] = json!([start, end]);
    }
    if let Some(part) = opened.part {
        object["part"] = json!({"index": part.index, "last": part.last});
    }
    if !opened.context.is_empty() {
        object["context"] = bytes_as_json(opened.context);
    }
    if opened.is_sealed {
        object["sealed"] = true.into();
    }
    object["bytes"] = bytes_as_json(opened.bytes);
    object
}
