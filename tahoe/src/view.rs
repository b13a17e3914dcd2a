//! What a person sees while the pipeline runs: a line per source, redrawn on a terminal, and plain
//! lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tahoe_pipeline::service::{Health, Metered, metric};
use tahoe_transformer::TransformerCounts;

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The counters of a running pipeline.
#[derive(Clone)]
pub struct Pipeline {
    sources: Vec<Metered>,
    transformer: Arc<TransformerCounts>,
}

impl Pipeline {
    /// Of these sources and this transformer.
    pub fn new(sources: Vec<Metered>, transformer: Arc<TransformerCounts>) -> Self {
        Self { sources, transformer }
    }

    fn lines(&self) -> Vec<String> {
        let source = |source: &Metered| {
            let counts = &source.counts;
            format!(
                "{:<10} read {:>10}  in the log {:>10}  dropped {}",
                source.name,
                counts.read.get(),
                counts.appended.get(),
                counts.dropped.get()
            )
        };
        let counts = &self.transformer;
        let ms = |quantile| match counts.latency.quantile_ms(quantile) {
            Some(ms) => format!("{ms} ms"),
            None => "-".to_owned(),
        };
        let stored = format!(
            "{:<10} read {:>10}  stored {:>10}  already there {}  dead-lettered {}  \
             in flight {}  read → stored p50 {} p99 {}",
            "store",
            counts.read.get(),
            counts.stored.get(),
            counts.already_there.get(),
            counts.dead_lettered.get(),
            counts.in_flight(),
            ms(0.5),
            ms(0.99),
        );
        self.sources.iter().map(source).chain([stored]).collect()
    }
}

impl Health for Pipeline {
    fn metrics(&self, out: &mut String) {
        let each = |count: fn(&Metered) -> u64| {
            let one = |source: &Metered| (format!("source=\"{}\"", source.name), count(source));
            self.sources.iter().map(one).collect::<Vec<_>>()
        };
        let read = each(|source| source.counts.read.get());
        let appended = each(|source| source.counts.appended.get());
        let dropped = each(|source| source.counts.dropped.get());
        metric(out, "tahoe_producer_records_read_total", "counter", "Records read.", &read);
        let help = "Records acknowledged by the log.";
        metric(out, "tahoe_producer_records_appended_total", "counter", help, &appended);
        let help = "Records lost before they could be appended.";
        metric(out, "tahoe_producer_records_dropped_total", "counter", help, &dropped);
        self.transformer.metrics(out);
    }

    fn not_ready(&self) -> Option<String> {
        None
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
        let bars = std::io::stderr().is_terminal().then(|| (MultiProgress::new(), Vec::new()));
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
