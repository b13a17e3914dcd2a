//! One pass from left to right; every value borrows from the line unless nginx escaped it.

use std::net::IpAddr;

use tahoe_seams::{Record, Rejection};

use crate::{Event, Parser, fields, time};

pub(super) struct AccessLine;

impl Parser for AccessLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let line = event.text(record.bytes);
        let Some(bracket) = line.find('[') else {
            return Err(Rejection::whole("no_timestamp", "no [time] in the line"));
        };
        let at = bracket + 1;
        let Some((stamp, length)) = time::parse_clf(&line.as_bytes()[at..]) else {
            let reason = "the time is not dd/Mmm/yyyy:hh:mm:ss ±hhmm";
            return Err(Rejection::at("bad_timestamp", reason, at));
        };
        event.time(stamp);
        client(line[..bracket].trim_end(), event);

        let malformed = |reason| Rejection::at("malformed", reason, at + length);
        let Some((request, rest)) =
            line[at + length..].strip_prefix("] ").and_then(|rest| quoted(rest, event))
        else {
            return Err(malformed("no quoted request after the time"));
        };
        self::request(request, event);
        let mut words = rest.trim_start().splitn(3, ' ');
        let status: Option<u16> = words.next().and_then(|word| word.parse().ok());
        let bytes = words.next().unwrap_or_default();
        let Some(status) = status else {
            return Err(malformed("no status after the request"));
        };
        event.set(fields::http::response::STATUS_CODE, status);
        match bytes.parse::<u64>() {
            Ok(bytes) => event.set(fields::http::response::body::BYTES, bytes),
            Err(_) if bytes == "-" => event.null_removed(fields::http::response::body::BYTES),
            Err(_) => return Err(malformed("no number of bytes after the status")),
        }
        let outcome = if status < 400 { "success" } else { "failure" };
        event.set(fields::event::OUTCOME, outcome);
        event.set(fields::event::CATEGORY, "web");
        event.set(fields::event::TYPE, "access");
        let rest = words.next().unwrap_or_default();
        if let Some((referrer, rest)) = quoted(rest, event) {
            event.set_clean(fields::http::request::REFERRER, referrer);
            if let Some((agent, _)) = quoted(rest.trim_start(), event) {
                event.set_clean(fields::user_agent::ORIGINAL, agent);
            }
        }
        Ok(())
    }
}

/// `[host ]address[, address…] - user`
fn client<'a>(text: &'a str, event: &mut Event<'a>) {
    let (addresses, user) = text.split_once(" - ").unwrap_or((text, "-"));
    event.set_clean(fields::user::NAME, user);
    let mut ips = event.list::<&'a str>();
    let mut public = None;
    let words = addresses.split([' ', ',']).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        match word.trim_matches(['"', '[', ']']).parse::<IpAddr>() {
            Ok(ip) => {
                ips.push(word);
                if public.is_none() && !is_private(ip) {
                    public = Some(word);
                }
            }
            Err(_) if index == 0 && addresses.contains(' ') => {
                event.set(fields::destination::DOMAIN, word);
                event.set(fields::url::DOMAIN, word);
            }
            Err(_) => event.set_if_absent(fields::source::ADDRESS, word),
        }
    }
    let ips = ips.into_bump_slice();
    let Some(ip) = public.or(ips.first().copied()) else { return };
    event.set(fields::source::ADDRESS, ip);
    event.set(fields::source::IP, ip);
    event.set(fields::related::IP, ips);
    event.set(fields::nginx::access::REMOTE_IP_LIST, ips);
}

/// Among several addresses the client's is the first that is not a proxy's.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// `GET /path?query HTTP/1.1`; what a client sent that is not HTTP is kept as `url.original`.
fn request<'a>(text: &'a str, event: &mut Event<'a>) {
    let parts = text.split_once(' ').and_then(|(method, rest)| {
        let (target, version) = rest.rsplit_once(" HTTP/")?;
        Some((method, target, version))
    });
    let Some((method, target, version)) = parts else {
        event.set_clean(fields::url::ORIGINAL, text);
        return;
    };
    event.set_clean(fields::http::request::METHOD, method);
    event.set_clean(fields::http::VERSION, version);
    if !event.set_clean(fields::url::ORIGINAL, target) || !target.starts_with('/') {
        return;
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    event.set(fields::url::PATH, path);
    if let Some(query) = query {
        event.set(fields::url::QUERY, query);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some((stem, extension)) = name.rsplit_once('.')
        && !stem.is_empty()
        && !extension.is_empty()
    {
        event.set(fields::url::EXTENSION, extension);
    }
}

/// A quoted text at the start of `text` and what follows it. nginx writes quotes, backslashes and
/// bytes outside printable ASCII as `\xHH` (or `\"` before 1.1.6), so a quote ends it.
fn quoted<'a>(text: &'a str, event: &mut Event<'a>) -> Option<(&'a str, &'a str)> {
    let body = text.strip_prefix('"')?;
    let mut at = 0;
    let mut escaped = false;
    let end = loop {
        at += memchr::memchr2(b'"', b'\\', &body.as_bytes()[at..])?;
        if body.as_bytes()[at] == b'"' {
            break at;
        }
        escaped = true;
        at = (at + 2).min(body.len());
    };
    let rest = &body[end + 1..];
    let text = &body[..end];
    Some((if escaped { unescape(text, event) } else { text }, rest))
}

fn unescape<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let mut bytes = event.list::<u8>();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'\\', [b'x', high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (byte, &rest[1..]),
            },
            (b'\\', [quoted @ (b'"' | b'\\'), after @ ..]) => (*quoted, after),
            _ => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    event.transformation("unescaped");
    event.text(bytes.into_bump_slice())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
