//! What a person sees while the pipeline runs: a line per dataset and its sources, redrawn on a
//! terminal, and plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tahoe_pipeline::service::{
    Health, Metered, Readiness, log_through, not_running, source_metrics,
};
use tahoe_transformer::TransformerCounts;

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The counters of a running pipeline.
#[derive(Clone)]
pub struct Pipeline {
    sources: Vec<Metered>,
    transformer: Arc<TransformerCounts>,
    ready: Arc<Readiness>,
}

/// What one dataset's records have come to, from all sources that read it.
#[derive(Default)]
struct Row {
    sources: Vec<String>,
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

    /// A title, a line per dataset with the sources that read it, and a line per idle source.
    fn lines(&self) -> Vec<String> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let mut idle = Vec::new();
        for source in &self.sources {
            let by_dataset = source.counts.read_by_dataset();
            let lag = source.counts.lag().iter().map(|lag| lag.seconds).fold(0.0, f64::max);
            if by_dataset.is_empty() {
                idle.push(format!("{:<16} {:<10}", "-", source.name));
            }
            for (dataset, read) in by_dataset {
                let row = rows.entry(dataset).or_default();
                row.sources.push(source.name.clone());
                row.read += read;
                row.lag_seconds = row.lag_seconds.max(lag);
            }
        }
        for dataset in self.transformer.datasets().into_keys() {
            rows.entry(dataset).or_default();
        }
        let title = format!(
            "{:<16} {:<16} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
            "dataset", "source", "read", "stored", "dead", "lag s", "p50 ms", "p99 ms"
        );
        let line = |(dataset, row): (&String, &Row)| {
            let counts = self.transformer.dataset(dataset);
            let ms = |quantile| match counts.latency.quantile_ms(quantile) {
                Some(ms) => ms.to_string(),
                None => "-".to_owned(),
            };
            format!(
                "{:<16} {:<16} {:>10} {:>10} {:>8} {:>8.1} {:>8} {:>8}",
                dataset,
                row.sources.join(","),
                row.read,
                counts.stored.get() + counts.already_there.get(),
                counts.dead_lettered.get(),
                row.lag_seconds,
                ms(0.5),
                ms(0.99),
            )
        };
        let rows: Vec<_> = rows.iter().map(line).collect();
        std::iter::once(title).chain(rows).chain(idle).collect()
    }
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
