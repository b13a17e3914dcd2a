//! What a sender may not take: memory, connections, time.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use tahoe_pipeline::seams::{Batch, Source};

use crate::listen_support::{address, started};
use crate::texts_until;

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
fn a_datagram_over_the_limit_is_split_too() {
    let mut listen =
        started(&["--syslog", "udp://127.0.0.1:0", "--syslog-message-bytes-max", "1000"]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let text: String = ('a'..='z').cycle().take(2500).collect();
    socket.send_to(text.as_bytes(), address(&listen, 0)).expect("send");
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 3).concat(), text);
    let parts = batch.records().iter().map(|raw| raw.part.map(|part| (part.index, part.last)));
    assert!(parts.eq([Some((0, false)), Some((1, false)), Some((2, true))]));
}

#[test]
fn a_connection_over_the_limit_waits_for_one_to_end_and_loses_nothing() {
    let mut listen = started(&["--syslog", "tcp://127.0.0.1:0", "--syslog-connections-max", "1"]);
    let mut first = TcpStream::connect(address(&listen, 0)).expect("connect");
    first.write_all(b"<13>first\n").expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 1);
    let mut second = TcpStream::connect(address(&listen, 0)).expect("the kernel takes it");
    second.write_all(b"<13>second\n").expect("write");
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        listen.read(&mut batch, Duration::from_millis(50)).expect("read");
        assert_eq!(batch.records().len(), 1, "it is served though there is no room");
    }
    drop(first);
    assert_eq!(texts_until(&mut listen, &mut batch, 2), ["<13>first", "<13>second"]);
}

#[test]
fn a_silent_relp_connection_is_closed_once_it_has_its_answers() {
    let flags = ["--syslog-relp", "127.0.0.1:0", "--syslog-idle-time", "600ms"];
    let mut listen = started(&flags);
    let mut client = crate::relp::client(TcpStream::connect(address(&listen, 0)).expect("connect"));
    client.write_all(&crate::relp::frame(2, "<13>one")).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 1);
    client.set_read_timeout(Some(Duration::from_millis(1200))).expect("a timeout");
    assert!(client.read(&mut [0]).is_err(), "closed though an answer is due");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    listen.release(batch.end()).expect("release");
    crate::relp::answered(&mut client, 2);
    assert_eq!(client.read(&mut [0]).expect("closed in order"), 0);
}

#[test]
fn drops_up_to_the_close_are_counted_in_what_is_read_after_it() {
    let flags = ["--syslog", "udp://127.0.0.1:0", "--syslog-queue-bytes-max", "65536"];
    let mut listen = started(&[&flags[..], &["--syslog-udp-buffer-bytes", "4096"]].concat());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sent = 5000u64;
    for n in 0..sent {
        socket.send_to(format!("<13>{n:0100}").as_bytes(), address(&listen, 0)).expect("send");
    }
    listen.close().expect("it closes");
    let mut batch = Batch::new(16 << 20);
    let (mut read, mut dropped) = (0, 0);
    loop {
        listen.read(&mut batch, Duration::from_millis(50)).expect("read");
        if batch.is_empty() {
            break;
        }
        read += batch.records().len() as u64;
        dropped += batch.dropped();
        batch.next();
    }
    assert_eq!(read + dropped, sent, "{read} read, {dropped} dropped");
    assert!(dropped > 0 && read > 0);
}
