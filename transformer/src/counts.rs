//! The transformer's half of the law, in records: read = stored + already there + dead-lettered +
//! dropped + in flight, and what was abandoned to another member of the group, whose law it enters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::service::{metric, object};
use tahoe_pipeline::telemetry::{Count, SourceName};

/// Counted over one run.
#[derive(Debug, Default)]
pub struct TransformerCounts {
    /// Consumed from the log.
    pub read: Count,
    /// All events durable by this run.
    pub stored: Count,
    /// All events durable by an earlier write.
    pub already_there: Count,
    /// In the dead-letter topic.
    pub dead_lettered: Count,
    /// Left out by a rule.
    pub dropped: Count,
    /// Given up because the group gave their partition to another member, which reads them again.
    pub abandoned: Count,
    /// How far storing is behind reading.
    pub lag: Lag,
    datasets: Mutex<BTreeMap<String, Arc<RecordCounts>>>,
    sources: Mutex<BTreeMap<SourceName, Arc<RecordCounts>>>,
    /// Of [`TransformerCounts::dropped`], by dataset and rule.
    dropped_by: Mutex<BTreeMap<(String, String), u64>>,
    /// The next offset of every partition in which something was committed.
    reached: Mutex<BTreeMap<(String, u32), u64>>,
}

/// What became of the records of one dataset, the one that they came with, or of one source.
#[derive(Debug, Default)]
pub struct RecordCounts {
    /// All events durable by this run.
    pub stored: Count,
    /// All events durable by an earlier write.
    pub already_there: Count,
    /// In the dead-letter topic.
    pub dead_lettered: Count,
    /// From reading a record at its source to its being stored.
    pub latency: Latency,
    /// From the event's own time to its reading.
    pub age: Latency,
}

impl TransformerCounts {
    /// The counters of one dataset; they are there from the first call on.
    pub fn dataset(&self, name: &str) -> Arc<RecordCounts> {
        let mut datasets = self.lock();
        match datasets.get(name) {
            Some(counts) => Arc::clone(counts),
            None => Arc::clone(datasets.entry(name.to_owned()).or_default()),
        }
    }

    /// The counters of every dataset that was seen, by name.
    pub fn datasets(&self) -> BTreeMap<String, Arc<RecordCounts>> {
        self.lock().clone()
    }

    /// The counters of one source; they are there from the first call on.
    pub fn source(&self, name: &SourceName) -> Arc<RecordCounts> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sources.entry(name.clone()).or_default())
    }

    /// The counters of every source that was seen.
    pub fn sources(&self) -> BTreeMap<SourceName, Arc<RecordCounts>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts records of a dataset that a rule left out.
    pub fn add_dropped(&self, dataset: &str, rule: &str, records: u64) {
        self.dropped.add(records);
        let mut dropped = self.dropped_by.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry((dataset.to_owned(), rule.to_owned())).or_default() += records;
    }

    /// Records that rules left out, by dataset and rule.
    pub fn dropped_by(&self) -> BTreeMap<(String, String), u64> {
        self.dropped_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers `(topic, partition, next offset)` that were committed.
    pub fn set_reached(&self, next: &[(String, u32, u64)]) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.extend(
            next.iter().map(|(topic, partition, next)| ((topic.clone(), *partition), *next)),
        );
    }

    /// The next offset of every partition in which this run committed something.
    pub fn reached(&self) -> BTreeMap<(String, u32), u64> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records in the store by dataset.
    pub fn by_dataset(&self) -> BTreeMap<String, u64> {
        let there = |counts: &RecordCounts| counts.stored.get() + counts.already_there.get();
        let all = self.datasets().into_iter().map(|(name, counts)| (name, there(&counts)));
        all.filter(|(_, records)| *records > 0).collect()
    }

    /// The half of the law by dataset, for the log.
    pub fn measured(&self) -> Vec<Map<String, Value>> {
        let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
        for ((dataset, _), records) in self.dropped_by() {
            *dropped.entry(dataset).or_default() += records;
        }
        let record = |(name, of): (&String, &Arc<RecordCounts>)| {
            object(json!({
                "tahoe.set": "dataset",
                "tahoe.counted.dataset": name,
                "tahoe.counts.stored": of.stored.get(),
                "tahoe.counts.already_there": of.already_there.get(),
                "tahoe.counts.dead_lettered": of.dead_lettered.get(),
                "tahoe.counts.dropped": dropped.get(name).copied().unwrap_or(0),
            }))
        };
        self.datasets().iter().map(record).collect()
    }

    /// Appends the counters in Prometheus' text format.
    pub fn metrics(&self, out: &mut String) {
        let lag = [(String::new(), self.lag.seconds(now_ms()))];
        let help = "Seconds since the reading of the oldest record that is consumed and undecided.";
        metric(out, "tahoe_transformer_lag_seconds", "gauge", help, &lag);
        let read = [(String::new(), self.read.get())];
        let name = "tahoe_transformer_records_read_total";
        metric(out, name, "counter", "Records consumed.", &read);
        let abandoned = [(String::new(), self.abandoned.get())];
        let name = "tahoe_transformer_records_abandoned_total";
        metric(out, name, "counter", "Records that another member reads again.", &abandoned);
        let datasets = self.datasets();
        let mut each = |name: &str, help: &str, count: fn(&RecordCounts) -> &Count| {
            let values = datasets
                .iter()
                .map(|(dataset, counts)| (format!("dataset=\"{dataset}\""), count(counts).get()));
            let name = format!("tahoe_transformer_records_{name}_total");
            metric(out, &name, "counter", help, &values.collect::<Vec<_>>());
        };
        each("stored", "Records whose events this run made durable.", |counts| &counts.stored);
        let help = "Records whose events were durable before.";
        each("already_there", help, |counts| &counts.already_there);
        each("dead_lettered", "Records in the dead-letter topic.", |counts| &counts.dead_lettered);
        let dropped = self.dropped_by();
        let values = dropped.iter().map(|((dataset, rule), records)| {
            (format!("dataset=\"{dataset}\",rule=\"{rule}\""), *records)
        });
        let name = "tahoe_transformer_records_dropped_total";
        let help = "Records left out by a rule.";
        metric(out, name, "counter", help, &values.collect::<Vec<_>>());
        let mut each = |name: &str, help: &str, latency: fn(&RecordCounts) -> &Latency| {
            let name = format!("tahoe_transformer_{name}_seconds");
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} histogram\n");
            for (dataset, counts) in &datasets {
                latency(counts).metric(out, &name, &format!("dataset=\"{dataset}\""));
            }
        };
        let help = "From reading a record at its source to its being stored.";
        each("read_to_stored", help, |counts| &counts.latency);
        each("event_to_read", "From an event's own time to its reading.", |counts| &counts.age);
    }

    /// Consumed and not yet decided.
    pub fn in_flight(&self) -> u64 {
        let Self { stored, already_there, dead_lettered, dropped, abandoned, .. } = self;
        let decided = [stored, already_there, dead_lettered, dropped, abandoned];
        let decided = decided.iter().map(|count| count.get()).sum();
        self.read.get().saturating_sub(decided)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<RecordCounts>>> {
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far storing is behind reading at the source: the age of the oldest record that is consumed
/// and undecided. While there is a backlog in the log some always is; with none it is 0.
#[derive(Debug)]
pub struct Lag {
    /// When the oldest was read, in milliseconds; [`i64::MAX`] while there is none.
    oldest_read_ms: AtomicI64,
    /// The largest since it was taken last.
    worst_ms: AtomicI64,
}

impl Default for Lag {
    fn default() -> Self {
        Self { oldest_read_ms: AtomicI64::new(i64::MAX), worst_ms: AtomicI64::new(0) }
    }
}

impl Lag {
    /// Sets when the oldest undecided record was read, if there is one.
    pub fn set_oldest(&self, read_ms: Option<i64>) {
        self.oldest_read_ms.store(read_ms.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Remembers that a record which is decided now was read `age_ms` ago.
    pub fn add(&self, age_ms: i64) {
        self.worst_ms.fetch_max(age_ms, Ordering::Relaxed);
    }

    /// Seconds at `now_ms`.
    pub fn seconds(&self, now_ms: i64) -> f64 {
        self.now_ms(now_ms) as f64 / 1000.0
    }

    /// The worst since the last call, in seconds; between two looks a batch may come and go.
    pub fn take_seconds(&self, now_ms: i64) -> f64 {
        self.worst_ms.swap(0, Ordering::Relaxed).max(self.now_ms(now_ms)) as f64 / 1000.0
    }

    /// Clocks that differ make it negative, which counts as 0.
    fn now_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.oldest_read_ms.load(Ordering::Relaxed)).max(0)
    }
}

/// A histogram of milliseconds with buckets that grow by a quarter of a power of two: within 19 %
/// of the true value, from 1 ms to days, in 128 counters.
#[derive(Debug)]
pub struct Latency {
    buckets: [AtomicU64; 128],
    sum_ms: AtomicU64,
}

/// Buckets of [`Latency`] in one power of two.
const STEPS: usize = 4;

/// Prometheus sees every power of two from 4 ms (below, clocks differ by more) to 2^27 ms, which is
/// a day and a half.
const SHOWN: std::ops::RangeInclusive<usize> = 2..=27;

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; 128], sum_ms: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Counts `records` that took `ms` each; clocks that differ make it negative, which counts as 0.
    pub fn add(&self, ms: i64, records: u64) {
        let ms = u64::try_from(ms).unwrap_or(0);
        self.buckets[Self::bucket(ms)].fetch_add(records, Ordering::Relaxed);
        self.sum_ms.fetch_add(ms * records, Ordering::Relaxed);
    }

    /// Milliseconds within which the share `quantile` (0 to 1) of the records lies.
    pub fn quantile_ms(&self, quantile: f64) -> Option<u64> {
        let counts = self.counts();
        let total: u64 = counts.iter().sum();
        let wanted = (total as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            total > 0 && seen >= wanted
        });
        bucket.map(|bucket| 2f64.powf(bucket as f64 / STEPS as f64).round() as u64)
    }

    /// Appends it as a histogram of seconds: buckets, sum and count.
    pub fn metric(&self, out: &mut String, name: &str, labels: &str) {
        let counts = self.counts();
        let mut seen: u64 = counts[..SHOWN.start() * STEPS].iter().sum();
        let mut next = SHOWN.start() * STEPS;
        for power in SHOWN {
            seen += counts[next..=power * STEPS].iter().sum::<u64>();
            next = power * STEPS + 1;
            let bound = (1u64 << power) as f64 / 1000.0;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {seen}");
        }
        let total: u64 = counts.iter().sum();
        let sum = self.sum_ms.load(Ordering::Relaxed) as f64 / 1000.0;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}");
    }

    fn counts(&self) -> [u64; 128] {
        std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed))
    }

    /// The first whose bound, `2^(bucket / STEPS)`, is not below `ms`.
    fn bucket(ms: u64) -> usize {
        ((ms.max(1) as f64).log2() * STEPS as f64).ceil().min(127.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_fifth_of_the_truth() {
        let latency = Latency::default();
        assert_eq!(latency.quantile_ms(0.5), None);
        (1..=1000).for_each(|ms| latency.add(ms, 1));
        let p50 = latency.quantile_ms(0.5).expect("counted");
        let p99 = latency.quantile_ms(0.99).expect("counted");
        assert!((500..=600).contains(&p50), "{p50}");
        assert!((990..=1190).contains(&p99), "{p99}");
    }

    #[test]
    fn the_lag_grows_while_nothing_is_decided_and_its_worst_is_told_once() {
        let lag = Lag::default();
        assert_eq!(lag.seconds(5_000), 0.0);
        lag.set_oldest(Some(2_000));
        assert_eq!((lag.seconds(5_000), lag.seconds(9_000)), (3.0, 7.0));
        lag.add(7_500);
        lag.set_oldest(None);
        assert_eq!((lag.seconds(9_500), lag.take_seconds(9_500)), (0.0, 7.5));
        assert_eq!(lag.take_seconds(9_600), 0.0);
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound_and_everything_at_the_end() {
        let counts = TransformerCounts::default();
        let dataset = counts.dataset("a.b");
        for ms in [-5, 3, 4, 5, 1000, 1 << 30] {
            dataset.latency.add(ms, 1);
        }
        dataset.stored.add(6);
        let mut out = String::new();
        counts.metrics(&mut out);
        let line = |text: &str| assert!(out.lines().any(|line| line == text), "{text} in\n{out}");
        line("# TYPE tahoe_transformer_read_to_stored_seconds histogram");
        let name = "tahoe_transformer_read_to_stored_seconds";
        for (bound, seen) in [("0.004", 3), ("0.008", 4), ("1.024", 5), ("134217.728", 5)] {
            line(&format!("{name}_bucket{{dataset=\"a.b\",le=\"{bound}\"}} {seen}"));
        }
        line(&format!("{name}_bucket{{dataset=\"a.b\",le=\"+Inf\"}} 6"));
        line(&format!("{name}_sum{{dataset=\"a.b\"}} 1073742.836"));
        line(&format!("{name}_count{{dataset=\"a.b\"}} 6"));
        line("tahoe_transformer_records_stored_total{dataset=\"a.b\"} 6");
        assert_eq!(counts.by_dataset(), BTreeMap::from([("a.b".to_owned(), 6)]));
    }
}
