//! Netfilter's LOG target writes `KEY=value` words and bare flags in a fixed order, after a prefix
//! that the rule gives (`net/netfilter/nf_log_syslog.c` of the kernel's sources is the
//! specification).

use std::net::IpAddr;

use super::community_id::Flow;
use super::prefix;
use crate::find::{Find, words};
use crate::{Event, Field, Value, clf, fields, protocol};

/// The fields of a key whose value is a device; one that is not there is written as nothing.
fn device(key: &str) -> Option<(Field, Option<Field>)> {
    use fields::{iptables, observer};
    Some(match key {
        "IN" => (iptables::INPUT_DEVICE, Some(observer::ingress::interface::NAME)),
        "OUT" => (iptables::OUTPUT_DEVICE, Some(observer::egress::interface::NAME)),
        "PHYSIN" => (iptables::PHYSICAL_INPUT_DEVICE, None),
        "PHYSOUT" => (iptables::PHYSICAL_OUTPUT_DEVICE, None),
        _ => return None,
    })
}

/// The field of a key whose value is a number, perhaps with `0x`. `ID` and `LEN` mean the packet's
/// before its protocol, and the protocol's after it; `L` and `TL` are what a cut left of `TTL`.
fn numeric(key: &str) -> Option<Field> {
    use fields::iptables::{self, icmp, tcp};
    Some(match key {
        "ACK" => tcp::ACK,
        "CODE" => icmp::CODE,
        "FLOWLBL" => iptables::FLOW_LABEL,
        "HOPLIMIT" | "TTL" | "TL" | "L" => iptables::TTL,
        "ID" => iptables::ID,
        "LEN" => iptables::LENGTH,
        "MARK" => iptables::MARK,
        "MTU" => icmp::MTU,
        "PARAMETER" => icmp::PARAMETER,
        "PREC" => iptables::PRECEDENCE_BITS,
        "RES" => tcp::RESERVED_BITS,
        "SEQ" => tcp::SEQ,
        "TC" | "TOS" => iptables::TOS,
        "TYPE" => icmp::TYPE,
        "URGP" => tcp::URGENT_POINTER,
        "WINDOW" => tcp::WINDOW,
        _ => return None,
    })
}

/// Where a logged packet begins in a message, behind its rule's prefix.
pub(crate) fn packet(text: &str) -> Option<usize> {
    let before = |at: usize| {
        ["IN", "OUT"].iter().find_map(|key| text[..at].ends_with(key).then(|| at - key.len()))
    };
    let start = memchr::memchr_iter(b'=', text.as_bytes()).find_map(before)?;
    let rest = &text[start..];
    let is_packet = rest.has(" SRC=") || rest.has(" PROTO=") && rest.has(" LEN=");
    // A question of ARP has no packet.
    (is_packet || rest.has(" ARP ") && rest.has(" IPSRC=")).then_some(start)
}

/// The second half of a packet, which Ubiquiti's devices log in two lines, without the addresses:
/// `000 TTL=64 ID=41024 DF PROTO=TCP SPT=44424 …`; also with what is left of the key (`L=64`).
fn second_half(text: &str) -> Option<&str> {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let (first, after) = clf::word(text);
    let half = if is_number(first) { after } else { text };
    let (word, rest) = clf::word(half);
    let ttl = ["TTL=", "TL=", "L="].iter().find_map(|key| word.strip_prefix(key))?;
    let (id, after) = clf::word(rest);
    let rest = if id.starts_with("ID=") { after } else { rest };
    let rest = rest.strip_prefix("DF ").unwrap_or(rest);
    (is_number(ttl) && rest.starts_with("PROTO=")).then_some(half)
}

/// Sets what a logged packet says; other messages are left as they are.
pub(crate) fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    let (before, packet) = match packet(text) {
        Some(start) => text.split_at(start),
        None => match second_half(text) {
            Some(half) => ("", half),
            None => return,
        },
    };
    event.set(fields::event::CATEGORY, "network");
    let mut words = Words { flow: Flow::default(), flags: event.list(), fragment: event.list() };
    words.set(packet, event);
    let Words { flow, flags, fragment } = words;
    if !flags.is_empty() {
        event.set(fields::iptables::tcp::FLAGS, flags.into_bump_slice());
    }
    if !fragment.is_empty() {
        event.set(fields::iptables::FRAGMENT_FLAGS, fragment.into_bump_slice());
    }
    if let Some(id) = flow.community_id() {
        event.set(fields::network::COMMUNITY_ID, event.alloc_str(&id));
    }
    if let Some(host) = event.get_str(fields::host::HOSTNAME) {
        event.set(fields::observer::NAME, host);
    }
    let mut ips = event.list::<&'a str>();
    for field in [fields::source::IP, fields::destination::IP] {
        ips.extend(event.get_str(field));
    }
    if !ips.is_empty() {
        event.set(fields::event::TYPE, "connection");
        event.set(fields::related::IP, ips.into_bump_slice());
    }
    prefix::set(before, event);
}

struct Words<'a> {
    flow: Flow,
    flags: bumpalo::collections::Vec<'a, &'a str>,
    fragment: bumpalo::collections::Vec<'a, &'a str>,
}

impl<'a> Words<'a> {
    fn set(&mut self, text: &'a str, event: &mut Event<'a>) {
        let (mut cut_short, mut depth) = (false, 0_usize);
        for word in words(text) {
            // Either the packet that an ICMP error is about, which may be cut short itself, or the
            // bytes of a packet cut short.
            if let Some(bytes) = word.strip_prefix('[') {
                if cut_short {
                    number(fields::iptables::INCOMPLETE_BYTES, bytes, event);
                }
                depth += 1;
            }
            if depth > 0 {
                depth -= usize::from(word.ends_with(']'));
                cut_short = false;
                continue;
            }
            match word.split_on_byte(b'=') {
                Some((key, value)) => self.pair(key, value, event),
                None => self.flag(word, event),
            }
            cut_short = word == "INCOMPLETE";
        }
    }

    fn pair(&mut self, key: &'a str, value: &'a str, event: &mut Event<'a>) {
        if let Some((field, also)) = device(key) {
            if event.set_clean(field, value)
                && let Some(also) = also
            {
                event.set(also, value);
            }
            return;
        }
        if value.is_empty() {
            return;
        }
        match key {
            "SRC" | "IPSRC" => {
                self.flow.source = value.parse().ok();
                address(
                    self.flow.source,
                    fields::source::ADDRESS,
                    fields::source::IP,
                    value,
                    event,
                );
            }
            "DST" | "IPDST" => {
                let (whole, ip) = (fields::destination::ADDRESS, fields::destination::IP);
                self.flow.destination = value.parse().ok();
                address(self.flow.destination, whole, ip, value, event);
            }
            "SPT" => self.flow.source_port = port(fields::source::PORT, value, event),
            "DPT" => self.flow.destination_port = port(fields::destination::PORT, value, event),
            "PROTO" => self.protocol(value, event),
            "MAC" => macs(value, event),
            "MACSRC" => mac(fields::source::MAC, value, event),
            "MACDST" => mac(fields::destination::MAC, value, event),
            "MACPROTO" => ether_type(value, event),
            "GATEWAY" if value.parse::<IpAddr>().is_ok() => {
                event.set(fields::iptables::icmp::REDIRECT, value);
            }
            "UID" => event.set(fields::user::ID, value),
            "GID" => event.set(fields::group::ID, value),
            "VID" => vlan(value, event),
            // ulogd writes these two without the `0x` that the kernel has before them.
            "TOS" | "MARK" if !value.starts_with("0x") => {
                if let (Some(field), Ok(number)) = (numeric(key), i64::from_str_radix(value, 16)) {
                    event.set(field, number);
                }
            }
            _ => self.number(key, value, event),
        }
    }

    fn number(&mut self, key: &str, value: &str, event: &mut Event<'_>) {
        let Some(field) = numeric(key) else { return };
        let icmp = matches!(self.flow.protocol, Some(1 | 58));
        let field = match key {
            "ID" if icmp => fields::iptables::icmp::ID,
            "SEQ" if icmp => fields::iptables::icmp::SEQ,
            "LEN" if self.flow.protocol.is_some() => fields::iptables::udp::LENGTH,
            _ => field,
        };
        number(field, value, event);
        match key {
            "TYPE" => self.flow.icmp_type = value.parse().ok(),
            "CODE" => self.flow.icmp_code = value.parse().ok(),
            _ => {}
        }
    }

    fn protocol(&mut self, value: &'a str, event: &mut Event<'a>) {
        let written = event.lower_case(value);
        // The kernel writes the numbers of those that it has no name for.
        let (number, name) = match value.parse::<u8>() {
            Ok(number) => (Some(number), protocol::name_of(number)),
            Err(_) => match protocol::named(written) {
                Some((number, name)) => (Some(number), Some(name)),
                None => (None, Some(written)),
            },
        };
        self.flow.protocol = number;
        if let Some(number) = number {
            event.set(fields::network::IANA_NUMBER, event.format(format_args!("{number}")));
        }
        if let Some(name) = name {
            event.set(fields::network::TRANSPORT, name);
        }
    }

    fn flag(&mut self, word: &'a str, event: &mut Event<'a>) {
        match word {
            "CE" | "DF" | "MF" => self.fragment.push(word),
            "CWR" | "ECE" | "URG" | "ACK" | "PSH" | "RST" | "SYN" | "FIN" => self.flags.push(word),
            _ => {
                if let Some(offset) = word.strip_prefix("FRAG:") {
                    number(fields::iptables::FRAGMENT_OFFSET, offset, event);
                }
            }
        }
    }
}

fn address<'a>(
    ip: Option<IpAddr>,
    whole: Field,
    field: Field,
    text: &'a str,
    event: &mut Event<'a>,
) {
    let Some(ip) = ip else { return };
    event.set(whole, text);
    event.set(field, text);
    event.set(fields::network::TYPE, if ip.is_ipv4() { "ipv4" } else { "ipv6" });
}

fn port(field: Field, text: &str, event: &mut Event<'_>) -> Option<u16> {
    let port = text.parse().ok()?;
    event.set(field, port);
    Some(port)
}

/// The number of a VLAN, above which its tag has the priority.
fn vlan(tag: &str, event: &mut Event<'_>) {
    if let Ok(tag) = tag.parse::<u16>() {
        event.set(fields::network::vlan::ID, event.format(format_args!("{}", tag & 0x0fff)));
    }
}

/// A number, hexadecimal after `0x`.
fn number(field: Field, text: &str, event: &mut Event<'_>) {
    let read = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    if let Ok(number) = read {
        event.set(field, number);
    }
}

/// The bytes of addresses and type in an Ethernet header, and of an address and a type.
const ETHERNET_BYTES: usize = 14;
const ONE_ADDRESS_BYTES: usize = 8;

/// `00:16:3e:00:00:01`
const MAC_LENGTH: usize = 17;

/// Whether it is bytes in hexadecimal, two digits each, with colons between them.
fn is_bytes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let others = bytes.iter().filter(|byte| !byte.is_ascii_hexdigit()).count();
    bytes.len() % 3 == 2
        && others == bytes.len() / 3
        && bytes.chunks_exact(3).all(|three| three[2] == b':')
}

/// An Ethernet header: destination, source and type, byte by byte. Some drivers go on with what is
/// above it, and some have one address only.
fn macs<'a>(text: &'a str, event: &mut Event<'a>) {
    if !is_bytes(text) {
        return;
    }
    // Three characters each but the last.
    let bytes = text.len().div_ceil(3);
    if bytes < ETHERNET_BYTES && bytes != ONE_ADDRESS_BYTES {
        return;
    }
    set_mac(fields::destination::MAC, &text[..MAC_LENGTH], event);
    if bytes == ONE_ADDRESS_BYTES {
        return ether_type(&text[18..], event);
    }
    set_mac(fields::source::MAC, &text[18..35], event);
    ether_type(&text[36..41], event);
}

fn mac<'a>(field: Field, text: &'a str, event: &mut Event<'a>) {
    if text.len() == MAC_LENGTH && is_bytes(text) {
        set_mac(field, text, event);
    }
}

/// As ECS writes it: `00-16-3E-00-00-01`.
fn set_mac<'a>(field: Field, text: &'a str, event: &mut Event<'a>) {
    let bytes = event.arena().alloc_slice_copy(text.as_bytes());
    bytes.make_ascii_uppercase();
    for byte in bytes.iter_mut().filter(|byte| **byte == b':') {
        *byte = b'-';
    }
    event.set(field, Value::Bytes(bytes));
}

/// `08:00` or `0800`
fn ether_type(text: &str, event: &mut Event<'_>) {
    let digits = match text.split_on_byte(b':') {
        Some((high, low)) => [high, low].map(|byte| u16::from_str_radix(byte, 16)),
        None => [Ok(0), u16::from_str_radix(text, 16)],
    };
    if let [Ok(high), Ok(low)] = digits
        && high <= 0xff
    {
        event.set(fields::iptables::ETHER_TYPE, high << 8 | low);
    }
}
