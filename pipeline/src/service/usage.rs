//! What a process and its host use, as Linux tells it in `/proc` (proc(5)). Elsewhere nothing is said.

use std::fs;
use std::time::Instant;

use serde_json::{Map, Value, json};

/// Clock ticks in a second of the kernel's tables: `USER_HZ`, which is 100 on every machine that Linux
/// runs on today.
const TICKS: f64 = 100.0;

/// The last look, since processor time and bytes are told as what was used meanwhile.
pub(super) struct Usage {
    at: Instant,
    process_ticks: Option<u64>,
    host: Option<HostTicks>,
    network: Option<(u64, u64)>,
}

#[derive(Clone, Copy)]
struct HostTicks {
    busy: u64,
    all: u64,
}

impl Usage {
    pub fn begin() -> Self {
        let (process_ticks, host) = (process_ticks(), host_ticks());
        Self { at: Instant::now(), process_ticks, host, network: network() }
    }

    /// Fields of what was used since the look before.
    pub fn look(&mut self) -> Map<String, Value> {
        let now = Self::begin();
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        let seconds = (now.at - self.at).as_secs_f64();
        let ticks = now.process_ticks.zip(self.process_ticks);
        let ratio = ticks.map(|(now, before)| (now - before.min(now)) as f64 / TICKS / seconds);
        set("tahoe.process.cpu.ratio", ratio.filter(|ratio| ratio.is_finite()).map(rounded));
        let memory = read("/proc/self/status").and_then(|text| kib(&text, "VmRSS:"));
        set("tahoe.process.memory.bytes", memory.map(|kib| json!(kib * 1024)));
        let busy = now.host.zip(self.host).and_then(|(now, before)| {
            let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
            Some(now.busy.saturating_sub(before.busy) as f64 / all as f64)
        });
        set("host.cpu.usage", busy.map(rounded));
        let used = read("/proc/meminfo").and_then(|text| {
            let (all, free) = (kib(&text, "MemTotal:")?, kib(&text, "MemAvailable:")?);
            Some(1.0 - free as f64 / all as f64)
        });
        set("tahoe.host.memory.ratio", used.map(rounded));
        if let Some(((received, sent), before)) = now.network.zip(self.network) {
            set("host.network.ingress.bytes", Some(json!(received.saturating_sub(before.0))));
            set("host.network.egress.bytes", Some(json!(sent.saturating_sub(before.1))));
        }
        set("tahoe.disk.ratio", disk().map(rounded));
        *self = now;
        fields
    }
}

/// Four decimals: a share is no more exact than that.
fn rounded(ratio: f64) -> Value {
    json!((ratio * 10_000.0).round() / 10_000.0)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The number behind a name in `/proc/meminfo` and `/proc/self/status`, which is in KiB.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `utime` and `stime`, the 14th and 15th value; the second is a name in parentheses that may hold
/// anything.
fn process_ticks() -> Option<u64> {
    let text = read("/proc/self/stat")?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut values = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(values.next()?.ok()? + values.next()?.ok()?)
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait and what hypervisors take; guests
/// are in the first two already.
fn host_ticks() -> Option<HostTicks> {
    let text = read("/proc/stat")?;
    let values: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    let all = values.iter().sum();
    let idle: u64 = values.get(3..5)?.iter().sum();
    Some(HostTicks { busy: all - idle, all })
}

/// Bytes received and sent by every interface but the loopback one.
fn network() -> Option<(u64, u64)> {
    let text = read("/proc/net/dev")?;
    let interfaces = text.lines().filter_map(|line| line.split_once(':'));
    let others = interfaces.filter(|(name, _)| name.trim() != "lo");
    Some(others.fold((0, 0), |(received, sent), (_, counts)| {
        let count = |index| counts.split_whitespace().nth(index).and_then(|n| n.parse().ok());
        (received + count(0).unwrap_or(0u64), sent + count(8).unwrap_or(0u64))
    }))
}

/// Share in use of what an ordinary user may fill of the root's disk.
fn disk() -> Option<f64> {
    let told = rustix::fs::statvfs("/").ok()?;
    let used = told.f_blocks.checked_sub(told.f_bfree)?;
    let all = used + told.f_bavail;
    (all > 0).then(|| used as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn shares_are_shares_and_a_busy_process_is_seen() {
        let mut usage = Usage::begin();
        let began = Instant::now();
        let mut sum = 0u64;
        while began.elapsed().as_millis() < 300 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
        let fields = usage.look();
        let share = |name: &str| fields[name].as_f64().expect("a number");
        assert!(share("tahoe.process.cpu.ratio") > 0.02, "{fields:?}");
        for name in ["host.cpu.usage", "tahoe.host.memory.ratio", "tahoe.disk.ratio"] {
            assert!((0.0..=1.0).contains(&share(name)), "{fields:?}");
        }
        assert!(fields["tahoe.process.memory.bytes"].as_u64() > Some(1 << 20), "{fields:?}");
    }

    #[test]
    fn a_number_stands_behind_its_own_name() {
        let text = "MemTotal:       24576 kB\nMemAvailable:    6144 kB\n";
        assert_eq!((kib(text, "MemAvailable:"), kib(text, "Mem:")), (Some(6144), None));
    }
}
