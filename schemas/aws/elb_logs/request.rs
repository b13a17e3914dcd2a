//! `GET https://host:443/path?query HTTP/1.1`, with a dash for what could not be read of it.

use crate::find::Find;
use crate::{Event, fields, url};

/// Sets the fields of a request; `- - -` is that of a TCP connection.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim();
    if text.split(' ').all(|word| word == "-") {
        event.null_removed(fields::url::ORIGINAL);
        return;
    }
    let Some((method, rest)) = text.split_on_byte(b' ') else {
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
    // The port of a request without a path is followed by a dash.
    let port = target.strip_suffix('-').filter(|rest| rest.split_on("://").is_some_and(has_port));
    url::set_target(port.unwrap_or(target), event);
    if port.is_some() {
        event.set(fields::url::ORIGINAL, target);
    }
}

/// Whether what follows a scheme is nothing but `host:port`.
fn has_port((_, rest): (&str, &str)) -> bool {
    !rest.contains(['/', '?']) && url::split_port(rest).1.is_some()
}
