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

#[test]
fn relp_answers_only_what_is_durable() {
    let mut listen = started(&["--syslog-relp", "127.0.0.1:0"]);
    let mut client = connect(&listen);
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
    let mut client = connect(&listen);
    client.write_all(&[frame(2, "<13>one"), frame(3, "<13>two")].concat()).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 2);
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
fn a_sender_that_was_away_for_too_long_is_forgotten_with_its_position() {
    let flags = ["--syslog-relp", "127.0.0.1:0", "--syslog-relp-forget-after", "400ms"];
    let mut listen = started(&flags);
    let mut client = connect(&listen);
    client.write_all(&frame(2, "<13>one")).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 1);
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
    let mut client = connect(&listen);
    client.write_all(&frame(2, "<13>one")).expect("write");
    let mut batch = Batch::new(1 << 20);
    texts_until(&mut listen, &mut batch, 1);
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
