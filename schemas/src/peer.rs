//! One end of a connection, placed alike in every dataset: its address as it is written, what that
//! is, an address or a name, and its port.

use std::net::IpAddr;

use crate::find::Find;
use crate::{Event, Field, Value, fields};

/// The fields of one end.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    address: Field,
    ip: Field,
    domain: Field,
    port: Field,
}

pub(crate) const SOURCE: Peer = Peer {
    address: fields::source::ADDRESS,
    ip: fields::source::IP,
    domain: fields::source::DOMAIN,
    port: fields::source::PORT,
};
pub(crate) const DESTINATION: Peer = Peer {
    address: fields::destination::ADDRESS,
    ip: fields::destination::IP,
    domain: fields::destination::DOMAIN,
    port: fields::destination::PORT,
};
pub(crate) const CLIENT: Peer = Peer {
    address: fields::client::ADDRESS,
    ip: fields::client::IP,
    domain: fields::client::DOMAIN,
    port: fields::client::PORT,
};
pub(crate) const SERVER: Peer = Peer {
    address: fields::server::ADDRESS,
    ip: fields::server::IP,
    domain: fields::server::DOMAIN,
    port: fields::server::PORT,
};

impl Peer {
    /// Sets what a host is, which stands there without its port and brackets. One that stands for
    /// nothing is recorded as removed, and has no port.
    pub(crate) fn set<'a>(self, host: &'a str, port: Option<u16>, event: &mut Event<'a>) {
        if !event.set_clean(self.address, host) {
            return;
        }
        match ip(host) {
            Some(ip) => self.set_ip(ip, event),
            // A socket of the machine itself has a path, or is `unix:`.
            None if host.contains([':', '/', ' ']) => {}
            None => event.set(self.domain, host),
        }
        if let Some(port) = port {
            event.set(self.port, port);
        }
    }

    /// The same for what may be an address and nothing else; false, if it is none.
    pub(crate) fn set_address<'a>(self, host: &'a str, event: &mut Event<'a>) -> bool {
        let Some(ip) = ip(host) else { return false };
        event.set(self.address, host);
        self.set_ip(ip, event);
        true
    }

    fn set_ip<'a>(self, ip: &'a str, event: &mut Event<'a>) {
        event.set(self.ip, ip);
        relate(ip, event);
    }

    /// The field of its address.
    pub(crate) fn address(self) -> Field {
        self.address
    }
}

/// The text if it is an address. The zone of a link-local one (`fe80::1%eth0`) is no part of it,
/// and one of IPv4 that is mapped to IPv6 is written as what it is.
pub(crate) fn ip(text: &str) -> Option<&str> {
    if is_ipv4(text.as_bytes()) {
        return Some(text);
    }
    // Names have none.
    memchr::memchr(b':', text.as_bytes())?;
    let text =
        text.split_on_byte(b'%').filter(|(_, zone)| !zone.is_empty()).map_or(text, |(ip, _)| ip);
    let plain = text.strip_prefix("::ffff:").filter(|rest| rest.contains('.')).unwrap_or(text);
    plain.parse::<IpAddr>().ok().map(|_| plain)
}

/// Four numbers of a byte each, without zeros before them (RFC 6943, section 3.1.1, strict).
fn is_ipv4(text: &[u8]) -> bool {
    const NONE: u32 = u32::MAX;
    let (mut number, mut dots) = (NONE, 0);
    for &byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit <= 9 {
            number = match number {
                NONE => digit,
                0 => return false,
                _ => number * 10 + digit,
            };
            if number > 255 {
                return false;
            }
        } else if byte == b'.' && number != NONE {
            (number, dots) = (NONE, dots + 1);
        } else {
            return false;
        }
    }
    number != NONE && dots == 3
}

/// Adds an address to those that the event is about.
pub(crate) fn relate<'a>(ip: &'a str, event: &mut Event<'a>) {
    if !event.has(fields::related::IP) {
        event.set(fields::related::IP, ip);
        return;
    }
    let mut ips = event.list::<&'a str>();
    match event.get(fields::related::IP) {
        Some(Value::List(known)) => ips.extend_from_slice(known),
        Some(Value::Str(known)) => ips.push(known),
        _ => {}
    }
    if !ips.contains(&ip) {
        ips.push(ip);
        event.set(fields::related::IP, ips.into_bump_slice());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn four_numbers_are_an_address_where_they_are_for_others(
            text in "[0-9]{0,4}(\\.[0-9]{1,3}){2,4}|[0-9.]{0,16}|(25[0-6]\\.){3}25[0-6]x?",
        ) {
            let known = text.parse::<std::net::Ipv4Addr>().is_ok();
            prop_assert_eq!(is_ipv4(text.as_bytes()), known, "{}", text);
        }
    }

    #[test]
    fn an_address_is_told_from_a_name_and_freed_of_what_is_no_part_of_it() {
        assert_eq!(ip("203.0.113.9"), Some("203.0.113.9"));
        assert_eq!(ip("::ffff:203.0.113.9"), Some("203.0.113.9"));
        assert_eq!(ip("fe80::1%eth0"), Some("fe80::1"));
        assert_eq!(ip("::ffff:1"), Some("::ffff:1"));
        // Patterns of MySQL's accounts.
        assert_eq!((ip("10.0.0.1%"), ip("10.0.0.%"), ip("fe80::%")), (None, None, None));
        assert_eq!(ip("db-1.example"), None);
    }
}
