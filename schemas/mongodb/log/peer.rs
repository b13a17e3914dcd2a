//! The other end of a connection: `10.0.0.7:52076`, `[2001:db8::7]:52076`, `db-1.example:27017`.

use crate::{Event, peer};

/// Sets the address and port of a client; one on a socket of the machine itself has neither.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim();
    match split(text) {
        Some((host, port)) => peer::SOURCE.set(host, port, event),
        // `anonymous unix socket`
        None if text.contains(' ') => {}
        None => peer::SOURCE.set(text, None, event),
    }
}

/// Whether a text is an address with its port, and not a connection's name.
pub(super) fn is_peer(text: &str) -> bool {
    split(text).is_some_and(|(_, port)| port.is_some())
}

fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if peer::ip(text).is_some() {
        return Some((text, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains([' ', '/'])).then_some((host, Some(port)))
}
