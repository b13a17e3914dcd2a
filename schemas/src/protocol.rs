//! What stands above IP: IANA's numbers and keywords
//! (<https://www.iana.org/assignments/protocol-numbers>), the latter in lower case, as
//! `network.transport` has them in Elastic's documents.

/// Numbers and names; OSPF and PIM by the names that everyone uses.
const NAMES: [(u8, &str); 24] = [
    (0, "hopopt"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipv4"),
    (6, "tcp"),
    (8, "egp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (88, "eigrp"),
    (89, "ospf"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
];

/// Other names for some of them, as the kernel and others write them.
const ALIASES: [(&str, &str); 4] =
    [("icmpv6", "ipv6-icmp"), ("icmp6", "ipv6-icmp"), ("ipip", "ipv4"), ("ipencap", "ipv4")];

/// The name of a protocol.
pub(crate) fn name_of(number: u8) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The number and the name of what is written as a name in lower case.
pub(crate) fn named(text: &str) -> Option<(u8, &'static str)> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, name)| name);
    NAMES.iter().find(|(_, known)| *known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_has_one_name_however_it_is_written() {
        assert_eq!(named("icmpv6"), Some((58, "ipv6-icmp")));
        assert_eq!(name_of(58), Some("ipv6-icmp"));
        for (number, name) in NAMES {
            assert_eq!((named(name), name_of(number)), (Some((number, name)), Some(name)));
        }
        assert_eq!((named("xyz"), name_of(255)), (None, None));
    }
}
