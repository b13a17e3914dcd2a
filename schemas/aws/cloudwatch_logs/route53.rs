//! Queries that Route 53 answered: for public zones as text
//! (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/query-logs.html>), for VPCs as JSON
//! (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-query-logs-format.html>).

use crate::find::words;
use crate::object::{parts, scalar, set_each};
use crate::scan::Entry;
use crate::{Event, fields, peer, time};

/// What a line begins with: the version of its format.
pub(super) const VERSION: &str = "1.0 ";
/// Words of a line.
const WORDS: usize = 10;

/// `1.0 time zone name type answer protocol edge resolver subnet`. Says whether the line is one.
pub(super) fn set_line<'a>(line: &'a str, event: &mut Event<'a>) -> bool {
    use fields::aws::route53;
    if !line.starts_with(VERSION) {
        return false;
    }
    let mut said = event.list();
    said.extend(words(line).take(WORDS + 1));
    let [_, at, zone, name, kind, answer, protocol, edge, resolver, subnet] = said[..] else {
        return false;
    };
    if time::parse_iso(at.as_bytes()).is_none() || !peer::SOURCE.set_address(resolver, event) {
        return false;
    }
    event.set(route53::HOSTED_ZONE_ID, zone);
    event.set(fields::dns::question::NAME, without_dot(name));
    event.set(fields::dns::question::TYPE, kind);
    event.set(fields::dns::RESPONSE_CODE, answer);
    event.set(fields::network::TRANSPORT, event.lower_case(protocol));
    event.set(route53::EDGE_LOCATION, edge);
    event.set(route53::EDNS_CLIENT_SUBNET, subnet);
    finish(event);
    true
}

/// Says whether the object is a query of a VPC.
pub(super) fn set<'a>(keys: &[Entry<'a>], event: &mut Event<'a>) -> bool {
    let has = |key: &[u8]| keys.iter().any(|entry| entry.key == key);
    if !has(b"query_timestamp") || !has(b"query_name") {
        return false;
    }
    set_each(keys, fields::aws::FIELDS, set_key, event);
    finish(event);
    true
}

/// Says whether all of the key is in fields now.
fn set_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    match entry.key {
        b"answers" => {
            resolved(entry.value, event);
            return false;
        }
        b"srcids" => {
            let ids = parts(entry.value);
            let instance = ids.iter().find(|id| id.key == b"instance");
            if let Some(id) = instance.and_then(|id| scalar(id.value, event)) {
                event.set(fields::cloud::instance::ID, id);
            }
            return instance.is_some() && ids.len() == 1;
        }
        _ => {}
    }
    let Some(text) = scalar(entry.value, event) else { return false };
    let field = match entry.key {
        b"query_name" => {
            event.set(fields::dns::question::NAME, without_dot(text));
            return true;
        }
        b"srcaddr" => return peer::SOURCE.set_address(text, event),
        b"srcport" => match text.parse::<u16>() {
            Ok(port) => {
                event.set(fields::source::PORT, port);
                return true;
            }
            Err(_) => return false,
        },
        b"transport" => {
            event.set(fields::network::TRANSPORT, event.lower_case(text));
            return true;
        }
        b"query_type" => fields::dns::question::TYPE,
        b"query_class" => fields::dns::question::CLASS,
        b"rcode" => fields::dns::RESPONSE_CODE,
        b"account_id" => fields::cloud::account::ID,
        b"region" => fields::cloud::REGION,
        b"vpc_id" => fields::aws::route53::VPC_ID,
        _ => return false,
    };
    event.set(field, text);
    true
}

/// Sets the addresses of the answers, `[{"Rdata":…,"Type":"A","Class":"IN"}]`.
fn resolved<'a>(list: &'a [u8], event: &mut Event<'a>) {
    let mut ips = event.list::<&str>();
    for answer in parts(list) {
        let data = parts(answer.value).iter().find(|entry| entry.key == b"Rdata").copied();
        ips.extend(data.and_then(|data| peer::ip(scalar(data.value, event)?)));
    }
    if !ips.is_empty() {
        event.set(fields::dns::RESOLVED_IP, ips.into_bump_slice());
    }
}

/// A name is the same with the dot of the root behind it.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name)
}

fn finish(event: &mut Event<'_>) {
    event.set(fields::event::CATEGORY, "network");
    event.set(fields::event::TYPE, "protocol");
    event.set(fields::network::PROTOCOL, "dns");
    event.set(fields::dns::TYPE, "answer");
}
