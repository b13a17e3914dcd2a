//! One pass from left to right; every value borrows from the line unless nginx escaped it.

use tahoe_seams::{Record, Rejection};

use super::{ingress, stream};
use crate::clf::{self, Line, Peers};
use crate::datasets::app_json;
use crate::duration::{SECONDS, nanoseconds};
use crate::fields::nginx::access::{FIELDS, RESPONSE_TIME};
use crate::find::Find;
use crate::{Event, Parser, fields, peer};

pub(super) struct AccessLine;

impl Parser for AccessLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes);
        event.set(fields::event::CATEGORY, "web");
        event.set(fields::event::TYPE, "access");
        // A format with `escape=json`.
        if text.starts_with('{') && app_json::set_access(text, FIELDS, event) {
            return Ok(());
        }
        let line = match Line::parse(text) {
            Ok(line) => line,
            Err(rejection) => return other(text, event).ok_or(rejection),
        };
        line.set(event);
        request(line.request, event);
        let mut ips = event.list::<&'a str>();
        let peers = Peers::parse(line.peers);
        client(&peers, &mut ips, event);
        duration(&line, event);
        match line.forwarded() {
            _ if line.rest.is_empty() => {}
            Some((forwarded, rest)) => {
                forwarded.set(line.rest, event);
                ips.extend_from_slice(&forwarded.addresses);
                set_rest(rest, event);
            }
            None if ingress::set(line.rest, event) => {}
            None => set_rest(line.rest, event),
        }
        if !ips.is_empty() {
            event.set(fields::related::IP, ips.into_bump_slice());
        }
        Ok(())
    }
}

/// A line of another format has its time at least.
fn other<'a>(text: &'a str, event: &mut Event<'a>) -> Option<()> {
    let (before, stamp, end) = clf::timed(text).ok()?;
    event.time(stamp);
    event.set(fields::MESSAGE, text.trim_end());
    stream::set(before, &text[end..], event);
    Some(())
}

/// What follows the known columns, with `rt=$request_time` among it, as NGINX's own examples of
/// formats name it.
fn set_rest<'a>(rest: &'a str, event: &mut Event<'a>) {
    if rest.is_empty() {
        return;
    }
    event.set(fields::MESSAGE, rest);
    let named = rest.strip_prefix("rt=").or_else(|| rest.split_on(" rt=").map(|(_, time)| time));
    let time = named.map_or("", |text| clf::word(text).0.trim_matches('"'));
    if let Some(nanos) = nanoseconds(time, SECONDS).filter(|_| !event.has(RESPONSE_TIME)) {
        set_duration(nanos, event);
    }
}

/// The request, or what a client sent that is not HTTP: binary as nginx wrote it.
fn request<'a>(written: &'a str, event: &mut Event<'a>) {
    if written.starts_with("\\x") {
        event.set(fields::url::ORIGINAL, written);
        return;
    }
    let request = clf::unescaped(written, event);
    if !clf::set_request(request, event) {
        event.set_clean(fields::url::ORIGINAL, request);
    }
}

/// `$request_time` after the bytes: seconds.
fn duration<'a>(line: &Line<'a>, event: &mut Event<'a>) {
    let Some(text) = line.response_time else { return };
    let Some(nanos) = nanoseconds(text, SECONDS) else {
        return event.set(fields::MESSAGE, text);
    };
    set_duration(nanos, event);
}

fn set_duration(nanos: u64, event: &mut Event<'_>) {
    event.set(RESPONSE_TIME, nanos / 1_000_000);
    event.set(fields::event::DURATION, nanos);
}

fn client<'a>(
    peers: &Peers<'a>,
    ips: &mut bumpalo::collections::Vec<'a, &'a str>,
    event: &mut Event<'a>,
) {
    // ingress-nginx repeated the address up to 0.26: `192.0.2.1 - [192.0.2.1] - bob`.
    let user = peers.user.strip_prefix('[').and_then(|rest| rest.split_on("] - "));
    let user = user.filter(|(ip, _)| peer::ip(ip).is_some()).map_or(peers.user, |(_, user)| user);
    let user = clf::unescaped(user, event);
    event.set_clean(fields::user::NAME, if user.is_empty() { "-" } else { user });
    peers.set_host(event);
    // An address, or a word: `localhost`, `unknown`. Elastic's lists have both.
    let is_word =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let addresses = &peers.addresses;
    ips.extend(addresses.iter().filter_map(|address| peer::ip(address)));
    let listed = addresses.iter().all(|one| is_word(one) || peer::ip(one).is_some());
    let mut list = event.list::<&'a str>();
    list.extend_from_slice(if listed { addresses } else { ips });
    if !list.is_empty() {
        event.set(fields::nginx::access::REMOTE_IP_LIST, list.into_bump_slice());
    }
    let client = clf::client_of(ips);
    let written = addresses.iter().find(|one| peer::ip(one) == client).or(addresses.first());
    peer::SOURCE.set(written.copied().unwrap_or_default(), None, event);
}
