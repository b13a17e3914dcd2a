//! `tahoe dlq list`: how many letters there are, by topic, code, dataset and time, or each of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Args, ValueEnum};
use serde_json::json;
use tahoe_pipeline::service::Progress;
use tahoe_transformer::replay::{Letters, Visited};

use super::{ChosenArgs, place, time};
use crate::output;

/// Count rejected records by code and dataset, or list each.
///
/// Open are those that no replay has stored yet; tried is the highest number of replays that
/// rejected one of them again.
///
/// Example: tahoe dlq list --kafka 127.0.0.1:9092 --by day
#[derive(Args)]
pub struct ListArgs {
    /// Count by this time of reading as well
    #[arg(long, value_enum, value_name = "SPAN")]
    by: Option<Span>,
    /// List each letter with its place, by which `tahoe dlq show` finds it
    #[arg(long)]
    letters: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chosen: ChosenArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Span {
    Hour,
    Day,
}

impl Span {
    /// `2026-11-21T09` of `2026-11-21T09:00:00Z`
    fn of(self, ms: i64) -> String {
        let digits = match self {
            Self::Hour => 13,
            Self::Day => 10,
        };
        time(ms).get(..digits).unwrap_or_default().to_owned()
    }
}

/// Topic, code, dataset and time.
type Kind = (String, String, String, String);

#[derive(Default)]
struct Row {
    letters: u64,
    open: u64,
    tried: u32,
    first_ms: i64,
    last_ms: i64,
}

impl Row {
    fn add(&mut self, visited: &Visited<'_, '_>) {
        let ms = visited.letter.read_at_ms;
        let is_first = self.letters == 0;
        self.letters += 1;
        self.open += u64::from(!visited.mark.stored);
        self.tried = self.tried.max(visited.mark.attempts);
        self.first_ms = if is_first { ms } else { self.first_ms.min(ms) };
        self.last_ms = if is_first { ms } else { self.last_ms.max(ms) };
    }
}

/// Runs the command.
pub fn run(args: &ListArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let chosen = args.chosen.open(matches)?;
    let mut letters = Letters::open(chosen.log.as_ref())?;
    let mut progress = Progress::of(letters.count(&chosen.topics)?, "letters");
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    let mut seen = 0;
    output::telling(|out| {
        chosen.visit(&mut letters, |topic, visited| {
            seen += 1;
            progress.set(seen, || format!("{} kinds", rows.len()));
            if args.letters {
                return out.write_all(line(args, visited).as_bytes());
            }
            rows.entry(kind(args, topic, visited)).or_default().add(visited);
            Ok(())
        })?;
        drop(progress);
        out.write_all(table(args, &rows).as_bytes())?;
        Ok(ExitCode::SUCCESS)
    })
}

fn kind(args: &ListArgs, topic: &str, visited: &Visited<'_, '_>) -> Kind {
    let span = args.by.map(|span| span.of(visited.letter.read_at_ms)).unwrap_or_default();
    (topic.to_owned(), visited.letter.code.to_string(), visited.dataset.to_owned(), span)
}

fn line(args: &ListArgs, visited: &Visited<'_, '_>) -> String {
    let Visited { letter, dataset, mark, .. } = visited;
    let (place, read_at) = (place(visited), time(letter.read_at_ms));
    if args.json {
        let object = json!({
            "letter": place, "read_at": read_at, "code": letter.code, "dataset": dataset,
            "attempts": mark.attempts, "stored": mark.stored, "reason": letter.reason,
        });
        return format!("{object}\n");
    }
    let state = match mark.stored {
        true => "stored".to_owned(),
        false => format!("tried {}", mark.attempts),
    };
    let (code, reason) = (&letter.code, &letter.reason);
    format!("{place:<28} {read_at:<24} {code:<14} {dataset:<18} {state:<8} {reason}\n")
}

fn table(args: &ListArgs, rows: &BTreeMap<Kind, Row>) -> String {
    let mut out = String::new();
    if args.letters {
        return out;
    }
    if !args.json {
        let span = if args.by.is_some() { "time" } else { "" };
        let head = ["topic", "code", "dataset", span, "letters", "open", "tried"];
        out = columns(head, "first                    last");
    }
    for ((topic, code, dataset, span), row) in rows {
        let (first, last) = (time(row.first_ms), time(row.last_ms));
        if args.json {
            let mut object = json!({
                "topic": topic, "code": code, "dataset": dataset, "letters": row.letters,
                "open": row.open, "tried": row.tried, "first": first, "last": last,
            });
            if args.by.is_some() {
                object["time"] = span.as_str().into();
            }
            out.push_str(&format!("{object}\n"));
            continue;
        }
        let [letters, open] = [row.letters, row.open].map(|n| n.to_string());
        let tried = row.tried.to_string();
        let texts: [&str; 7] = [topic, code, dataset, span, &letters, &open, &tried];
        out.push_str(&columns(texts, &format!("{first:<24} {last}")));
    }
    out
}

fn columns(texts: [&str; 7], rest: &str) -> String {
    let [topic, code, dataset, span, letters, open, tried] = texts;
    let span = if span.is_empty() { String::new() } else { format!("{span:<14}") };
    format!(
        "{topic:<20} {code:<14} {dataset:<18} {span}{letters:>8} {open:>8} {tried:>6}  {rest}\n"
    )
}
