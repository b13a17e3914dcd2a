//! Parsing alone: framer, parser and the writing of documents, from bytes in memory to bulk lines
//! in memory, on one thread. Nothing of what is measured waits for anything, so CPU time counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tahoe_schemas::{Dataset, datasets, frame_all};
use tahoe_seams::{Conditions, Events, Origin, Record};

use crate::generate::{self, Kind};
use crate::measure;

/// Bulk lines that are kept before they are forgotten, as in the transformer.
const BATCH_BYTES: usize = 4 << 20;
/// Zone of stamps that name none: one with summer time, as most have.
const ZONE: &str = "Europe/Madrid";

#[derive(clap::Args)]
pub struct ParseArgs {
    /// Only these datasets
    dataset: Vec<String>,
    /// Bytes of each form of a dataset, in MB
    #[arg(long, default_value_t = 64, value_name = "MB",
        value_parser = clap::value_parser!(u64).range(1..))]
    megabytes: u64,
    /// How often each is parsed; the best counts
    #[arg(long, default_value_t = 5, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Another seed generates other lines
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// A line for each sample, in place of one for each form
    #[arg(long)]
    samples: bool,
    /// Folder of the datasets, with their samples
    #[arg(long, default_value = "schemas", value_name = "PATH")]
    schemas: PathBuf,
}

pub fn run(args: ParseArgs) -> anyhow::Result<()> {
    let mut chosen = datasets::ALL.to_vec();
    if !args.dataset.is_empty() {
        let named = args.dataset.iter().map(|name| datasets::named(name));
        chosen = named.collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    }
    println!("{}", measure::circumstances());
    for dataset in chosen {
        let all = inputs(dataset, &args)?;
        if args.samples {
            for input in all {
                let name = input.name.clone();
                measure_form(dataset, &name, &[input], &args)?;
            }
            continue;
        }
        let (generated, samples): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|input| input.is_generated);
        for inputs in [generated, samples] {
            let (json, text): (Vec<_>, Vec<_>) =
                inputs.into_iter().partition(|input| input.is_json());
            for (form, inputs) in [("text", text), ("json", json)] {
                if !inputs.is_empty() {
                    measure_form(dataset, form, &inputs, &args)?;
                }
            }
        }
    }
    Ok(())
}

/// Text of one dataset as a source would give it.
struct Input {
    name: String,
    is_generated: bool,
    zone: String,
    text: Vec<u8>,
}

impl Input {
    fn is_json(&self) -> bool {
        self.text.trim_ascii_start().starts_with(b"{")
    }
}

/// Lines as a busy server writes them, where there is a generator, and the dataset's samples.
fn inputs(dataset: &Dataset, args: &ParseArgs) -> anyhow::Result<Vec<Input>> {
    let mut all = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.dataset() == dataset.name) {
        let (name, zone, mut text) = (kind.name().to_owned(), ZONE.to_owned(), Vec::new());
        generate::write(kind, args.megabytes * 1_000_000 / 400, args.seed, &mut text)?;
        all.push(Input { name, is_generated: true, zone, text });
    }
    let folder = args.schemas.join(dataset.name.replace('.', "/")).join("samples");
    let samples = fs::read_dir(&folder).with_context(|| {
        format!("{}: run this where the repository is, or set --schemas", folder.display())
    })?;
    let mut samples: Vec<PathBuf> =
        samples.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    samples.sort();
    for path in samples {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        if !is_log || name.starts_with("rejected_") {
            continue;
        }
        all.push(sample(name, &path)?);
    }
    Ok(all)
}

fn sample(name: String, path: &Path) -> anyhow::Result<Input> {
    let mut text = fs::read(path).with_context(|| path.display().to_string())?;
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let zone = fs::read_to_string(path.with_extension("zone"));
    let zone = zone.map_or_else(|_| ZONE.to_owned(), |zone| zone.trim().to_owned());
    Ok(Input { name, is_generated: false, zone, text })
}

/// Parses all of `inputs`, each as often repeated as the others, and prints what it took.
fn measure_form(
    dataset: &'static Dataset,
    form: &str,
    inputs: &[Input],
    args: &ParseArgs,
) -> anyhow::Result<()> {
    let once: usize = inputs.iter().map(|input| input.text.len()).sum();
    let times = (args.megabytes as usize * 1_000_000).div_ceil(once);
    let mut rehearsed = Vec::new();
    for input in inputs {
        rehearsed.push((origin(dataset, &input.zone), input.text.repeat(times)));
    }
    let (mut best, mut counts) = (f64::INFINITY, Counts::default());
    for _ in 0..args.rounds {
        let before = measure::cpu();
        counts = Counts::default();
        for (origin, text) in &rehearsed {
            counts.parse(dataset, origin, text)?;
        }
        best = best.min((measure::cpu() - before).as_secs_f64());
    }
    let bytes = once * times;
    ensure!(counts.records > 0, "{} has no record in its samples", dataset.name);
    let per_record = |amount: f64| (amount / counts.records as f64).round();
    let line = json!({
        "what": "parse",
        "dataset": dataset.name,
        "form": form,
        "generated": inputs.iter().all(|input| input.is_generated),
        "bytes": bytes,
        "records": counts.records,
        "events": counts.events,
        "mb_per_second": (bytes as f64 / best / 1e5).round() / 10.0,
        "ns_per_record": per_record(best * 1e9),
        "bytes_per_record": per_record(bytes as f64),
        "document_bytes_per_record": per_record(counts.document_bytes as f64),
        "rounds": args.rounds,
    });
    println!("{line}");
    Ok(())
}

fn origin(dataset: &Dataset, zone: &str) -> Origin {
    Origin {
        dataset: dataset.name.to_owned(),
        host: "web-01".to_owned(),
        path: format!("/var/log/{}", dataset.name),
        time_zone: zone.to_owned(),
        ..Origin::default()
    }
}

/// What became of one round.
#[derive(Default)]
struct Counts {
    records: u64,
    events: u64,
    document_bytes: u64,
}

impl Counts {
    fn parse(&mut self, dataset: &Dataset, origin: &Origin, text: &[u8]) -> anyhow::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let read_at_ms = i64::try_from(now.as_millis())?;
        let given = Conditions { ingested_ms: read_at_ms, ..Conditions::default() };
        let (mut events, mut rejected) = (Events::default(), None);
        frame_all(dataset.framer, text, &mut |frame| {
            let record = Record {
                start: frame.start,
                read_at_ms,
                context: frame.context,
                part: frame.part,
                ..Record::new(frame.bytes, origin)
            };
            self.records += 1;
            if let Err(rejection) = dataset.normalizer.normalize(&record, &given, &mut events) {
                rejected.get_or_insert((frame.line, rejection));
            }
            if events.bytes() >= BATCH_BYTES {
                self.take(&mut events);
            }
        });
        self.take(&mut events);
        if let Some((line, rejection)) = rejected {
            anyhow::bail!("{}: a record of line {line}: {rejection}", dataset.name);
        }
        Ok(())
    }

    fn take(&mut self, events: &mut Events) {
        self.events += events.len() as u64;
        self.document_bytes += events.bytes() as u64;
        events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_has_text_that_it_stores_all_of() {
        let args = ParseArgs {
            dataset: Vec::new(),
            megabytes: 1,
            rounds: 1,
            seed: 1,
            samples: false,
            schemas: Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas"),
        };
        for dataset in datasets::ALL {
            let inputs = inputs(dataset, &args).expect("the samples can be read");
            let mut counts = Counts::default();
            for input in &inputs {
                let parsed = counts.parse(dataset, &origin(dataset, &input.zone), &input.text);
                parsed.expect("samples are accepted");
            }
            assert!(counts.records > 0 && counts.events > 0, "{dataset:?}");
        }
    }
}
