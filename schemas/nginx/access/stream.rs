//! What nginx writes of a connection of TCP or UDP that it passed on: `$remote_addr [$time_local]
//! $protocol $status $bytes_sent $bytes_received $session_time`
//! (<https://nginx.org/en/docs/stream/ngx_stream_log_module.html>), in ingress-nginx with the
//! address in brackets. All of it stays in the message, which has the status of the session too.

use crate::duration::{SECONDS, nanoseconds};
use crate::{Event, clf, fields, peer};

/// Sets what it says, if it is one. `before` stands before the time, `after` behind it.
pub(super) fn set<'a>(before: &'a str, after: &'a str, event: &mut Event<'a>) -> Option<()> {
    let (protocol, rest) = clf::word(after);
    let transport = match protocol {
        "TCP" => "tcp",
        "UDP" => "udp",
        _ => return None,
    };
    let (status, rest) = clf::word(rest);
    let (sent, rest) = clf::word(rest);
    let (received, rest) = clf::word(rest);
    let status: u64 = status.parse().ok()?;
    let (sent, received): (u64, u64) = (sent.parse().ok()?, received.parse().ok()?);
    let duration = nanoseconds(clf::word(rest).0.trim_end(), SECONDS)?;
    let before = before.trim();
    let bare = before.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = peer::ip(bare.unwrap_or(before))?;
    event.set(fields::event::CATEGORY, "network");
    event.set(fields::event::TYPE, "connection");
    peer::SOURCE.set(address, None, event);
    event.set(fields::network::TRANSPORT, transport);
    event.set(fields::source::BYTES, received);
    event.set(fields::destination::BYTES, sent);
    event.set(fields::event::DURATION, duration);
    clf::set_outcome(status, event);
    Some(())
}
