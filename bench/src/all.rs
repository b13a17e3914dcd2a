//! Every measurement in one go, each in a process of its own, several times; the one in the middle
//! counts.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tahoe_pipeline::log::kafka::KafkaArgs;

use crate::generate::{self, Kind};
use crate::{measure, topics};

/// Records that share a Kafka record when packs are measured: 64 KiB, some 200 lines.
const PACK_BYTES: u64 = 64 << 10;

#[derive(clap::Args)]
pub struct AllArgs {
    /// Brokers: HOST:PORT, separated by commas; further settings of Kafka as variables
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "BROKERS")]
    kafka: String,
    /// Also measure into this Elasticsearch; further settings of it as variables
    #[arg(long, env = "ELASTICSEARCH_URL", value_name = "URL", hide_env_values = true)]
    elasticsearch: Option<String>,
    /// Records of each kind
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: u64,
    /// Lines of another seed are other lines
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// How often each measurement is made; the one in the middle by CPU time counts
    #[arg(long, default_value_t = 3, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// One kind of lines [default: laravel, then syslog]
    #[arg(long)]
    kind: Option<Kind>,
    /// Folder for the generated lines, 300 bytes a record [default: a temporary one]
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
}

pub fn run(args: AllArgs) -> anyhow::Result<()> {
    println!("{}", measure::circumstances());
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    let kinds = args.kind.map_or(Kind::THROUGH_KAFKA.to_vec(), |kind| vec![kind]);
    for kind in kinds {
        let file = folder.join(format!("{}.log", kind.name()));
        let out = File::create(&file).with_context(|| format!("{}", file.display()))?;
        generate::write(kind, args.events, args.seed, &mut BufWriter::new(out))?;
        for pack_bytes in [0, PACK_BYTES] {
            let series = Series { args: &args, kind, file: &file, pack_bytes };
            series.measure()?;
        }
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

/// The measurements of one kind of lines, packed or not.
struct Series<'a> {
    args: &'a AllArgs,
    kind: Kind,
    file: &'a Path,
    pack_bytes: u64,
}

impl Series<'_> {
    fn measure(&self) -> anyhow::Result<()> {
        let name = format!("tahoe_bench_{}_{}", std::process::id(), self.kind.name());
        let topic = |what: &str, run| format!("{name}_{what}_{}_{run}", self.pack_bytes);
        let runs = || 0..self.args.runs;
        let ours: Vec<String> = runs().map(|run| topic("ours", run)).collect();
        let bare: Vec<String> = runs().map(|run| topic("bare", run)).collect();
        let measured = self.measure_on(&ours, &bare);
        let kafka = KafkaArgs::at(&self.args.kafka).producer("tahoe-bench")?;
        let deleted = topics::delete(&kafka, &[ours, bare].concat());
        measured.and(deleted)
    }

    fn measure_on(&self, ours: &[String], bare: &[String]) -> anyhow::Result<()> {
        let (kind, file) = (self.kind.name(), self.file.to_string_lossy());
        let (pack, events) = (self.pack_bytes.to_string(), self.args.events.to_string());
        self.middle(bare, |topic| {
            self.one(&["floor", "produce", kind, &file, "--topic", topic, "--pack", &pack], None)
        })?;
        self.middle(ours, |topic| {
            self.one(&["produce", kind, &file, "--topic", topic, "--pack", &pack], None)
        })?;
        self.middle(ours, |topic| {
            self.one(&["floor", "consume", kind, "--topic", topic, "--events", &events], None)
        })?;
        let transform = |topic: &str, elasticsearch| {
            self.one(&["transform", kind, "--topic", topic, "--events", &events], elasticsearch)
        };
        self.middle(ours, |topic| transform(topic, None))?;
        if let Some(url) = &self.args.elasticsearch {
            // A second time, every document would be there already.
            self.middle(&ours[..1], |topic| transform(topic, Some(url)))?;
        }
        Ok(())
    }

    /// Measures on each topic and prints what lies in the middle by CPU time.
    fn middle(
        &self,
        topics: &[String],
        one: impl Fn(&str) -> anyhow::Result<Value>,
    ) -> anyhow::Result<()> {
        const BY: &str = "cpu_seconds_per_million_events";
        let mut all: Vec<Value> =
            topics.iter().map(|topic| one(topic)).collect::<anyhow::Result<_>>()?;
        all.sort_by(|a, b| a[BY].as_f64().unwrap_or(0.0).total_cmp(&b[BY].as_f64().unwrap_or(0.0)));
        let each: Vec<Value> = all.iter().map(|one| one[BY].clone()).collect();
        let mut middle = all.swap_remove(all.len() / 2);
        if let Some(middle) = middle.as_object_mut() {
            middle.remove("topic");
            middle.insert("packed".to_owned(), (self.pack_bytes > 0).into());
            middle.insert("cpu_seconds_of_each_run".to_owned(), each.into());
        }
        println!("{middle}");
        Ok(())
    }

    /// Runs this binary once more and reads its line.
    fn one(&self, arguments: &[&str], elasticsearch: Option<&str>) -> anyhow::Result<Value> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.env("KAFKA_BOOTSTRAP_SERVERS", &self.args.kafka).env_remove("ELASTICSEARCH_URL");
        if let Some(url) = elasticsearch {
            command.env("ELASTICSEARCH_URL", url);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "`{}` failed", arguments.join(" "));
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{}` printed no JSON", arguments.join(" ")))
    }
}
