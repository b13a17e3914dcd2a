//! What the access logs of web servers have in common: the common log format, what precedes it
//! (host, addresses of proxies) and what follows it (response time, referrer, user agent, and the
//! addresses of `X-Forwarded-For`).

use std::net::IpAddr;

use memchr::memchr;
use smallvec::SmallVec;
use tahoe_seams::Rejection;

use crate::find::{Find, trim_start};
use crate::time::{self, Stamp};
use crate::{Event, Transformation, Value, fields, peer, url};

/// Those of a usual list are on the stack.
pub(crate) type Addresses<'a> = SmallVec<[&'a str; 4]>;

/// Statuses of HTTP have three digits (RFC 9110, section 15).
const STATUS_MIN: u16 = 100;

/// Where `[yyyy-` has its dash.
const ISO_DASH: usize = 5;

/// One line, cut but not yet looked into: quoted texts are without their quotes, as written.
pub(crate) struct Line<'a> {
    /// What stands before the time.
    pub peers: &'a str,
    /// In brackets.
    pub stamp: Stamp,
    /// What the client sent first.
    pub request: &'a str,
    status: u16,
    bytes: Option<u64>,
    /// A bare number after the bytes, in the unit that the format was given.
    pub response_time: Option<&'a str>,
    referrer: Option<&'a str>,
    agent: Option<&'a str>,
    /// Everything after that.
    pub rest: &'a str,
}

impl<'a> Line<'a> {
    /// `peers [time] "request" status bytes[ number][ "referrer"[ "agent"]][ rest]`
    pub fn parse(line: &'a str) -> Result<Self, Rejection> {
        let (before, stamp, end) = timed(line)?;
        // Envoy's, whose other columns are not these.
        if before.is_empty() && line.as_bytes().get(ISO_DASH) == Some(&b'-') {
            return Err(Rejection::at("malformed", "nothing stands before the time", end));
        }
        let columns = Self::of_columns(before, stamp, line[end..].trim_start());
        columns.map_err(|reason| Rejection::at("malformed", reason, end))
    }

    /// `[time] peers "request" status bytes …`
    pub fn parse_time_first(line: &'a str) -> Option<Self> {
        let (_, stamp, end) = timed(line).ok().filter(|(before, ..)| before.is_empty())?;
        let at = end + memchr(b'"', &line.as_bytes()[end..])?;
        let line = Self::of_columns(&line[end..at], stamp, &line[at..]).ok()?;
        (STATUS_MIN..600).contains(&line.status).then_some(line)
    }

    /// What begins with the request; an error says what is not there.
    fn of_columns(peers: &'a str, stamp: Stamp, text: &'a str) -> Result<Self, &'static str> {
        let (request, rest) = quoted(text).ok_or("no quoted request after the time")?;
        let (status, rest) = word(rest);
        let status = status.parse().map_err(|_| "no status after the request")?;
        let (bytes, rest) = word(rest);
        let bytes = count(bytes).ok_or("no number of bytes after the status")?;
        let (number, after) = word(rest);
        let response_time = (is_number(number)).then_some(number);
        let rest = if response_time.is_some() { after } else { rest };
        let (referrer, rest) = optional(rest);
        let (agent, rest) = if referrer.is_some() { optional(rest) } else { (None, rest) };
        let (peers, rest) = (peers.trim(), rest.trim());
        Ok(Self { peers, stamp, request, status, bytes, response_time, referrer, agent, rest })
    }

    /// Sets what every such log means by its columns. `peers`, `request` and what follows the
    /// bytes are the dataset's.
    pub fn set(&self, event: &mut Event<'a>) {
        event.time(self.stamp);
        // `000` and `009` are of a connection that was closed, or spoke HTTP/0.9: there was none.
        if self.status < STATUS_MIN {
            event.null_removed(fields::http::response::STATUS_CODE);
        } else {
            event.set(fields::http::response::STATUS_CODE, self.status);
            set_outcome(self.status.into(), event);
        }
        set_bytes(self.bytes, event);
        if let Some(referrer) = self.referrer {
            let referrer = unescaped(referrer, event);
            event.set_clean(fields::http::request::REFERRER, referrer);
        }
        if let Some(agent) = self.agent {
            let agent = unescaped(agent, event);
            event.set_clean(fields::user_agent::ORIGINAL, agent);
        }
    }

    /// The addresses that a proxy passed on, if a list of them follows: `"a, b"`, as in nginx's
    /// format `main`, or `X-Forwarded-For="a, b"`; and what follows them. `"-"` is an empty list.
    pub fn forwarded(&self) -> Option<(Forwarded<'a>, &'a str)> {
        let text = self.rest.strip_prefix("X-Forwarded-For=").unwrap_or(self.rest);
        let (list, rest) = quoted(text)?;
        let (forwarded, rest) = (Forwarded::parse(list), rest.trim_start());
        let Forwarded { addresses, all_known, has_ports } = &forwarded;
        let is_list = match rest.is_empty() {
            true => *all_known || !addresses.is_empty(),
            // Where more follows, a server may stand there that was asked, with its port.
            false => *all_known && !addresses.is_empty() && !has_ports,
        };
        is_list.then_some((forwarded, rest))
    }

    /// Bytes of the request and of the answer with their headers, if those two numbers are all that
    /// follows (Apache's `combinedio`). A request has its first line at least, an answer more than
    /// its body.
    pub fn transferred(&self) -> Option<(u64, u64)> {
        let (received, sent) = self.rest.split_on_byte(b' ')?;
        let (received, sent): (u64, u64) = (received.parse().ok()?, sent.parse().ok()?);
        let fits = received >= self.request.len() as u64 && sent > self.bytes.unwrap_or(0);
        fits.then_some((received, sent))
    }
}

/// Sets that a request was answered, if its status is known.
pub(crate) fn set_answered(event: &mut Event<'_>) {
    let Some(Value::U64(status)) = event.get(fields::http::response::STATUS_CODE) else { return };
    event.set(fields::event::CATEGORY, "web");
    event.set(fields::event::TYPE, "access");
    set_outcome(status, event);
}

/// Sets how a request ended, by its status of HTTP.
pub(crate) fn set_outcome(status: u64, event: &mut Event<'_>) {
    event.set(fields::event::OUTCOME, if status < 400 { "success" } else { "failure" });
}

/// What a proxy says of who asked it.
pub(crate) struct Forwarded<'a> {
    /// Addresses, without the ports that some proxies add.
    pub addresses: Addresses<'a>,
    /// There was nothing else among them.
    pub all_known: bool,
    /// One had a port.
    has_ports: bool,
}

impl<'a> Forwarded<'a> {
    /// `a, b`, as `X-Forwarded-For` has it.
    pub fn parse(list: &'a str) -> Self {
        let mut read = Self { addresses: Addresses::new(), all_known: true, has_ports: false };
        for word in list.split([',', ' ', '"']).filter(|word| !matches!(*word, "" | "-")) {
            let (host, port) = url::split_port(word);
            match peer::ip(host) {
                Some(ip) => read.addresses.push(ip),
                // A proxy that hides who asked (RFC 7239, section 6).
                None if word == "unknown" || word.starts_with('_') => {}
                None => read.all_known = false,
            }
            read.has_ports |= port.is_some();
        }
        read
    }

    /// Sets where the request comes from, and what was written if it is more than that.
    pub fn set(&self, written: &'a str, event: &mut Event<'a>) {
        match self.addresses.first() {
            Some(first) => event.set(fields::network::FORWARDED_IP, *first),
            None => event.null_removed(fields::network::FORWARDED_IP),
        }
        if !self.all_known {
            event.set(fields::MESSAGE, written);
        }
    }
}

/// The first time in brackets, what stands before it, and where it ends.
pub(crate) fn timed(line: &str) -> Result<(&str, Stamp, usize), Rejection> {
    let mut first = None;
    let mut at = 0;
    while let Some(run) = memchr(b'[', &line.as_bytes()[at..]) {
        let bracket = at + run;
        at = bracket + 1;
        first.get_or_insert(at);
        let inside = &line.as_bytes()[at..];
        if let Some((stamp, length)) = time::parse_clf(inside).or_else(|| time::parse_iso(inside))
            && line[at + length..].starts_with(']')
        {
            return Ok((&line[..bracket], stamp, at + length + 1));
        }
    }
    Err(match first {
        None => Rejection::at("no_timestamp", "no [time] in the line", line.len()),
        Some(at) => {
            let reason = "the time is not dd/Mmm/yyyy:hh:mm:ss ±hhmm or ISO 8601";
            Rejection::at("bad_timestamp", reason, at)
        }
    })
}

/// Sets the size of an answer; none is written as `-`.
pub(crate) fn set_bytes(bytes: Option<u64>, event: &mut Event<'_>) {
    match bytes {
        Some(bytes) => event.set(fields::http::response::body::BYTES, bytes),
        None => event.null_removed(fields::http::response::body::BYTES),
    }
}

/// A number or `-`.
pub(crate) fn count(word: &str) -> Option<Option<u64>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && word.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The next word and what follows it.
pub(crate) fn word(text: &str) -> (&str, &str) {
    let text = trim_start(text);
    match memchr(b' ', text.as_bytes()) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// A quoted text at the start of `text`, without its quotes, and what follows it. In it a quote is
/// written as `\"` or `\x22`, and a backslash as `\\` or `\x5C`.
pub(crate) fn quoted(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('"')?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.as_bytes().get(at..)?)?;
        if body.as_bytes()[at] == b'"' {
            return Some((&body[..at], &body[at + 1..]));
        }
        at += 2;
    }
}

fn optional(text: &str) -> (Option<&str>, &str) {
    quoted(trim_start(text)).map_or((None, text), |(inside, rest)| (Some(inside), rest))
}

/// What `\xHH`, `\"`, `\\`, `\n` and the like stand for.
pub(crate) fn unescaped<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut bytes = event.list::<u8>();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr(b'\\', rest) {
        bytes.extend_from_slice(&rest[..at]);
        let (byte, length) = escape(&rest[at..]);
        bytes.push(byte);
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest);
    event.transformation(Transformation::Unescaped);
    event.text(bytes.into_bump_slice())
}

/// The byte that an escape stands for, and its length.
fn escape(text: &[u8]) -> (u8, usize) {
    match text {
        [_, b'x', high, low, ..] => url::hex(*high, *low).map_or((b'\\', 1), |byte| (byte, 4)),
        [_, quoted @ (b'"' | b'\\'), ..] => (*quoted, 2),
        [_, b'n', ..] => (b'\n', 2),
        [_, b'r', ..] => (b'\r', 2),
        [_, b't', ..] => (b'\t', 2),
        [_, b'b', ..] => (0x08, 2),
        [_, b'v', ..] => (0x0b, 2),
        [_, b'f', ..] => (0x0c, 2),
        _ => (b'\\', 1),
    }
}

/// Sets what `GET /path?query HTTP/1.1` says. Says whether the text is such a request.
pub(crate) fn set_request<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let parts = text.split_on_byte(b' ').and_then(|(method, rest)| {
        // A target with a space in it is left to the search from the end.
        let (target, version) = rest
            .split_on(" HTTP/")
            .filter(|(_, version)| !version.has(" HTTP/"))
            .or_else(|| rest.rsplit_once(" HTTP/"))?;
        Some((method, target, version))
    });
    let Some((method, target, version)) = parts else { return false };
    event.set_clean(fields::http::request::METHOD, method);
    event.set_clean(fields::http::VERSION, version);
    url::set_target(target, event);
    // A proxy is asked for a connection by host and port alone.
    if method == "CONNECT" && url::split_port(target).1.is_some() {
        url::set_host(target, event);
    }
    true
}

/// Who asked whom: `[host[:port] ]address[, address…] identity user`.
pub(crate) struct Peers<'a> {
    /// The host that was asked, perhaps with a port.
    pub host: Option<&'a str>,
    /// The client's address or name, perhaps among those of proxies; at least one.
    pub addresses: Addresses<'a>,
    /// What identd said; nearly always `-`.
    pub identity: &'a str,
    /// The name that the client gave.
    pub user: &'a str,
}

impl<'a> Peers<'a> {
    pub fn parse(text: &'a str) -> Self {
        let (first, rest) = word(text);
        // A host is followed by address, identity and user; a list of addresses has commas.
        let (second, after) = word(rest);
        let has_host = !first.ends_with(',')
            && !matches!(second, "-" | "" | ",")
            && !after.is_empty()
            && !word(after).1.is_empty();
        let (host, mut rest) = if has_host { (Some(first), rest) } else { (None, text) };
        let mut addresses = Addresses::new();
        loop {
            let (address, after) = word(rest);
            rest = after;
            let mut parts = address.split([',', '"']).filter(|part| !part.is_empty());
            addresses.extend(parts.by_ref());
            let (next, _) = word(rest);
            let goes_on = address.ends_with(',') || next.starts_with(',') || is_ip(next);
            if !goes_on || next.is_empty() {
                break;
            }
        }
        let (identity, user) = word(rest);
        Self { host, addresses, identity, user: user.trim() }
    }

    /// Sets the host that was asked.
    pub fn set_host(&self, event: &mut Event<'a>) {
        let Some(host) = self.host else { return };
        let (name, port) = url::split_port(host);
        match name.parse::<IpAddr>() {
            Ok(_) => event.set(fields::destination::IP, name),
            Err(_) => event.set(fields::destination::DOMAIN, name),
        }
        event.set_if_absent(fields::url::DOMAIN, url::without_port(host));
        if let Some(port) = port {
            event.set(fields::destination::PORT, port);
        }
    }
}

fn is_ip(word: &str) -> bool {
    word != "-" && word.trim_matches([',', '"']).parse::<IpAddr>().is_ok()
}

/// Among several addresses the client's is the first that is not a proxy's.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The first address that is not private, else the first.
pub(crate) fn client_of<'a>(addresses: &[&'a str]) -> Option<&'a str> {
    let public = |text: &&&str| text.parse().is_ok_and(|ip| !is_private(ip));
    addresses.iter().find(public).or(addresses.first()).copied()
}
