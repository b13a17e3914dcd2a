//! `GET https://host:443/path?query HTTP/1.1`, with a dash for what could not be read of it.

use crate::find::Find;
use crate::{Event, fields};

/// Sets the fields of a request; `- - -` is that of a TCP connection.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim();
    if text.split(' ').all(|word| word == "-") {
        event.null_removed(fields::url::ORIGINAL);
        return;
    }
    let Some((method, rest)) = text.split_once(' ') else {
        event.set(fields::url::ORIGINAL, text);
        return;
    };
    event.set_clean(fields::http::request::METHOD, method);
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version == "-" || version.starts_with("HTTP/") => {
            let version = version.strip_prefix("HTTP/").unwrap_or("-");
            event.set_clean(fields::http::VERSION, version);
            target
        }
        _ => rest,
    };
    if event.set_clean(fields::url::ORIGINAL, target) {
        url(target, event);
    }
}

fn url<'a>(target: &'a str, event: &mut Event<'a>) {
    let path = match target.split_on("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            event.set(fields::url::SCHEME, scheme);
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            host(authority, event);
            path
        }
        _ => target,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if !query.is_empty() {
        event.set(fields::url::QUERY, query);
    }
    if path.is_empty() {
        return;
    }
    event.set(fields::url::PATH, path);
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some((stem, extension)) = name.rsplit_once('.')
        && !stem.is_empty()
        && !extension.is_empty()
    {
        event.set(fields::url::EXTENSION, extension);
    }
}

/// `host:port`; the port of a request without a path is followed by a dash.
fn host<'a>(authority: &'a str, event: &mut Event<'a>) {
    let (domain, port) = match authority.rsplit_once(':') {
        Some((domain, port)) if !port.contains(']') => (domain, port),
        _ => (authority, ""),
    };
    if !domain.is_empty() {
        event.set(fields::url::DOMAIN, domain);
    }
    if let Ok(port) = port.strip_suffix('-').unwrap_or(port).parse::<u16>() {
        event.set(fields::url::PORT, port);
    }
}
