//! The columns, and then the message's own list of what it is about.

use tahoe_seams::{Record, Rejection};

use super::framer;
use crate::find::{Find, find_iter};
use crate::time::{self, Stamp};
use crate::{Event, Parser, clf, fields, peer, url};

/// What may follow the client, in the order in which it is written.
const QUOTED: [&str; 6] = ["login", "request", "subrequest", "upstream", "host", "referrer"];

pub(super) struct ErrorRecord;

impl Parser for ErrorRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "web");
        event.set(fields::event::TYPE, "error");
        let text = event.text(record.bytes).trim_end();
        let stamp = time::parse_iso(text.as_bytes());
        let Some((stamp, length)) = stamp.filter(|_| framer::is_stamped(text.as_bytes())) else {
            event.time_assumed(self.stamp(record.context, record.read_at_ms));
            let said = text.strip_prefix("nginx: ").unwrap_or(text);
            let message = level(said, event);
            event.set(fields::MESSAGE, message);
            return Ok(());
        };
        event.time(stamp);
        let message = columns(&text[length + 1..], event);
        event.set(fields::MESSAGE, message);
        about(message, event);
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        time::parse_iso(context).map(|(stamp, _)| stamp)
    }
}

/// `[level] pid#tid: *connection message`; gives the message.
fn columns<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let text = level(text, event);
    let process = text.split_on(": ").and_then(|(process, rest)| {
        let (pid, tid) = process.split_on_byte(b'#')?;
        Some((pid.parse::<u32>().ok()?, tid.parse::<u64>().ok()?, rest))
    });
    let Some((pid, tid, rest)) = process else { return text };
    event.set(fields::process::PID, pid);
    event.set(fields::process::thread::ID, tid);
    let connection = rest.strip_prefix('*').and_then(|rest| {
        let (number, rest) = clf::word(rest);
        Some((number.parse::<u64>().ok()?, rest))
    });
    let Some((number, rest)) = connection else { return rest };
    event.set(fields::nginx::error::CONNECTION_ID, number);
    rest
}

/// Sets `[level] ` and gives what follows it.
fn level<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let split = text.strip_prefix('[').and_then(|text| text.split_on_byte(b']'));
    let Some((word, rest)) = split else { return text };
    let level = match word {
        "emerg" => "emergency",
        "crit" => "critical",
        "warn" => "warning",
        "alert" | "error" | "notice" | "info" | "debug" => word,
        _ => return text,
    };
    event.set_level(word, level);
    rest.trim_start()
}

/// `…, client: 192.0.2.1, server: shop, request: "…", host: "…"`, `, udp client: …` of a session of
/// UDP. Of several places that look so the first counts, since what the client sent comes after it.
fn about<'a>(message: &'a str, event: &mut Event<'a>) {
    let tcp = place(message, ", client: ").zip(Some(false));
    let place = tcp.or_else(|| place(message, ", udp client: ").zip(Some(true)));
    let Some(((address, mut rest), is_udp)) = place else {
        let udp = message.strip_prefix("udp ");
        let (stated, is_udp) = (udp.unwrap_or(message), udp.is_some());
        // `client 192.0.2.1:60868 connected to 0.0.0.0:3306`, `client 192.0.2.1 closed …`
        let first = stated.strip_prefix("client ").map_or("", |rest| clf::word(rest).0);
        return if client(first).is_some() {
            set_client(first, is_udp, event)
        };
    };
    set_client(address, is_udp, event);
    if let Some(after) = rest.strip_prefix(", server: ") {
        let (name, after) = split_plain(after);
        event.set_clean(fields::nginx::error::SERVER_NAME, name);
        rest = after;
    }
    for key in QUOTED {
        let value = rest.strip_prefix(", ").and_then(|rest| rest.strip_prefix(key));
        let value = value.and_then(|rest| rest.strip_prefix(": \""));
        let Some((value, after)) = value.and_then(split_quoted) else { continue };
        set(key, value, event);
        rest = after;
    }
    // The mail module quotes none.
    if let Some(upstream) = rest.strip_prefix(", upstream: ").filter(|text| !text.contains('"')) {
        set("upstream", upstream, event);
    }
}

/// The first client that such words name, and what follows it.
fn place<'a>(message: &'a str, words: &'static str) -> Option<(&'a str, &'a str)> {
    let mut places = find_iter(message.as_bytes(), words.as_bytes());
    places.find_map(|at| client(&message[at + words.len()..]))
}

/// An address and what follows it, if that is more of the list.
fn client(text: &str) -> Option<(&str, &str)> {
    let (address, rest) = split_plain(text);
    let bare = address.strip_prefix("unix:").map_or(address, |_| "::");
    let known = peer::ip(url::split_port(bare).0).is_some();
    (known && (rest.is_empty() || rest.starts_with(", "))).then_some((address, rest))
}

fn split_plain(text: &str) -> (&str, &str) {
    text.split_at(memchr::memchr2(b',', b'\n', text.as_bytes()).unwrap_or(text.len()))
}

/// A text up to a quote that ends the record or is followed by more of the list.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let goes_on = |rest: &str| {
        let key = rest.strip_prefix(", ").unwrap_or_default();
        let quoted = QUOTED
            .iter()
            .any(|name| key.strip_prefix(name).is_some_and(|value| value.starts_with(": \"")));
        // What the stream and mail modules add.
        let plain = ["bytes ", "server: ", "upstream: "].iter().any(|name| key.starts_with(name));
        rest.is_empty() || quoted || plain
    };
    let mut quotes = memchr::memchr_iter(b'"', text.as_bytes());
    let end = quotes.find(|at| goes_on(&text[at + 1..]))?;
    Some((&text[..end], &text[end + 1..]))
}

fn set_client<'a>(text: &'a str, is_udp: bool, event: &mut Event<'a>) {
    let (host, port) = url::split_port(text);
    peer::SOURCE.set(host, port, event);
    if is_udp {
        event.set(fields::network::TRANSPORT, "udp");
    }
}

fn set_request<'a>(text: &'a str, event: &mut Event<'a>) {
    if !clf::set_request(text, event) {
        event.set_clean(fields::url::ORIGINAL, text);
    }
}

fn set<'a>(key: &str, value: &'a str, event: &mut Event<'a>) {
    match key {
        "request" => set_request(value, event),
        "subrequest" => event.set(fields::nginx::error::SUBREQUEST, value),
        "upstream" => event.set(fields::nginx::error::UPSTREAM, value),
        "host" => url::set_host(value, event),
        "referrer" => {
            event.set_clean(fields::http::request::REFERRER, value);
        }
        "login" => {
            event.set_clean(fields::user::NAME, value);
        }
        _ => {}
    }
}
