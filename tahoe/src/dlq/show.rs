//! `tahoe dlq show`: one letter with everything that is known of it, and its bytes as they were.

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args};
use tahoe_pipeline::service::ProcessArgs;
use tahoe_transformer::replay::{LetterFilter, Letters, Visited};

use super::{as_json, begin, read_at_ms, time};
use crate::backends::BackendArgs;
use crate::output;

/// Bytes before and after the one that a rejection names.
const AROUND: usize = 30;

/// Print one rejected record: why, where it came from, and its bytes.
///
/// Example: tahoe dlq show nginx_logs.dlq/0/17 --kafka 127.0.0.1:9092
#[derive(Args)]
pub struct ShowArgs {
    /// TOPIC/PARTITION/OFFSET as `tahoe dlq list --letters` prints it
    #[arg(value_name = "LETTER")]
    letter: String,
    /// Print one JSON object, with the bytes as text or Base64
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Print the bytes alone, as they are
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

fn place_of(text: &str) -> Option<(&str, u32, u64)> {
    let mut parts = text.rsplitn(3, '/');
    let offset = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((parts.next()?, partition, offset))
}

/// Runs the command.
pub fn run(args: &ShowArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let process = begin(&args.process, matches)?;
    let (topic, partition, offset) = place_of(&args.letter).ok_or_else(|| {
        anyhow!("{}: no TOPIC/PARTITION/OFFSET as in `tahoe dlq list --letters`", args.letter)
    })?;
    let log = args.backends.existing_log(process.patience())?;
    let held = log.offsets(topic, partition, None)?;
    if !held.contains(&offset) {
        bail!("{}: partition {partition} of {topic} holds {held:?}", args.letter);
    }
    let mut letters = Letters::open(log.as_ref())?;
    let (range, mut shown) = ((offset, offset + 1), None);
    letters.visit_range(topic, partition, range, &LetterFilter::default(), &mut |visited| {
        shown = Some(match (args.raw, args.json) {
            (true, _) => visited.opened.bytes.to_vec(),
            (_, true) => format!("{}\n", as_json(&visited)).into_bytes(),
            _ => for_people(&visited),
        });
        ControlFlow::Break(())
    })?;
    let Some(shown) = shown else { bail!("{}: no letter, but a fence", args.letter) };
    output::print(shown)?;
    Ok(ExitCode::SUCCESS)
}

fn for_people(visited: &Visited<'_, '_>) -> Vec<u8> {
    let Visited { letter, opened, dataset, mark } = visited;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{name:<12} {}", output::printable(value)));
        }
    };
    line("code", &letter.code);
    line("reason", &letter.reason);
    if let Some(byte) = letter.byte {
        line("byte", &format!("{byte}: {}", around(opened.bytes, byte)));
    }
    let state = if mark.stored { "stored by a replay" } else { "open" };
    line("state", &format!("{state}, rejected again by {} replays", mark.attempts));
    let (topic, partition) = (&letter.from_topic, letter.from_partition);
    line("record", &format!("{topic}/{partition}/{}", letter.from_offset));
    line(
        "in its pack",
        &if letter.ordinal > 0 { letter.ordinal.to_string() } else { String::new() },
    );
    line("dataset", dataset);
    line("read", &time(read_at_ms(visited)));
    line("id", &opened.id.map(|id| id.to_string()).unwrap_or_default());
    if let Some(origin) = &opened.origin {
        line("namespace", &origin.namespace);
        line("host", &origin.host);
        line("path", &origin.path);
        line("peer", &origin.peer);
        line("time zone", &origin.time_zone);
        let labels = origin.labels.iter().map(|(name, value)| format!("{name}={value}"));
        line("labels", &labels.collect::<Vec<_>>().join(" "));
        line("tags", &origin.tags.join(" "));
    }
    if let Some((start, end)) = opened.span {
        line("position", &format!("{start} to {end}"));
    }
    if let Some(part) = opened.part {
        line("part", &format!("{}{}", part.index, if part.last { ", the last" } else { "" }));
    }
    line("context", &String::from_utf8_lossy(opened.context));
    let repaired = if std::str::from_utf8(opened.bytes).is_ok() { "" } else { ", no UTF-8" };
    line("bytes", &format!("{}{repaired}", opened.bytes.len()));
    let mut out = lines.join("\n").into_bytes();
    out.extend_from_slice(b"\n\n");
    if io::stdout().is_terminal() {
        let text = String::from_utf8_lossy(opened.bytes);
        out.extend_from_slice(output::printable(&text).as_bytes());
    } else {
        out.extend_from_slice(opened.bytes);
    }
    out.push(b'\n');
    out
}

/// What stands around a byte, with a mark before it.
fn around(bytes: &[u8], at: u64) -> String {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(bytes.len()));
    let text = |bytes| String::from_utf8_lossy(bytes).replace(char::is_control, " ");
    let more = |is_cut| if is_cut { "…" } else { "" };
    let (before, after) = (text(&bytes[from..at]), text(&bytes[at..to]));
    format!("{}{before}▶{after}{}", more(from > 0), more(to < bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_topic_partition_and_offset() {
        assert_eq!(place_of("a_logs.dlq/3/17"), Some(("a_logs.dlq", 3, 17)));
        assert_eq!(place_of("a/b/3/17"), Some(("a/b", 3, 17)));
        assert!(place_of("a_logs.dlq/17").is_none() && place_of("a/x/1").is_none());
    }

    #[test]
    fn the_byte_that_a_rejection_names_is_marked() {
        assert_eq!(around(b"GET / HTTP", 4), "GET ▶/ HTTP");
        assert_eq!(around(b"GET", 9), "GET▶");
        let long = [b'a'; 2 * AROUND + 2];
        let shown = around(&long, AROUND as u64 + 1);
        let part = "a".repeat(AROUND);
        assert_eq!(shown, format!("…{part}▶{part}…"));
    }
}
