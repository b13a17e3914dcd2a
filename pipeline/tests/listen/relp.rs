//! RELP: an answer is a promise, and a repetition is no second record.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tahoe_pipeline::listen::Listen;
use tahoe_pipeline::seams::{Batch, Source};

use crate::listen_support::{address, started};
use crate::texts_until;

/// One RELP frame.
pub fn frame(transaction: u32, text: &str) -> Vec<u8> {
    format!("{transaction} syslog {} {text}\n", text.len()).into_bytes()
}

pub fn answered(socket: &mut impl Read, transaction: u32) {
    let expected = format!("{transaction} rsp 6 200 OK\n");
    let mut found = vec![0; expected.len()];
    socket.read_exact(&mut found).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&found), expected);
}

/// Opens a session on a connection.
pub fn client<S: Read + Write>(mut socket: S) -> S {
    socket.write_all(b"1 open 14 relp_version=0\n").expect("write");
    let mut found = [0; 9];
    socket.read_exact(&mut found).expect("an answer");
    assert_eq!(&found[..6], b"1 rsp ");
    let mut rest = [0; 256];
    let read = socket.read(&mut rest).expect("offers");
    assert!(String::from_utf8_lossy(&rest[..read]).contains("commands=syslog"));
    socket
}

fn connect(listen: &Listen) -> TcpStream {
    let socket = TcpStream::connect(address(listen, 0)).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    client(socket)
}

/// A further connection that sends these frames, and what comes of them: so many records. Others
/// stay open.
fn sends(listen: &mut Listen, frames: &[Vec<u8>], count: usize) -> (TcpStream, Vec<String>, Batch) {
    let mut client = connect(listen);
    client.write_all(&frames.concat()).expect("write");
    let mut batch = Batch::new(1 << 20);
    let texts = texts_until(listen, &mut batch, count);
    (client, texts, batch)
}

#[test]
fn relp_answers_only_what_is_durable() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let frames = [frame(2, "<13>one"), frame(3, "<13>two")];
    let (mut client, texts, batch) = sends(&mut listen, &frames, 2);
    assert_eq!(texts, ["<13>one", "<13>two"]);
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
    let frames = [frame(2, "<13>one"), frame(3, "<13>two")];
    let (client, _, mut batch) = sends(&mut listen, &frames, 2);
    let stream = Arc::clone(&batch.streams()[0]);
    let first = batch.end();
    batch.next();
    drop(client);
    let mut client = connect(&listen);
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

#[test]
fn a_relp_client_that_pauses_in_its_repetition_repeats_without_doubling() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let frames = [frame(2, "<13>one"), frame(3, "<13>two")];
    let (client, _, mut batch) = sends(&mut listen, &frames, 2);
    batch.next();
    drop(client);
    let mut client = connect(&listen);
    client.write_all(&frame(2, "<13>one")).expect("write");
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    assert!(client.read(&mut [0; 16]).is_err(), "nothing is durable");
    let rest = [frame(3, "<13>two"), frame(4, "<13>new")].concat();
    client.write_all(&rest).expect("write");
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>new"]);
}

#[test]
fn a_sender_that_was_away_for_too_long_is_forgotten_with_its_position() {
    let flags = ["--syslog-relp", "127.0.0.1:0", "--syslog-relp-forget-after", "400ms"];
    let mut listen = started(&flags);
    let (mut client, _, mut batch) = sends(&mut listen, &[frame(2, "<13>one")], 1);
    let source = batch.streams()[0].origin.source;
    listen.release(batch.end()).expect("release");
    answered(&mut client, 2);
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(10);
    while batch.forgotten().is_empty() {
        assert!(Instant::now() < deadline, "it is remembered for ever");
        batch.next();
        listen.read(&mut batch, Duration::from_millis(50)).expect("read");
    }
    assert_eq!(batch.forgotten(), [source]);
    batch.next();
    let mut client = connect(&listen);
    client.write_all(&frame(2, "<13>one")).expect("write");
    texts_until(&mut listen, &mut batch, 1);
    assert_ne!(batch.streams()[0].origin.source, source);
}

#[test]
fn a_stop_takes_no_further_frame_and_still_answers_what_becomes_durable() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let (mut client, _, mut batch) = sends(&mut listen, &[frame(2, "<13>one")], 1);
    let end = batch.end();
    listen.close().expect("it closes");
    batch.next();
    listen.read(&mut batch, Duration::from_millis(50)).expect("read");
    assert!(batch.records().is_empty());
    listen.release(end).expect("release");
    drop(listen);
    answered(&mut client, 2);
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("closed in order");
    assert_eq!(rest, "0 serverclose 0\n");
}

#[test]
fn a_sender_that_comes_back_while_its_old_connection_seems_to_live_repeats_without_doubling() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let frames = [frame(2, "<13>one"), frame(3, "<13>two")];
    let (mut old, _, batch) = sends(&mut listen, &frames, 2);
    let source = batch.streams()[0].origin.source;
    let first = batch.end();
    // The sender has given its connection up, and nobody has told us.
    let again = [frame(2, "<13>one"), frame(3, "<13>two"), frame(4, "<13>new")];
    let (mut client, texts, mut later) = sends(&mut listen, &again, 1);
    assert_eq!(texts, ["<13>new"]);
    assert_eq!((later.streams()[0].origin.source, later.records()[0].start), (source, 2));
    let mut rest = Vec::new();
    old.read_to_end(&mut rest).expect("closed in order");
    assert!(rest.is_empty(), "answered on the old connection");
    listen.release(first).expect("release");
    answered(&mut client, 2);
    answered(&mut client, 3);
    client.write_all(&frame(5, "<13>on")).expect("write");
    later.next();
    assert_eq!(texts_until(&mut listen, &mut later, 1), ["<13>on"]);
}

#[test]
fn a_second_connection_of_a_host_that_happens_to_send_the_same_is_no_repetition() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let frames = [frame(2, "<13>one"), frame(3, "<13>same")];
    let (mut first, _, batch) = sends(&mut listen, &frames, 2);
    let end = batch.end();
    let (mut second, texts, later) = sends(&mut listen, &[frame(2, "<13>same")], 1);
    assert_eq!(texts, ["<13>same"], "the first still waits for an answer to `one`");
    listen.release(end).expect("release");
    answered(&mut first, 2);
    answered(&mut first, 3);
    listen.release(later.end()).expect("release");
    answered(&mut second, 2);
    let (_third, texts, _) = sends(&mut listen, &[frame(2, "<13>same")], 1);
    assert_eq!(texts, ["<13>same"], "both have all their answers");
}

#[test]
fn answers_that_the_senders_machine_did_not_take_are_no_answers() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(1024).expect("a small buffer");
    socket.connect(&address(&listen, 0).into()).expect("connect");
    let mut old = client(TcpStream::from(socket));
    // The answers to so many fill what the kernel keeps for a reader that does not come.
    let count = 1_000;
    let frames: Vec<u8> = (0..count).flat_map(|n| frame(n + 2, &format!("<13>{n}"))).collect();
    old.write_all(&frames).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, count as usize);
    listen.release(batch.end()).expect("release");
    // Once the first answer is there, all are written.
    answered(&mut old, 2);
    let last = [frame(2, &format!("<13>{}", count - 1)), frame(3, "<13>new")];
    let (mut client, texts, later) = sends(&mut listen, &last, 1);
    assert_eq!(texts, ["<13>new"]);
    answered(&mut client, 2);
    listen.release(later.end()).expect("release");
    answered(&mut client, 3);
}

#[test]
fn what_is_held_to_tell_a_repetition_counts_to_what_connections_may_grow_by() {
    let flags = ["--syslog-relp", "127.0.0.1:0", "--syslog-queue-bytes-max", "65536"];
    let mut listen = started(&flags);
    let long = |n: u32| format!("<13>{n:040000}");
    let frames = [frame(2, &long(0)), frame(3, &long(1)), frame(4, &long(2))];
    let (old, _, mut batch) = sends(&mut listen, &frames, 3);
    drop(old);
    // Held as a repetition of all three until the third differs: more than there is room for.
    let mut held = connect(&listen);
    let frames = [frame(2, &long(0)), frame(3, &long(1)), frame(4, &long(9))].concat();
    held.write_all(&frames).expect("write");
    let mut rest = Vec::new();
    held.read_to_end(&mut rest).expect("closed, so that it comes again");
    assert!(rest.is_empty());
    // Nothing is left to compare it with, and nothing is lost.
    let mut again = connect(&listen);
    again.write_all(&frames).expect("write");
    batch.next();
    assert_eq!(texts_until(&mut listen, &mut batch, 3), [long(0), long(1), long(9)]);
}
