//! A server restarts, or takes nothing more, while records flow. Each of these tests takes a server
//! away from all others, so `tests/all` runs them alone.

use std::ops::ControlFlow;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tahoe_seams::{Log as _, LogRecord};
use tahoe_tests::documents::{Documents as _, InElasticsearch, each_once, number};
use tahoe_tests::feed::{self, Feed, append_to, write_lines};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::Program;
use tahoe_tests::servers::{ask_services, free_port, http_get, services, setting};
use tahoe_tests::wait::until;

/// Lines a second while a server takes its time to come back.
const CALM: u32 = 50;

/// Visible before the server goes, and again after it has come back.
const STORED: usize = 200;

/// While `server` is away the services in `unready` say so, and the others do not.
fn restart_in_mid_stream(server: &str, unready: &[&str]) {
    // Without it there is no telling which servers this run may stop.
    if setting("TAHOE_SERVICES").is_none() {
        return;
    }
    let Some(pipeline) = Pipeline::set_up(&format!("restart_{}", &server[..5])) else { return };
    let metrics = ["tahoe-laravel", "tahoe-transformer"]
        .map(|service| (service, format!("127.0.0.1:{}", free_port())));
    let feed = Feed::into_file(&pipeline.path("laravel.log"), CALM, feed::laravel);
    let files = pipeline.flag("laravel.log");
    let producer =
        pipeline.start("tahoe-laravel", &["--laravel", &files, "--metrics", &metrics[0].1]);
    let transformer = pipeline.start("tahoe-transformer", &["--metrics", &metrics[1].1]);
    let ready = |address: &str| http_get(&format!("http://{address}/readyz"));
    pipeline.documents.wait_for("*", STORED);

    services(&["down", server]);
    for (service, address) in &metrics {
        if unready.contains(service) {
            until("it is not ready", || ready(address).map_or_else(|_| Ok(()), Err));
        } else {
            assert_eq!(ready(address).as_deref(), Ok("ready\n"), "{service}");
        }
    }
    let written = feed.written();
    until("lines are written meanwhile", || match feed.written() {
        now if now > written + 100 => Ok(()),
        now => Err(now.to_string()),
    });
    services(&["up", server]);
    for (_, address) in &metrics {
        until("it is ready again", || ready(address).map(drop));
    }

    pipeline.documents.wait_for("*", 2 * STORED);
    let lines = feed.finish();
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    producer.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}

#[test]
fn elasticsearch_restarts_in_mid_stream_and_nothing_is_lost_or_doubled() {
    restart_in_mid_stream("elasticsearch", &["tahoe-transformer"]);
}

#[test]
fn kafka_restarts_in_mid_stream_and_nothing_is_lost_or_doubled() {
    restart_in_mid_stream("kafka", &["tahoe-laravel", "tahoe-transformer"]);
}

/// Kafka while no process can reach it; it is back when this is dropped.
struct Away(fn());

impl Drop for Away {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn kafka_is_down() -> Away {
    services(&["down", "kafka"]);
    Away(|| services(&["up", "kafka"]))
}

/// Its connections stay open and nothing is answered, until it is killed.
fn kafka_hangs() -> Away {
    let home = ask_services(&["home", "kafka"]);
    let id = std::fs::read_to_string(format!("{home}/pid")).expect("it was started here");
    let id = id.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::STOP).expect("it runs");
    Away(|| {
        services(&["kill", "kafka"]);
        services(&["up", "kafka"]);
    })
}

/// Long enough for a busy machine, and far below the grace period of those who are asked twice.
const SOON: Duration = Duration::from_secs(60);

/// Asked once, a service ends with its grace period; asked twice, at once.
fn ends_when_it_is_asked(service: &mut Program, times: usize) {
    service.signal(Signal::TERM);
    service.says("stopping: finishing");
    if times == 2 {
        service.signal(Signal::TERM);
    }
}

fn stop_while_kafka_is_away(test: &str, go_away: fn() -> Away) {
    if setting("TAHOE_SERVICES").is_none() {
        return;
    }
    let Some(pipeline) = Pipeline::of_kafka(test) else { return };
    let syslog = format!("system.syslog={}", pipeline.flag("syslog"));
    let laravel = pipeline.flag("laravel.log");
    let readers: [(&str, &[&str]); 2] =
        [("tahoe-laravel", &["--laravel", &laravel]), ("tahoe-file", &["--file", &syslog])];
    let write = |from: u64, until: u64| {
        write_lines(&mut append_to(&pipeline.path("laravel.log")), from..until, feed::laravel);
        let numbers = 1_000_000 + from..1_000_000 + until;
        write_lines(&mut append_to(&pipeline.path("syslog")), numbers, feed::syslog);
    };
    let grace = |times| ["--grace-seconds", if times == 1 { "2" } else { "3600" }];
    let mut lines = 0;
    for times in [1, 2] {
        write(lines, lines + 1_000);
        let start = |(binary, flags): (&str, &[&str])| {
            pipeline.start(binary, &[flags, &grace(times)].concat())
        };
        let mut services: Vec<_> = readers.map(start).into();
        pipeline.wait_for_records(2 * (lines as usize + 1_000));
        // What it has taken in is never stored.
        let store = ["--elasticsearch", "http://127.0.0.1:9"];
        let mut transformer = start(("tahoe-transformer", &store));
        transformer.says("sink unavailable");
        let away = go_away();
        // One that has not yet found Kafka.
        let address = format!("127.0.0.1:{}", free_port());
        let mut late = start(("tahoe-syslog", &["--no-system", "--syslog", &address]));
        late.says("listening");
        // Who reads on waits for Kafka with the first record.
        write(lines + 1_000, lines + 5_000);
        lines += 5_000;
        for service in services.iter_mut().chain([&mut transformer, &mut late]) {
            ends_when_it_is_asked(service, times);
        }
        for service in services.into_iter().chain([late]) {
            let ended = service.wait_at_most(SOON);
            assert!(ended.status.success(), "{}", ended.stderr);
        }
        transformer.wait_at_most(SOON);
        drop(away);
        until("each partition has its leader again", || {
            let log = pipeline.log();
            let partitions = log.partitions(&pipeline.name).map_err(|error| error.to_string())?;
            (0..partitions).try_for_each(|partition| {
                let go_on = &mut |_: LogRecord<'_>| ControlFlow::Continue(());
                let scanned = log.scan(&pipeline.name, partition, 0, u64::MAX, go_on);
                scanned.map_err(|error| error.to_string())
            })
        });
    }
    let again = readers.map(|(binary, flags)| pipeline.start(binary, flags));
    pipeline.wait_for_records(2 * usize::try_from(lines).expect("few"));
    again.into_iter().for_each(|reader| drop(reader.stop()));
    let numbers = pipeline.in_kafka().into_iter().map(|record| number(&record.text));
    let expected = (0..lines).chain(1_000_000..1_000_000 + lines);
    each_once(numbers.map(|number| number.expect("a number")), expected);
}

#[test]
fn services_stop_before_kafka_restarts_in_mid_stream_and_go_on_where_they_were() {
    stop_while_kafka_is_away("stop_down", kafka_is_down);
}

#[test]
fn services_stop_before_kafka_hangs_and_restarts_in_mid_stream_and_go_on_where_they_were() {
    stop_while_kafka_is_away("stop_hangs", kafka_hangs);
}

/// A cluster that has room for no data stream more; it has again when this is dropped.
struct Full<'a>(&'a InElasticsearch);

impl<'a> Full<'a> {
    fn new(server: &'a InElasticsearch) -> Self {
        let full = Self(server);
        full.set("1");
        full
    }

    fn set(&self, shards: &str) {
        let settings = format!("{{\"persistent\":{{\"cluster.max_shards_per_node\":{shards}}}}}");
        until("the cluster is told", || self.0.ask("PUT", "/_cluster/settings", &settings));
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        self.set("null");
    }
}

#[test]
fn a_cluster_that_is_full_of_shards_makes_events_wait_and_names_its_setting() {
    if setting("TAHOE_SERVICES").is_none() {
        return;
    }
    let Some(pipeline) = Pipeline::set_up("full") else { return };
    let full = Full::new(&pipeline.documents);
    let feed = Feed::into_file(&pipeline.path("laravel.log"), CALM, feed::laravel);
    let files = pipeline.flag("laravel.log");
    let producer = pipeline.start("tahoe-laravel", &["--laravel", &files]);
    let mut transformer = pipeline.transformer();
    transformer.says("cluster.max_shards_per_node");
    let lines = feed.finish();
    drop(full);
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    producer.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}
