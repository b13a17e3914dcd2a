//! The target of a request: a path with a query, or a whole URL as a proxy is asked for it
//! (RFC 9112, section 3.2).

use crate::find::Find;
use crate::{Event, Transformation, fields};

/// Sets what a target says. Path and query are decoded; `url.original` keeps them as written.
pub(crate) fn set_target<'a>(target: &'a str, event: &mut Event<'a>) {
    if !event.set_clean(fields::url::ORIGINAL, target) {
        return;
    }
    // Most are paths, in which no scheme needs to be looked for.
    let with_scheme = if target.starts_with('/') { None } else { target.split_on("://") };
    let local = match with_scheme {
        Some((scheme, rest)) if is_scheme(scheme) => {
            event.set(fields::url::SCHEME, event.lower_case(scheme));
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, local) = rest.split_at(end);
            // A password is never a field of its own.
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            set_host(host, event);
            local
        }
        // `*` is the whole server (`OPTIONS * HTTP/1.1`).
        _ if target.starts_with('/') || target == "*" => target,
        _ => return,
    };
    let bytes = local.as_bytes();
    let path_end = bytes.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, rest) = local.split_at(path_end.unwrap_or(local.len()));
    let (query, fragment) = match rest.split_on_byte(b'#') {
        Some((query, fragment)) => (query, Some(fragment)),
        None => (rest, None),
    };
    if let Some(fragment) = fragment {
        event.set(fields::url::FRAGMENT, fragment);
    }
    if let Some(query) = query.strip_prefix('?') {
        let query = decoded(query, event);
        event.set(fields::url::QUERY, query);
    }
    if path.is_empty() {
        return;
    }
    let path = decoded(path, event);
    event.set(fields::url::PATH, path);
    if let Some(extension) = extension(path) {
        event.set(fields::url::EXTENSION, extension);
    }
}

/// What stands behind the last dot of the last name in a path.
fn extension(path: &str) -> Option<&str> {
    let at = path.bytes().rposition(|byte| matches!(byte, b'.' | b'/'))?;
    let (dot, extension) = path[at..].split_at(1);
    let is_one = dot == "." && !extension.is_empty() && !extension.contains([' ', ',']);
    is_one.then_some(extension)
}

/// Sets `host[:port]` as it stands in a URL or in the header `Host`.
pub(crate) fn set_host<'a>(host: &'a str, event: &mut Event<'a>) {
    let (_, port) = split_port(host);
    event.set_clean(fields::url::DOMAIN, without_port(host));
    if let Some(port) = port {
        event.set(fields::url::PORT, port);
    }
}

/// The host as it stands in a URL: an address of IPv6 keeps its brackets, as ECS wants it.
pub(crate) fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => &host[..end + 2],
        None => split_port(host).0,
    }
}

/// `host:port`, `[address]:port` or either without a port; the host without brackets.
pub(crate) fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_on_byte(b']'))
    {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_on_byte(b':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            // An address of IPv6 without brackets.
            Err(_) => (text, None),
        },
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

/// The bytes that `%HH` stand for. A text in which any `%` is something else stays as it is.
fn decoded<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return text;
    }
    let mut bytes = event.list::<u8>();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let byte = rest.get(at + 1..at + 3).and_then(|digits| hex(digits[0], digits[1]));
        let Some(byte) = byte else { return text };
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(byte);
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest);
    event.transformation(Transformation::PercentDecoded);
    event.text(bytes.into_bump_slice())
}

/// The byte that two hexadecimal digits say.
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
