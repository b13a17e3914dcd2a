//! What a person sees while the pipeline runs: a line per source (a file, an address, a table),
//! redrawn on a terminal, and plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, Value};
use tahoe_pipeline::service::{
    Health, Metered, Readiness, log_through, not_running, source_metrics, source_records,
};
use tahoe_pipeline::telemetry::SourceName;
use tahoe_schemas::datasets::tahoe_service;
use tahoe_transformer::{Dependencies, RecordCounts, TransformerCounts};

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Of a source's path so much is shown.
const PATH_WIDTH: usize = 32;

/// Lines that fit a terminal.
const ROWS_MAX: usize = 20;

/// What is measured of the pipeline itself is no event of its sources.
pub const OWN: &str = tahoe_service::DATASET.name;

/// The counters of a running pipeline.
#[derive(Clone)]
pub struct Pipeline {
    sources: Vec<Metered>,
    transformer: Arc<TransformerCounts>,
    ready: Arc<Readiness>,
}

/// What a source's records have come to before they are stored.
#[derive(Default)]
struct Row {
    read: u64,
    lag_seconds: f64,
}

impl Pipeline {
    /// Of these sources and this transformer, ready when `ready` says so.
    pub fn new(
        sources: Vec<Metered>,
        transformer: Arc<TransformerCounts>,
        ready: Readiness,
    ) -> Self {
        Self { sources, transformer, ready: Arc::new(ready) }
    }

    /// With what its transformer depends on, for [`Health::measured`].
    pub fn with(self, dependencies: Dependencies) -> Depending {
        Depending { pipeline: self, dependencies }
    }

    /// A title, a line per source, and one for each producer that has read nothing.
    fn lines(&self) -> Vec<String> {
        let mut rows: BTreeMap<SourceName, Row> = BTreeMap::new();
        let mut idle = Vec::new();
        for producer in &self.sources {
            let read = producer.counts.read_by_source();
            if read.is_empty() {
                idle.push(format!("{:<16} {}", "-", producer.name));
            }
            let lag = producer.counts.lag();
            let furthest = lag.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
            for (name, read) in read {
                let own = lag.iter().find(|lag| lag.of == name.path);
                let row = rows.entry(name).or_default();
                row.read += read;
                row.lag_seconds = row.lag_seconds.max(own.map_or(furthest, |own| own.seconds));
            }
        }
        let stored = self.transformer.sources();
        for name in stored.keys().filter(|name| name.dataset != OWN) {
            rows.entry(name.clone()).or_default();
        }
        let title = format!(
            "{:<16} {:<PATH_WIDTH$} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
            "dataset", "source", "read", "stored", "dead", "lag s", "p50 ms", "p99 ms"
        );
        let unknown = Arc::default();
        let line = |(name, row): (&SourceName, &Row)| {
            let counts: &Arc<RecordCounts> = stored.get(name).unwrap_or(&unknown);
            let ms = |quantile| match counts.latency.quantile_ms(quantile) {
                Some(ms) => ms.to_string(),
                None => "-".to_owned(),
            };
            format!(
                "{:<16} {:<PATH_WIDTH$} {:>10} {:>10} {:>8} {:>8.1} {:>8} {:>8}",
                name.dataset,
                shortened(&name.path),
                row.read,
                counts.stored.get() + counts.already_there.get(),
                counts.dead_lettered.get(),
                row.lag_seconds,
                ms(0.5),
                ms(0.99),
            )
        };
        let more = rows.len().saturating_sub(ROWS_MAX);
        let more = (more > 0).then(|| format!("and {more} more: --metrics has their datasets"));
        // Who has the most to tell, in the order of names.
        let mut busiest: Vec<_> = rows.iter().collect();
        busiest.sort_by_key(|(_, row)| std::cmp::Reverse(row.read));
        busiest.truncate(ROWS_MAX);
        busiest.sort_by_key(|(name, _)| *name);
        let rows = busiest.into_iter().map(line);
        std::iter::once(title).chain(rows).chain(more).chain(idle).collect()
    }
}

/// The end of a path tells more than its beginning.
fn shortened(path: &str) -> String {
    let length = path.chars().count();
    if length <= PATH_WIDTH {
        return path.to_owned();
    }
    std::iter::once('…').chain(path.chars().skip(length + 1 - PATH_WIDTH)).collect()
}

impl Health for Pipeline {
    fn metrics(&self, out: &mut String) {
        source_metrics(&self.sources, out);
        self.transformer.metrics(out);
    }

    fn not_ready(&self) -> Option<String> {
        not_running(&self.sources).or_else(|| self.ready.failure())
    }
}

/// A pipeline and what it depends on.
pub struct Depending {
    pipeline: Pipeline,
    dependencies: Dependencies,
}

impl Health for Depending {
    fn metrics(&self, out: &mut String) {
        self.pipeline.metrics(out);
    }

    fn not_ready(&self) -> Option<String> {
        self.pipeline.not_ready()
    }

    fn measured(&self) -> Vec<Map<String, Value>> {
        let mut records = source_records(&self.pipeline.sources);
        records.extend(self.pipeline.transformer.measured());
        records
    }

    fn measured_around(&self) -> Vec<Map<String, Value>> {
        self.dependencies.records(&self.pipeline.transformer)
    }
}

/// Draws a [`Pipeline`].
pub struct View {
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    plain_at: Option<Instant>,
}

impl View {
    /// For this process's stderr.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let multi = MultiProgress::new();
            let view = multi.clone();
            log_through(move |line| {
                // A line of the log that cannot be written is no reason to stop.
                let _ = view.suspend(|| std::io::stderr().write_all(line));
            });
            (multi, Vec::new())
        });
        Self { bars, plain_at: None }
    }

    /// Shows the counters as they are now.
    pub fn show(&mut self, pipeline: &Pipeline) {
        let lines = pipeline.lines();
        let Some((multi, bars)) = &mut self.bars else {
            if self.plain_at.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
                self.plain_at = Some(Instant::now());
                lines.iter().for_each(|line| eprintln!("{line}"));
            }
            return;
        };
        while bars.len() < lines.len() {
            let style = ProgressStyle::with_template("{msg}").expect("the template is a literal");
            bars.push(multi.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (bar, line) in bars.iter().zip(lines) {
            bar.set_message(line);
            bar.tick();
        }
    }

    /// Leaves the last state on the screen.
    pub fn finish(&mut self, pipeline: &Pipeline) {
        self.plain_at = None;
        self.show(pipeline);
        if let Some((_, bars)) = &self.bars {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }
}

#[cfg(test)]
mod tests {
    use tahoe_pipeline::seams::{Lag, Origin};
    use tahoe_pipeline::telemetry::ProducerCounts;

    use super::*;

    fn origin(path: String) -> Origin {
        Origin { dataset: "laravel.log".to_owned(), path, ..Origin::default() }
    }

    #[test]
    fn a_line_tells_of_each_source_what_was_read_and_what_became_of_it() {
        let counts = Arc::new(ProducerCounts::default());
        let transformer = Arc::new(TransformerCounts::default());
        for (path, read, lag) in [("/a.log", 7, 1.5), ("/b.log", 3, 0.0)] {
            counts.add_read(&origin(path.to_owned()), read);
            let mut lags = counts.lag();
            lags.push(Lag { of: path.to_owned(), bytes: 0, seconds: lag });
            counts.set_lag(lags);
        }
        let name = SourceName { dataset: "laravel.log".to_owned(), path: "/a.log".to_owned() };
        let stored = transformer.source(&name);
        stored.stored.add(5);
        stored.already_there.add(1);
        stored.dead_lettered.add(1);
        stored.latency.add(64, 6);
        let metered = |name: &str, counts: &Arc<ProducerCounts>| Metered {
            name: name.to_owned(),
            counts: Arc::clone(counts),
            failure: Arc::default(),
        };
        let sources = vec![metered("laravel", &counts), metered("syslog", &Arc::default())];
        let pipeline = Pipeline::new(sources, transformer, Readiness::new(|| Ok(())));
        let words = |line: &String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = pipeline.lines().iter().skip(1).map(words).collect();
        assert_eq!(lines[0], ["laravel.log", "/a.log", "7", "6", "1", "1.5", "64", "64"]);
        assert_eq!(lines[1], ["laravel.log", "/b.log", "3", "0", "0", "0.0", "-", "-"]);
        assert_eq!(lines[2], ["-", "syslog"]);
        for n in 0..ROWS_MAX as u64 {
            counts.add_read(&origin(format!("/{}{n}", "folder/".repeat(9))), 100 + n);
        }
        let lines = pipeline.lines();
        assert_eq!(lines.len(), 1 + ROWS_MAX + 1 + 1);
        assert!(lines[1].contains("…") && !lines.concat().contains("/a.log"), "{lines:#?}");
        assert!(lines[ROWS_MAX + 1].starts_with("and 2 more"), "{lines:#?}");
    }
}
