//! The producer loop: when it is asked to stop, with real sockets and a log that can be held up, and
//! under a feed that goes on where the log failed.

#[path = "../listen_support/mod.rs"]
mod listen_support;
mod poll;
mod replicate;
mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use listen_support::{address, bind, started};
use support::{Loop, TOPIC, Watched};
use tahoe_pipeline::listen::Listen;
use tahoe_pipeline::positions::{self, Position, Segment};
use tahoe_pipeline::retry::EndedEarly;
use tahoe_pipeline::seams::{
    Batch, BatchEnd, Known, Log as _, Origin, Source, SourceError, SourceId, Stream,
};

/// A listener whose loop is held up in its first append, with a small queue.
fn held_up(scheme: &str) -> (Arc<Watched>, Loop, std::net::SocketAddr) {
    let at = format!("{scheme}://127.0.0.1:0");
    let listen: Listen = bind(&["--syslog", &at, "--syslog-queue-bytes-max", "65536"]);
    let target = address(&listen, 0);
    let log = Watched::new();
    log.hold();
    let running = Loop::start(&log, listen);
    (log, running, target)
}

#[test]
fn a_stop_loses_no_datagram_that_the_kernel_or_the_queue_holds() {
    let (log, running, target) = held_up("udp");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let texts: Vec<String> = (0..600).map(|n| format!("<13>{n:0100}")).collect();
    socket.send_to(texts[0].as_bytes(), target).expect("send");
    log.wait_until_held();
    for text in &texts[1..] {
        socket.send_to(text.as_bytes(), target).expect("send");
    }
    running.stop.ask();
    log.let_go();
    let counts = Arc::clone(&running.counts);
    running.join().expect("it stops in order");
    assert_eq!(log.texts(), texts);
    assert_eq!((counts.read.get(), counts.appended.get(), counts.dropped.get()), (600, 600, 0));
}

#[test]
fn a_stop_loses_nothing_that_a_connection_has_brought_and_takes_no_further_one() {
    let (log, running, target) = held_up("tcp");
    let texts: Vec<String> = (0..3000).map(|n| format!("<13>{n:0100}")).collect();
    let mut socket = TcpStream::connect(target).expect("connect");
    socket.write_all(format!("{}\n", texts[0]).as_bytes()).expect("write");
    log.wait_until_held();
    socket.write_all((texts[1..].join("\n") + "\n").as_bytes()).expect("write");
    running.stop.ask();
    log.let_go();
    running.join().expect("it stops in order");
    assert_eq!(log.texts(), texts);
    TcpListener::bind(target).expect("the address is free again");
}

#[test]
fn a_closed_listener_frees_its_addresses_even_if_nobody_ever_spoke() {
    let mut listen = started(&["--syslog", "127.0.0.1:0", "--syslog-relp", "127.0.0.1:0"]);
    let addresses = [1, 2].map(|index| address(&listen, index));
    let silent = addresses.map(|target| TcpStream::connect(target).expect("connect"));
    listen.close().expect("it closes");
    let mut batch = Batch::new(1 << 20);
    listen.read(&mut batch, Duration::from_millis(5)).expect("read");
    assert!(batch.records().is_empty());
    for target in addresses {
        TcpListener::bind(target).expect("the address is free again");
    }
    drop(silent);
}

#[test]
fn what_a_listener_held_when_the_log_failed_is_counted_as_dropped() {
    let (log, running, target) = held_up("udp");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(b"<13>0", target).expect("send");
    log.wait_until_held();
    for n in 1..500 {
        socket.send_to(format!("<13>{n}").as_bytes(), target).expect("send");
    }
    log.fill();
    log.let_go();
    let counts = Arc::clone(&running.counts);
    let error = running.join().expect_err("the log failed");
    assert!(matches!(error, EndedEarly::Again(_)), "{error}");
    assert_eq!((counts.read.get(), counts.dropped.get(), counts.undone.get()), (500, 500, 0));
}

#[test]
fn what_is_read_again_after_the_log_failed_is_counted_as_undone() {
    let log = Watched::new();
    log.fill();
    let source = Scripted { at_once: true, ..Scripted::new(1, true) };
    let running = Loop::start(&log, source);
    let counts = Arc::clone(&running.counts);
    running.join().expect_err("the log failed");
    assert_eq!((counts.read.get(), counts.dropped.get(), counts.undone.get()), (1, 0, 1));
}

#[test]
fn what_recovery_made_certain_is_not_looked_for_again_though_its_stream_stays_silent() {
    let log = Watched::new();
    let source = SourceId([9; 16]);
    let unclean = Position {
        source,
        generation: 0,
        next: 100,
        context: Vec::new(),
        segments: vec![Segment(0, 1 << 20, 1_700_000_000_000)],
        topic: TOPIC.to_owned(),
        partition: 1,
        scan_from: 0,
        clean: false,
        identity: serde_json::json!({"path": "/x"}),
    };
    let stored = (positions::key("host/test", source), Some(unclean.encode(0)));
    log.store_positions(&[stored]).expect("stored");
    for _ in 0..3 {
        log.fence(TOPIC, 1).expect("something to read again");
    }
    let running = Loop::start(&log, Scripted::new(0, true));
    running.stop.ask();
    running.join().expect("it stops in order");
    let stored = positions::of_owner("host/test", &log.positions().expect("readable"), None);
    let found = stored.expect("of this version").remove(0);
    assert!(found.clean, "{found:?}");
    assert_eq!((found.next, found.scan_from), (100, 3));
    assert_eq!(found.segments, unclean.segments, "its times stand");
}

/// Gives what it holds, one record a read, when it is closed or at once.
struct Scripted {
    stream: Arc<Stream>,
    left: u64,
    next: u64,
    closed: bool,
    at_once: bool,
    forgets: bool,
}

impl Scripted {
    fn new(left: u64, resumable: bool) -> Self {
        let source = SourceId([7; 16]);
        let origin = Origin { source, dataset: "system.syslog".into(), ..Origin::default() };
        let stream =
            Stream { origin, topic: TOPIC.into(), key: b"k".to_vec(), lane: None, resumable };
        Self {
            stream: Arc::new(stream),
            left,
            next: 0,
            closed: false,
            at_once: false,
            forgets: false,
        }
    }
}

impl Source for Scripted {
    fn resume(&mut self, _known: Vec<Known>) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, batch: &mut Batch, wait: Duration) -> Result<(), SourceError> {
        if !(self.closed || self.at_once) || self.left == 0 {
            std::thread::park_timeout(wait);
            return Ok(());
        }
        self.left -= 1;
        let index = batch.stream(&self.stream);
        let text = format!("{:05}", self.next);
        batch.push(index, (self.next, self.next + 1), text.as_bytes(), &[], &[], 1, None);
        self.next += 1;
        if self.forgets && self.left == 0 {
            batch.forget(self.stream.origin.source);
        }
        Ok(())
    }

    fn release(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), SourceError> {
        assert!(!self.closed, "it is closed once");
        self.closed = true;
        Ok(())
    }
}

#[test]
fn a_source_is_closed_once_and_read_until_it_gives_nothing() {
    let log = Watched::new();
    let running = Loop::start(&log, Scripted::new(30, true));
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_eq!(log.texts().len(), 30);
    let last = log.stored().pop().and_then(|(_, value)| value).expect("a position");
    let last: serde_json::Value = serde_json::from_slice(&last).expect("JSON");
    assert_eq!((&last["next"], &last["clean"]), (&30.into(), &true.into()));
}

#[test]
fn a_second_request_stops_a_source_that_has_no_end() {
    let log = Watched::new();
    let running = Loop::start(&log, Scripted::new(u64::MAX, true));
    running.stop.ask();
    let deadline = Instant::now() + Duration::from_secs(10);
    while running.counts.appended.get() == 0 {
        assert!(Instant::now() < deadline, "nothing was read after the close");
        std::thread::yield_now();
    }
    let asked = Instant::now();
    running.stop.ask();
    // What was in flight, if anything was, is left for the next start to find.
    let ended = running.join();
    assert!(matches!(ended, Ok(()) | Err(EndedEarly::Again(_))), "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_was_never_stored_is_not_removed_and_what_was_is() {
    for resumable in [false, true] {
        let log = Watched::new();
        let source = Scripted { forgets: true, ..Scripted::new(3, resumable) };
        let running = Loop::start(&log, source);
        running.stop.ask();
        running.join().expect("it stops in order");
        assert_eq!(log.texts().len(), 3);
        let removals = log.stored().iter().filter(|(_, value)| value.is_none()).count();
        assert_eq!(removals, usize::from(resumable), "{:?}", log.stored());
    }
}
