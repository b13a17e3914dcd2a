//! `--sample`: the repository's recorded lines, written anew with the present time, so that a bare
//! machine has something to read.
//!
//! They are written to files and tailed like any other, because that is what is to be shown.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tahoe_pipeline::service::{Place, Planned, path_set, plan_files};
use tahoe_pipeline::stop::Stop;
use tahoe_pipeline::tail::StartAt;
use tahoe_schemas::{datasets, frame_all};

/// One record of each sample per step: about fifteen a second, slow enough to watch.
const STEP: Duration = Duration::from_millis(200);

/// A sample file that has grown to this is begun anew at the next start.
const FILE_BYTES_MAX: u64 = 16 << 20;

struct Sample {
    dataset: &'static str,
    file: &'static str,
    lines: &'static [u8],
    /// What a record's stamp stands between.
    stamp: (&'static str, char),
    format: &'static str,
}

const SAMPLES: [Sample; 3] = [
    Sample {
        dataset: "laravel.log",
        file: "laravel.log",
        lines: include_bytes!("../../samples/laravel/laravel.log"),
        stamp: ("[", ']'),
        format: "%Y-%m-%dT%H:%M:%S%:z",
    },
    Sample {
        dataset: "system.syslog",
        file: "syslog",
        lines: include_bytes!("../../samples/syslog/syslog-rfc3339.log"),
        stamp: ("", ' '),
        format: "%Y-%m-%dT%H:%M:%S%.6f%:z",
    },
    Sample {
        dataset: "system.auth",
        file: "auth.log",
        lines: include_bytes!("../../samples/auth/auth-rfc3339.log"),
        stamp: ("", ' '),
        format: "%Y-%m-%dT%H:%M:%S%.6f%:z",
    },
];

/// The source that tails the feed.
pub fn plan(folder: &Path, place: &Place) -> anyhow::Result<Planned> {
    let mut place = place.clone();
    place.tail.start_at = StartAt::Beginning;
    let sets = SAMPLES.iter().map(|sample| {
        let path = folder.join(sample.file).to_string_lossy().into_owned();
        path_set("--sample", sample.dataset, vec![path], &place)
    });
    let sets = sets.collect::<Result<Vec<_>, _>>().map_err(|error| anyhow!(error))?;
    plan_files("sample", sets, &place).map_err(|error| anyhow!(error))
}

/// Starts the feed; it ends when `stop` is asked for.
pub fn start(folder: &Path, stop: &Stop) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let context = || format!("--data: {}", folder.display());
    std::fs::create_dir_all(folder).with_context(context)?;
    let mut feeds = Vec::new();
    for sample in &SAMPLES {
        feeds.push(Feed::new(sample, &open(&folder.join(sample.file)).with_context(context)?)?);
    }
    let stop = stop.clone();
    let body = move || {
        while !stop.is_asked_within(STEP) {
            for feed in &mut feeds {
                feed.step().context("--sample")?;
            }
        }
        Ok(())
    };
    Ok(std::thread::Builder::new().name("samples".to_owned()).spawn(body)?)
}

fn open(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX) {
        std::fs::remove_file(path)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

struct Feed {
    sample: &'static Sample,
    file: File,
    records: Vec<String>,
    next: usize,
}

impl Feed {
    fn new(sample: &'static Sample, file: &File) -> anyhow::Result<Self> {
        let dataset = datasets::find(sample.dataset).context("a dataset of its own sample")?;
        let mut records = Vec::new();
        frame_all(dataset.framer, sample.lines, &mut |frame| {
            records.push(String::from_utf8_lossy(frame.bytes).into_owned());
        });
        Ok(Self { sample, file: file.try_clone()?, records, next: 0 })
    }

    fn step(&mut self) -> io::Result<()> {
        let record = &self.records[self.next % self.records.len()];
        self.next += 1;
        let now = jiff::Zoned::now().strftime(self.sample.format).to_string();
        let (before, after) = self.sample.stamp;
        let rest = record.find(after).map_or("", |at| &record[at..]);
        self.file.write_all(format!("{before}{now}{rest}\n").as_bytes())
    }
}
