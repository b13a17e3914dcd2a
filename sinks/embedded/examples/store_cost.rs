//! What the store costs: events per second, CPU, memory and disk, and how long questions take.
//!
//! `cargo run --release -p tahoe-sink-embedded --example store_cost -- [EVENTS] [FOLDER]`

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, Sink};
use tahoe_sink_embedded::{EmbeddedStore, Settings};

const BATCH: u64 = 2000;

/// Batches in flight, as the transformer has them.
const IN_FLIGHT: usize = 4;

fn batch(first: u64, count: u64) -> EventBatch {
    const LEVELS: [&str; 4] = ["info", "info", "warning", "error"];
    let mut events = Events::default();
    for n in first..first + count {
        let hash = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut id = [0; 16];
        // A segment of a source is open for a second: 50,000 events share the time in their id.
        id[..6].copy_from_slice(&(1_790_000_000_000 + n / 50_000 * 1000).to_be_bytes()[2..]);
        id[6..14].copy_from_slice(&hash.to_be_bytes());
        events.begin_record(u32::try_from(n - first).expect("a batch is small"));
        events.push("laravel.log", "acme", RecordId(id), |out| {
            let (level, user, ip) = (LEVELS[(n % 4) as usize], hash % 5000, hash % 250);
            let ms = 1_790_000_000_000 + n;
            let text = format!(
                "{{\"@timestamp\":{ms},\"ecs\":{{\"version\":\"9.4.0\"}},\"event\":{{\
                 \"module\":\"laravel\",\"dataset\":\"laravel.log\",\"created\":\
                 \"2026-11-21T12:41:19.123Z\",\"ingested\":\"2026-11-21T12:41:20.123Z\"}},\
                 \"log\":{{\"level\":\"{level}\",\"logger\":\"production\",\"file\":{{\"path\":\
                 \"/var/www/shop/storage/logs/laravel.log\"}},\"offset\":{n}}},\"host\":{{\
                 \"name\":\"web-{:02}\"}},\"message\":\"Order {n} of customer {user} could not be \
                 charged: connection to 10.0.3.{ip} timed out after {} ms\",\"user\":{{\"id\":\
                 \"{user}\"}},\"source\":{{\"ip\":\"203.0.113.{ip}\"}},\"trace\":{{\"id\":\
                 \"{hash:016x}\"}}}}",
                n % 20,
                hash % 3000,
            );
            out.extend_from_slice(text.as_bytes());
        });
    }
    events.take()
}

/// CPU seconds of this process, and its peak resident memory in MiB.
fn usage() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // The writer's heap and the batches: files that are mapped do not count.
    let peak = status.lines().find(|line| line.starts_with("RssAnon")).unwrap_or("");
    let kib = peak.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
    ((ticks(11) + ticks(12)) / 100.0, kib.unwrap_or(0) / 1024)
}

fn disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

async fn write_all(store: &Arc<EmbeddedStore>, events: u64, expected: Outcome) -> u64 {
    let mut tasks = tokio::task::JoinSet::new();
    let (mut first, mut anon_mib) = (0, 0);
    while first < events || !tasks.is_empty() {
        if first < events && tasks.len() < IN_FLIGHT {
            let (store, batch) = (Arc::clone(store), batch(first, BATCH.min(events - first)));
            tasks.spawn(async move { store.write(&batch).await.expect("written") });
            first += BATCH;
            continue;
        }
        let outcomes = tasks.join_next().await.expect("a task").expect("no panic");
        assert!(outcomes.iter().all(|outcome| *outcome == expected), "{:?}", outcomes[0]);
        anon_mib = anon_mib.max(usage().1);
    }
    anon_mib
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let folder = args.next().unwrap_or_else(|| "/tmp/store-cost".to_owned());
    let folder = Path::new(&folder);
    let bytes = batch(0, 1000).body.len() / 1000;
    let store = EmbeddedStore::open(folder, Settings::default()).expect("a store");
    let store = Arc::new(store);
    for (what, expected) in [("stored", Outcome::Stored), ("again", Outcome::AlreadyThere)] {
        let (started, cpu) = (Instant::now(), usage().0);
        let anon_mib = write_all(&store, events, expected).await;
        let seconds = started.elapsed().as_secs_f64();
        let per_million = (usage().0 - cpu) * 1e6 / events as f64;
        println!(
            "{{\"what\":\"{what}\",\"events\":{events},\"bytes_each\":{bytes},\"events_per_s\":\
             {:.0},\"cpu_s_per_million\":{per_million:.1},\"anon_mib\":{anon_mib},\"disk_mib\":{}}}",
            events as f64 / seconds,
            disk(folder) / 1024 / 1024,
        );
    }
    let started = Instant::now();
    store.write(&batch(events, 1)).await.expect("written");
    println!("{{\"what\":\"one event, idle\",\"ms\":{}}}", started.elapsed().as_millis());
    drop(store);
    let store = EmbeddedStore::open_read_only(folder).expect("a store");
    for (query, by) in [
        ("log.level:error", ""),
        ("message:\"timed out\" AND source.ip:203.0.113.7", ""),
        ("customer AND host.name:web-1*", ""),
        ("log.offset:[500000 TO 500100]", ""),
        ("", "log.level"),
        ("", "host.name,log.level"),
        ("", "source.ip"),
    ] {
        let by: Vec<String> = by.split(',').filter(|by| !by.is_empty()).map(Into::into).collect();
        let request =
            SearchRequest { query: query.into(), by, limit: Some(100), ..Default::default() };
        let started = Instant::now();
        let found = if request.by.is_empty() {
            store.search(&request, &mut |_| ControlFlow::Continue(())).await.expect("an answer")
        } else {
            store.count(&request).await.expect("an answer").rows.len() as u64
        };
        let ms = started.elapsed().as_secs_f64() * 1e3;
        println!(
            "{{\"query\":{query:?},\"by\":{:?},\"found\":{found},\"ms\":{ms:.1}}}",
            request.by
        );
    }
    let started = Instant::now();
    let all = SearchRequest::default();
    let visited = store.search(&all, &mut |_| ControlFlow::Continue(())).await.expect("all");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"what\":\"all\",\"visited\":{visited},\"s\":{seconds:.1},\"anon_mib\":{}}}",
        usage().1
    );
}
