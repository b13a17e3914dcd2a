//! Netfilter's LOG target writes `KEY=value` words in a fixed order, after a prefix of the rule's.

use std::net::IpAddr;

use crate::{Event, fields};

/// Sets what a logged packet says; other messages are left as they are.
pub(crate) fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some(start) = text.find("IN=") else { return };
    if !text.contains(" OUT=") || !text.contains(" SRC=") {
        return;
    }
    for word in text[start..].split_ascii_whitespace() {
        let Some((key, value)) = word.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        match key {
            "IN" => event.set(fields::observer::ingress::interface::NAME, value),
            "OUT" => event.set(fields::observer::egress::interface::NAME, value),
            "SRC" if value.parse::<IpAddr>().is_ok() => {
                event.set(fields::source::ADDRESS, value);
                event.set(fields::source::IP, value);
            }
            "DST" if value.parse::<IpAddr>().is_ok() => {
                event.set(fields::destination::ADDRESS, value);
                event.set(fields::destination::IP, value);
            }
            "SPT" => port(fields::source::PORT, value, event),
            "DPT" => port(fields::destination::PORT, value, event),
            "PROTO" => {
                let transport = event.lower_case(value);
                event.set(fields::network::TRANSPORT, transport);
            }
            _ => {}
        }
    }
    let mut ips = event.list::<&'a str>();
    for field in [fields::source::IP, fields::destination::IP] {
        ips.extend(event.get_str(field));
    }
    event.set(fields::related::IP, ips.into_bump_slice());
    event.set(fields::event::CATEGORY, "network");
    match text[..start].split_once("[UFW ").and_then(|(_, rest)| rest.split_once(']')) {
        Some(("BLOCK" | "LIMIT BLOCK", _)) => verdict("drop", &["connection", "denied"], event),
        Some(("ALLOW" | "AUDIT", _)) => verdict("accept", &["connection", "allowed"], event),
        _ => event.set(fields::event::TYPE, "connection"),
    }
}

fn port(field: crate::Field, value: &str, event: &mut Event<'_>) {
    if let Ok(port) = value.parse::<u16>() {
        event.set(field, port);
    }
}

fn verdict(action: &'static str, kind: &'static [&'static str; 2], event: &mut Event<'_>) {
    event.set(fields::event::ACTION, action);
    event.set(fields::event::TYPE, kind);
}
