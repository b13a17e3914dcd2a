//! The listener against raw sockets: every framing, every limit, every message of refusal.

mod listen_support;

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
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
fn a_long_message_is_split_and_nothing_of_it_is_lost() {
    let limit = ["--syslog", "tcp://127.0.0.1:0", "--syslog-message-bytes-max", "1000"];
    let mut listen = started(&limit);
    let text: String = ('a'..='z').cycle().take(10_500).collect();
    let mut socket = TcpStream::connect(address(&listen, 0)).expect("connect");
    socket.write_all(format!("{text}\n").as_bytes()).expect("write");
    let mut batch = Batch::new(1 << 20);
    let texts = texts_until(&mut listen, &mut batch, 11);
    assert_eq!(texts.concat(), text);
    let last: Vec<bool> =
        batch.records().iter().map(|raw| raw.part.expect("a part").last).collect();
    assert_eq!(last.iter().filter(|last| **last).count(), 1);
    assert_eq!(last.last(), Some(&true));
}

#[test]
fn a_full_queue_slows_a_sender_down_and_loses_nothing() {
    let mut listen =
        started(&["--syslog", "tcp://127.0.0.1:0", "--syslog-queue-bytes-max", "65536"]);
    let target = address(&listen, 0);
    let (sender, progress) = std::sync::mpsc::channel();
    let lines = 400_000;
    let writing = std::thread::spawn(move || {
        let mut socket = TcpStream::connect(target).expect("connect");
        for block in 0..lines / 1000 {
            let text: String =
                (0..1000).map(|n| format!("<13>{:060}\n", block * 1000 + n)).collect();
            socket.write_all(text.as_bytes()).expect("write");
            let _ = sender.send(block);
        }
    });
    // Blocked: no progress for a while, far from the end. (26 MB do not fit into the kernel.)
    while progress.recv_timeout(Duration::from_millis(500)).is_ok() {}
    assert!(!writing.is_finished());
    let mut batch = Batch::new(1 << 20);
    let mut next = 0u64;
    while next < lines {
        listen.read(&mut batch, Duration::from_secs(10)).expect("read");
        for raw in batch.records() {
            let text = std::str::from_utf8(&batch.bytes(raw)[4..]).expect("digits");
            assert_eq!(text.parse(), Ok(next));
            next += 1;
        }
        batch.next();
    }
    writing.join().expect("the writer is through");
}

#[test]
fn datagrams_that_the_kernel_drops_are_counted() {
    let mut listen = started(&[
        "--syslog",
        "udp://127.0.0.1:0",
        "--syslog-queue-bytes-max",
        "65536",
        "--syslog-udp-buffer-bytes",
        "65536",
    ]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sent = 20_000u64;
    for n in 0..sent {
        socket.send_to(format!("<13>{n:0100}").as_bytes(), address(&listen, 0)).expect("send");
    }
    let mut batch = Batch::new(64 << 10);
    let (mut read, mut dropped) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while read + dropped < sent {
        assert!(Instant::now() < deadline, "{read} read, {dropped} dropped");
        listen.read(&mut batch, Duration::from_millis(100)).expect("read");
        read += batch.records().len() as u64;
        dropped += batch.dropped();
        batch.next();
    }
    assert_eq!(read + dropped, sent);
    assert!(dropped > 0);
}

#[test]
fn a_silent_connection_is_closed_and_makes_room_for_the_next() {
    let mut listen = started(&[
        "--syslog",
        "tcp://127.0.0.1:0",
        "--syslog-idle-time",
        "200ms",
        "--syslog-connections-max",
        "1",
    ]);
    let mut silent = TcpStream::connect(address(&listen, 0)).expect("connect");
    let mut waiting = TcpStream::connect(address(&listen, 0)).expect("connect");
    waiting.write_all(b"<13>patient\n").expect("write");
    assert_eq!(silent.read(&mut [0]).expect("closed in order"), 0);
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>patient"]);
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

#[test]
fn an_expired_certificate_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let cert = params.self_signed(&key).expect("signed");
    let (cert_path, key_path) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert_path, cert.pem()).expect("write");
    std::fs::write(&key_path, key.serialize_pem()).expect("write");
    let (cert, key) = (cert_path.display().to_string(), key_path.display().to_string());
    let flags =
        ["--syslog-tls", "127.0.0.1:0", "--syslog-tls-cert", &cert, "--syslog-tls-key", &key];
    let error = Listen::bind(&args(&flags), template()).err().expect("it is expired");
    let text = error.to_string();
    assert!(text.contains("--syslog-tls-cert") && text.contains("expired at 2021-01-01"), "{text}");
}

/// One RELP frame.
fn frame(transaction: u32, text: &str) -> Vec<u8> {
    format!("{transaction} syslog {} {text}\n", text.len()).into_bytes()
}

fn answered(socket: &mut TcpStream, transaction: u32) {
    let expected = format!("{transaction} rsp 6 200 OK\n");
    let mut found = vec![0; expected.len()];
    socket.read_exact(&mut found).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&found), expected);
}

fn relp_client(listen: &Listen) -> TcpStream {
    let mut socket = TcpStream::connect(address(listen, 0)).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket.write_all(b"1 open 14 relp_version=0\n").expect("write");
    let mut found = [0; 9];
    socket.read_exact(&mut found).expect("an answer");
    assert_eq!(&found[..6], b"1 rsp ");
    let mut rest = [0; 256];
    let read = socket.read(&mut rest).expect("offers");
    assert!(String::from_utf8_lossy(&rest[..read]).contains("commands=syslog"));
    socket
}

#[test]
fn relp_answers_only_what_is_durable() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let mut client = relp_client(&listen);
    client.write_all(&[frame(2, "<13>one"), frame(3, "<13>two")].concat()).expect("write");
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 2), ["<13>one", "<13>two"]);
    client.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(client.read(&mut [0; 16]).is_err(), "answered before it was durable");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    listen.release(batch.end()).expect("release");
    answered(&mut client, 2);
    answered(&mut client, 3);
    client.write_all(b"4 close 0\n").expect("write");
    answered(&mut client, 4);
}

#[test]
fn a_relp_client_that_reconnects_repeats_without_doubling() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let mut client = relp_client(&listen);
    client.write_all(&[frame(2, "<13>one"), frame(3, "<13>two")].concat()).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 2);
    let stream = Arc::clone(&batch.streams()[0]);
    let first = batch.end();
    batch.next();
    drop(client);
    let mut client = relp_client(&listen);
    let again = [frame(2, "<13>one"), frame(3, "<13>two"), frame(4, "<13>new")].concat();
    client.write_all(&again).expect("write");
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>new"]);
    assert_eq!(batch.streams()[0].origin.source, stream.origin.source);
    assert_eq!(batch.records()[0].start, 2);
    listen.release(first).expect("release");
    answered(&mut client, 2);
    answered(&mut client, 3);
    listen.release(batch.end()).expect("release");
    answered(&mut client, 4);
}
