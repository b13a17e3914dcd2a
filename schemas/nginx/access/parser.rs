//! One pass from left to right; every value borrows from the line unless nginx escaped it.

use std::net::IpAddr;

use tahoe_seams::{Record, Rejection};

use crate::clf::{self, Line, Peers};
use crate::{Event, Parser, fields};

pub(super) struct AccessLine;

impl Parser for AccessLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let line = Line::parse(event.text(record.bytes))?;
        line.set(event);
        event.set(fields::event::CATEGORY, "web");
        event.set(fields::event::TYPE, "access");
        let request = clf::unescaped(line.request, event);
        if !clf::set_request(request, event) {
            // What a client sent that is not HTTP.
            event.set_clean(fields::url::ORIGINAL, request);
        }
        let mut ips = event.list::<&'a str>();
        let peers = Peers::parse(line.peers);
        client(&peers, &mut ips, event);
        duration(&line, event);
        match line.forwarded() {
            _ if line.rest.is_empty() => {}
            Some(forwarded) if forwarded.is_empty() => {
                event.null_removed(fields::network::FORWARDED_IP);
            }
            Some(forwarded) => {
                event.set(fields::network::FORWARDED_IP, forwarded[0]);
                ips.extend_from_slice(&forwarded);
            }
            None => event.set(fields::MESSAGE, line.rest),
        }
        if !ips.is_empty() {
            event.set(fields::related::IP, ips.into_bump_slice());
        }
        Ok(())
    }
}

/// `$request_time` after the bytes: seconds, always with three decimals.
fn duration<'a>(line: &Line<'a>, event: &mut Event<'a>) {
    let Some(text) = line.response_time else { return };
    let digits = text.split_once('.').filter(|(_, decimals)| decimals.len() == 3);
    let ms = digits.and_then(|(seconds, decimals)| {
        let (seconds, ms) = (seconds.parse::<u64>().ok()?, decimals.parse::<u64>().ok()?);
        seconds.checked_mul(1000)?.checked_add(ms)
    });
    let Some((ms, ns)) = ms.and_then(|ms| Some((ms, ms.checked_mul(1_000_000)?))) else {
        return event.set(fields::MESSAGE, text);
    };
    event.set(fields::nginx::access::RESPONSE_TIME, ms);
    event.set(fields::event::DURATION, ns);
}

fn client<'a>(
    peers: &Peers<'a>,
    ips: &mut bumpalo::collections::Vec<'a, &'a str>,
    event: &mut Event<'a>,
) {
    event.set_clean(fields::user::NAME, if peers.user.is_empty() { "-" } else { peers.user });
    peers.set_host(event);
    for address in &peers.addresses {
        match address.parse::<IpAddr>() {
            Ok(_) => ips.push(address),
            Err(_) => event.set_if_absent(fields::source::ADDRESS, *address),
        }
    }
    let Some(ip) = clf::client_of(ips) else { return };
    event.set(fields::source::ADDRESS, ip);
    event.set(fields::source::IP, ip);
    let mut list = event.list::<&'a str>();
    list.extend_from_slice(ips);
    event.set(fields::nginx::access::REMOTE_IP_LIST, list.into_bump_slice());
}
