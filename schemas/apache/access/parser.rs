//! One pass from left to right; every value borrows from the line unless Apache escaped it.

use tahoe_seams::{Record, Rejection};

use crate::clf::{self, Addresses, Line, Peers};
use crate::datasets::app_json;
use crate::fields::apache::access::FIELDS;
use crate::find::Find;
use crate::{Event, Parser, fields, peer, url};

pub(super) struct AccessLine;

impl Parser for AccessLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "web");
        event.set(fields::event::TYPE, "access");
        let text = event.text(record.bytes).trim_end();
        if text.starts_with('{') && app_json::set_access(text, FIELDS, event) {
            return Ok(());
        }
        if let Some(line) = Line::parse(text).ok().or_else(|| time_first(text)) {
            line.set(event);
            set_request(line.request, event);
            let forwarded = set_rest(&line, event);
            set_peers(&Peers::parse(line.peers), &forwarded, event);
        } else if ssl_request(text, event).is_none() {
            match clf::timed(text) {
                Ok((_, stamp, _)) => event.time(stamp),
                Err(_) => event.time_assumed(None),
            }
            event.set(fields::MESSAGE, text);
        }
        Ok(())
    }
}

/// `[time] client identity user "request" status bytes …`, if the identity is no protocol.
fn time_first(text: &str) -> Option<Line<'_>> {
    let line = Line::parse_time_first(text)?;
    let identity = clf::word(clf::word(line.peers).1).0;
    (!identity.is_empty() && !identity.starts_with("TLS") && !identity.starts_with("SSL"))
        .then_some(line)
}

/// `[time] client protocol cipher "request" bytes`; nothing is set if the line is another.
fn ssl_request<'a>(text: &'a str, event: &mut Event<'a>) -> Option<()> {
    let (before, stamp, end) = clf::timed(text).ok()?;
    let (client, rest) = clf::word(&text[end..]);
    let (protocol, rest) = clf::word(rest);
    let (cipher, rest) = clf::word(rest);
    let (request, rest) = clf::quoted(rest.trim_start())?;
    let (bytes, rest) = clf::word(rest);
    let bytes = clf::count(bytes).filter(|_| before.is_empty())?;
    event.time(stamp);
    set_address(client, event);
    set_request(request, event);
    clf::set_bytes(bytes, event);
    if event.set_clean(fields::apache::access::ssl::CIPHER, cipher) {
        event.set(fields::tls::CIPHER, cipher);
    }
    if event.set_clean(fields::apache::access::ssl::PROTOCOL, protocol) {
        set_protocol(protocol, event);
    }
    if !rest.trim().is_empty() {
        event.set(fields::MESSAGE, rest.trim());
    }
    Some(())
}

/// `TLSv1.2`, `TLSv1`, `SSLv3`
fn set_protocol<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((name, version)) = text.split_on_byte(b'v') else { return };
    event.set(fields::tls::VERSION_PROTOCOL, event.lower_case(name));
    let version = match version.contains('.') {
        true => version,
        false => event.format(format_args!("{version}.0")),
    };
    event.set(fields::tls::VERSION, version);
}

fn set_request<'a>(text: &'a str, event: &mut Event<'a>) {
    // No request begins with such a byte. Mostly it is a TLS handshake on a port that speaks
    // without, and Elastic's documents have what else there is in the same field.
    if text.starts_with("\\x") {
        event.set(fields::apache::access::tls_handshake::ERROR, text);
        return;
    }
    let request = clf::unescaped(text, event);
    if !clf::set_request(request, event) {
        event.set_clean(fields::url::ORIGINAL, request);
    }
}

/// What follows the known columns; gives the addresses among it.
fn set_rest<'a>(line: &Line<'a>, event: &mut Event<'a>) -> Addresses<'a> {
    if let Some(time) = line.response_time {
        match time.parse::<u64>() {
            Ok(time) => event.set(fields::apache::access::RESPONSE_TIME, time),
            Err(_) => event.set(fields::MESSAGE, time),
        }
    }
    match line.forwarded() {
        _ if line.rest.is_empty() => {}
        Some((forwarded, rest)) => {
            forwarded.set(line.rest, event);
            if let Some(client) = clf::client_of(&forwarded.addresses) {
                event.set(fields::client::IP, client);
            }
            if !rest.is_empty() {
                event.set(fields::MESSAGE, rest);
            }
            return forwarded.addresses;
        }
        None => match line.transferred() {
            Some((received, sent)) => {
                event.set(fields::http::request::BYTES, received);
                event.set(fields::http::response::BYTES, sent);
            }
            None => event.set(fields::MESSAGE, line.rest),
        },
    }
    Addresses::new()
}

fn set_peers<'a>(peers: &Peers<'a>, forwarded: &[&'a str], event: &mut Event<'a>) {
    peers.set_host(event);
    // A virtual host may be called by its address.
    if let Some(ip) = event.get_str(fields::destination::IP) {
        event.set(fields::destination::DOMAIN, ip);
    }
    event.set_clean(fields::apache::access::IDENTITY, peers.identity);
    // An empty name is written in quotes.
    let user = if peers.user == "\"\"" { "" } else { clf::unescaped(peers.user, event) };
    event.set_clean(fields::user::NAME, user);
    let source = match peers.addresses.len() {
        0 | 1 => peers.addresses.first().copied().unwrap_or_default(),
        _ => clf::client_of(&peers.addresses).unwrap_or_default(),
    };
    set_address(source, event);
    let mut all = event.list::<&'a str>();
    all.extend_from_slice(forwarded);
    all.extend(peers.addresses.iter().copied().filter(|address| *address != "-"));
    if all.is_empty() {
        return;
    }
    let mut ips = event.list::<&'a str>();
    for address in &all {
        ips.extend(peer::ip(url::split_port(address).0));
    }
    if !ips.is_empty() {
        event.set(fields::related::IP, ips.into_bump_slice());
    }
    event.set(fields::apache::access::REMOTE_ADDRESSES, all.into_bump_slice());
}

/// The client's address or name, perhaps with a port.
fn set_address<'a>(text: &'a str, event: &mut Event<'a>) {
    let (address, port) = url::split_port(text);
    peer::SOURCE.set(address, port, event);
}
