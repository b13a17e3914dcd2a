//! `docker compose up` comes up, stays, and says what is wrong where it cannot. Only where
//! `tests/compose/run` has made an engine and its images; Kibana has no stand-in, so it and the
//! password of its account, which Elasticsearch's stand-in cannot store, are left out.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use rustix::process::{Pid, Signal, kill_process};
use tahoe_tests::compose::Stack;
use tahoe_tests::documents::{Document, Documents as _, InElasticsearch, each_once};
use tahoe_tests::feed::{self, Feed, append_to, write_lines};
use tahoe_tests::wait::{until, until_it_rests};

/// What is up all the time.
const SERVERS: [&str; 5] = ["kafka", "elasticsearch", "laravel", "syslog", "transformer"];

/// What runs to its end before.
const STEPS: [&str; 3] = ["requirements", "certificates", "setup"];

/// So many that whatever dies has something in flight.
const LINES_PER_SECOND: u32 = 100;

/// What the Laravel producer brought.
const LARAVEL: &str = "event.dataset:laravel.log";

/// kill -9 of a container's process by its number, as a crash is: an engine does not start again what
/// it was told to kill itself.
fn crash(stack: &Stack, service: &str) {
    let before = stack.container(service);
    let pid = Pid::from_raw(before.pid()).expect("it runs");
    kill_process(pid, Signal::KILL).expect("it is our engine's");
    until(&format!("{service} comes back"), || {
        let now = stack.container(service);
        let back = now.is_healthy() && now.restarts() > before.restarts() && now.pid() > 0;
        if back { Ok(()) } else { Err(now.0["State"].to_string()) }
    });
}

/// What `--profile demo` adds, but for MySQL and MongoDB, whose images cannot be had here.
const DEMO: [&str; 5] = [
    "demo-laravel",
    "demo-laravel-reader",
    "demo-postgres",
    "demo-postgres-traffic",
    "demo-postgres-reader",
];

/// Each of the first `lines` is found once, and nothing else.
fn assert_each_once(documents: &InElasticsearch, lines: u64) {
    let expected = usize::try_from(lines).expect("few");
    until_it_rests("every line is found", || match documents.count(LARAVEL) {
        found if found >= expected => Ok(()),
        found => Err(found as u64),
    });
    each_once(documents.find(LARAVEL).iter().map(Document::number), 0..lines);
}

/// Identity and beginning of everything that runs.
fn running(stack: &Stack) -> Vec<(String, String)> {
    let of = |service: &&str| {
        let container = stack.container(service);
        (container.id().to_owned(), container.started_at().to_owned())
    };
    SERVERS.iter().map(of).collect()
}

#[test]
#[ignore = "needs an engine: tests/compose/run"]
fn what_is_written_is_found_once_while_every_container_crashes_and_volumes_are_used_again() {
    let stack = Stack::configured();
    stack.up(&SERVERS);
    for service in SERVERS {
        assert!(stack.container(service).is_healthy(), "{service}");
    }
    let documents = stack.documents();
    let file = stack.path("logs/laravel.log");
    let feed = Feed::into_file(&file, LINES_PER_SECOND, feed::laravel);
    documents.wait_for(LARAVEL, 100);

    let before = running(&stack);
    stack.up(&SERVERS);
    assert_eq!(running(&stack), before, "a second `up` changes nothing");

    for service in SERVERS {
        let written = feed.written();
        crash(&stack, service);
        println!("{service} is back; {} lines were written meanwhile", feed.written() - written);
    }
    let mut sender = TcpStream::connect(("127.0.0.1", stack.syslog_port)).expect("it is published");
    sender.write_all(feed::rfc5424(7).as_bytes()).expect("sent");
    drop(sender);
    documents.wait_for("event.dataset:system.syslog AND message:\"n=7 sent\"", 1);
    let lines = feed.finish();
    assert_each_once(&documents, lines);

    stack.compose(&["down"]);
    let mut file = append_to(&file);
    write_lines(&mut file, lines..lines + 500, feed::laravel);
    stack.up(&SERVERS);
    assert_each_once(&documents, lines + 500);
    println!("{} lines are there once, after crashes of {}", lines + 500, SERVERS.join(", "));
    assert_confined(&stack);
}

#[test]
#[ignore = "needs an engine: tests/compose/run"]
fn the_demonstration_makes_traffic_that_is_found() {
    let stack = Stack::configured();
    stack.up(&[&SERVERS[..], &DEMO].concat());
    let documents = stack.documents();
    for (query, count) in [
        ("event.dataset:laravel.log AND message:\"was paid\"", 5),
        ("event.dataset:postgresql.change AND event.action:insert", 2),
        ("event.dataset:postgresql.change AND event.action:update", 1),
    ] {
        documents.wait_for(query, count);
    }
}

/// What the compose file promises of our containers, as the engine has it.
fn assert_confined(stack: &Stack) {
    for service in SERVERS.iter().chain(&STEPS) {
        let container = stack.container(service);
        let host = &container.0["HostConfig"];
        assert_eq!(host["CapDrop"][0], "ALL", "{service}");
        assert_eq!(host["SecurityOpt"][0], "no-new-privileges:true", "{service}");
        assert_eq!(host["Privileged"], false, "{service}");
        let image = container.0["Config"]["Image"].as_str().unwrap_or_default();
        if image.starts_with("tahoe") {
            assert_eq!(host["ReadonlyRootfs"], true, "{service}");
            assert_eq!(container.0["Config"]["User"], "tahoe", "{service}");
        }
    }
    for step in STEPS {
        let state = stack.container(step).0["State"].clone();
        assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &0.into()), "{step}");
    }
}

#[test]
#[ignore = "needs an engine: tests/compose/run"]
fn it_does_not_start_while_passwords_are_unset() {
    let stack = Stack::of_the_example();
    let ended = stack.compose_with(&[], &["up", "--detach"]);
    assert!(!ended.status.success() && ended.stderr.contains("set it in .env"), "{}", ended.stderr);
    assert!(ended.stderr.contains("_PASSWORD"), "{}", ended.stderr);
}

#[test]
#[ignore = "needs an engine: tests/compose/run"]
fn a_busy_port_is_named() {
    let stack = Stack::configured();
    let listener = TcpListener::bind(("127.0.0.1", stack.kafka_port)).expect("it is free");
    let ended = stack.compose_with(&[], &["up", "--detach", "--no-build", "kafka"]);
    let port = format!("127.0.0.1:{}", stack.kafka_port);
    let named = ended.stderr.contains(&port) && ended.stderr.contains("address already in use");
    assert!(!ended.status.success() && named, "{}", ended.stderr);
    drop(listener);
}

#[test]
#[ignore = "needs an engine: tests/compose/run"]
fn too_few_maps_of_memory_are_named_with_what_to_do() {
    let stack = Stack::configured();
    std::fs::write(stack.path("maps"), "65530\n").expect("written");
    // The kernel's own number is this machine's, and not for a test to lower.
    let weak = format!(
        "services: {{requirements: {{entrypoint: [bash, /requirements.sh, /maps], \
         environment: {{ES_ALLOW_MMAP: \"true\"}}, volumes: [\"{}:/maps:ro\"]}}}}\n",
        stack.path("maps").display()
    );
    std::fs::write(stack.path("weak.yml"), weak).expect("written");
    let up = ["up", "--no-build", "requirements", "elasticsearch"];
    let ended = stack.compose_with(&["weak.yml"], &up);
    let said = ended.stdout + &ended.stderr;
    assert!(!ended.status.success(), "{said}");
    for part in ["vm.max_map_count is 65530", "sysctl -w vm.max_map_count=262144", "ES_ALLOW_MMAP"]
    {
        assert!(said.contains(part), "{said}");
    }
}
