//! The listener against raw sockets and real rsyslog: every framing, every limit, every message of
//! refusal.

#[path = "../listen_support/mod.rs"]
mod listen_support;

mod certificates;
mod limits;
mod relp;
mod rsyslog;
mod tls;

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use listen_support::{address, args, started, template};
use tahoe_pipeline::listen::Listen;
use tahoe_pipeline::seams::{Batch, Source};

/// Reads into one batch until it has `count` records.
fn texts_until(listen: &mut Listen, batch: &mut Batch, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while batch.records().len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records", batch.records().len());
        listen.read(batch, Duration::from_millis(100)).expect("read");
    }
    let text = |raw| String::from_utf8_lossy(batch.bytes(raw)).into_owned();
    batch.records().iter().map(text).collect()
}

#[test]
fn a_datagram_is_a_record_and_its_sender_the_key() {
    let mut listen = started(&["--syslog", "udp://127.0.0.1:0"]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for text in ["<13>one\n", "<13>two\0", "\n", "<13>three"] {
        socket.send_to(text.as_bytes(), address(&listen, 0)).expect("send");
    }
    let mut batch = Batch::new(1 << 20);
    let texts = texts_until(&mut listen, &mut batch, 3);
    assert_eq!(texts, ["<13>one", "<13>two", "<13>three"]);
    let stream = &batch.streams()[0];
    assert_eq!((stream.key.as_slice(), stream.resumable), (&b"127.0.0.1"[..], false));
    assert_eq!(stream.origin.path, listen.addresses()[0]);
    assert_eq!(batch.records().last().map(|raw| (raw.start, raw.end)), Some((2, 3)));
}

#[test]
fn connections_of_both_framings_are_told_apart_and_have_streams_of_their_own() {
    let mut listen = started(&["--syslog", "tcp://127.0.0.1:0"]);
    let mut lines = TcpStream::connect(address(&listen, 0)).expect("connect");
    let mut counted = TcpStream::connect(address(&listen, 0)).expect("connect");
    lines.write_all(b"<13>a\n<13>b\r\n<13>unfinished").expect("write");
    counted.write_all(b"7 <13>a\nb5 <13>c").expect("write");
    drop((lines, counted));
    let mut batch = Batch::new(1 << 20);
    let mut texts = texts_until(&mut listen, &mut batch, 5);
    texts.sort_unstable();
    assert_eq!(texts, ["<13>a", "<13>a\nb", "<13>b", "<13>c", "<13>unfinished"]);
    let sources: std::collections::HashSet<_> =
        batch.streams().iter().map(|stream| stream.origin.source).collect();
    assert_eq!(sources.len(), 2);
}

#[test]
fn a_taken_port_and_a_missing_certificate_name_the_flag() {
    let refusal = |flags: &[&str]| match Listen::bind(&args(flags), template()) {
        Ok(_) => panic!("{flags:?} was accepted"),
        Err(error) => error.to_string(),
    };
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("bound").to_string();
    let text = refusal(&["--syslog", &address]);
    assert!(text.starts_with(&format!("--syslog {address}: address already in use")), "{text}");
    let text = refusal(&["--syslog-tls", "127.0.0.1:0"]);
    assert!(text.starts_with("--syslog-tls-cert is not set"), "{text}");
    let missing = [
        "--syslog-tls",
        "127.0.0.1:0",
        "--syslog-tls-cert",
        "/nonexistent",
        "--syslog-tls-key",
        "/x",
    ];
    assert!(refusal(&missing).contains("--syslog-tls-cert: cannot use /nonexistent"));
    assert!(refusal(&["--syslog", "5514"]).contains("give HOST:PORT"));
}
