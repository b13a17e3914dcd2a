//! What the system says that this process has used.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Begins with the measured work. CPU time is counted from there, except for what
/// [`Meter::of_process`] measures, which answers for its start as well.
pub struct Meter {
    began: Instant,
    cpu_before: Duration,
}

impl Meter {
    /// For a process whose every instruction belongs to what is measured.
    pub fn of_process() -> Self {
        Self { began: Instant::now(), cpu_before: Duration::ZERO }
    }

    /// For work that was prepared in the same process.
    pub fn from_here() -> Self {
        Self { began: Instant::now(), cpu_before: cpu() }
    }

    /// The clock on the wall begins now: what precedes is waiting for others.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Prints the measurement as one line of JSON.
    pub fn finish(&self, what: &str, events: u64, more: Value) -> anyhow::Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        let cpu_seconds = (cpu() - self.cpu_before).as_secs_f64();
        let millions = events as f64 / 1e6;
        let mut line = json!({
            "what": what,
            "events": events,
            "seconds": rounded(seconds),
            "events_per_second": (events as f64 / seconds).round(),
            "cpu_seconds": rounded(cpu_seconds),
            "cpu_seconds_per_million_events": rounded(cpu_seconds / millions),
            "peak_rss_bytes": peak_rss_bytes()?,
        });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        println!("{line}");
        Ok(())
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// User and system time of all threads since the process began.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn peak_rss_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|n| n.parse().ok());
    kib.map(|kib: u64| kib * 1024).context("/proc/self/status gives no VmHWM")
}

/// The machine and the versions: without them no figure means anything.
pub fn circumstances() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let output = |program: &str, arguments: &[&str]| {
        let run = std::process::Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&run.stdout).trim().to_owned();
        (run.status.success() && !text.is_empty()).then_some(text)
    };
    let system = rustix::system::uname();
    json!({
        "what": "circumstances",
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": system.release().to_string_lossy(),
        "load_average": read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        "tahoe": env!("CARGO_PKG_VERSION"),
        "commit": output("git", &["describe", "--always", "--dirty"]),
        "optimised": !cfg!(debug_assertions),
        "rustc": output("rustc", &["--version"]),
        "librdkafka": rdkafka::util::get_rdkafka_version().1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to_have_used_time_and_memory() {
        let before = cpu();
        let mut sum = 0u64;
        while cpu() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(peak_rss_bytes().expect("it is Linux") > 1 << 20);
    }
}
