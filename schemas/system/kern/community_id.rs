//! Community ID, version 1: both directions of a flow have one name in every tool
//! (<https://github.com/corelight/community-id-spec>).

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Types of ICMP and ICMPv6 that answer each other.
const ANSWERS: [(u8, u8); 5] = [(8, 0), (13, 14), (15, 16), (17, 18), (10, 9)];
const ANSWERS_V6: [(u8, u8); 6] =
    [(128, 129), (133, 134), (135, 136), (130, 131), (144, 145), (139, 140)];

/// What names a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    /// Where the packet comes from.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: Option<IpAddr>,
    /// IANA's number.
    pub protocol: Option<u8>,
    /// Of TCP, UDP and SCTP.
    pub source_port: Option<u16>,
    /// Of TCP, UDP and SCTP.
    pub destination_port: Option<u16>,
    /// Of ICMP.
    pub icmp_type: Option<u8>,
    /// Of ICMP.
    pub icmp_code: Option<u8>,
}

impl Flow {
    /// The name, with the seed 0; `None` if a part of the flow is not known.
    pub fn community_id(&self) -> Option<String> {
        let (source, destination) = (self.source?, self.destination?);
        let protocol = self.protocol?;
        let ports = match protocol {
            1 | 58 => Some(self.icmp_ports(protocol == 58)?),
            6 | 17 | 132 => Some((self.source_port?, self.destination_port?, true)),
            _ => None,
        };
        let (from, to, answered) = ports.unwrap_or((0, 0, true));
        let swapped = answered && (destination, to) < (source, from);
        let ((first, first_port), (second, second_port)) = if swapped {
            ((destination, to), (source, from))
        } else {
            ((source, from), (destination, to))
        };
        let mut hash = Sha1::new_with_prefix([0, 0]);
        for address in [first, second] {
            match address {
                IpAddr::V4(address) => hash.update(address.octets()),
                IpAddr::V6(address) => hash.update(address.octets()),
            }
        }
        hash.update([protocol, 0]);
        if ports.is_some() {
            hash.update(first_port.to_be_bytes());
            hash.update(second_port.to_be_bytes());
        }
        Some(format!("1:{}", STANDARD.encode(hash.finalize())))
    }

    /// Type and the type that answers it stand for ports; where none does, the code, and the flow
    /// has one direction.
    fn icmp_ports(&self, v6: bool) -> Option<(u16, u16, bool)> {
        let kind = self.icmp_type?;
        let answers = if v6 { &ANSWERS_V6[..] } else { &ANSWERS[..] };
        let answer = answers.iter().find_map(|(ask, answer)| match kind {
            _ if kind == *ask => Some(*answer),
            _ if kind == *answer => Some(*ask),
            _ => None,
        });
        match answer {
            Some(answer) => Some((kind.into(), answer.into(), true)),
            None => Some((kind.into(), self.icmp_code?.into(), false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that the specification's repository gives.
    #[test]
    fn flows_are_named_as_the_specification_names_them_in_both_directions() {
        let tcp = Flow {
            source: "128.232.110.120".parse().ok(),
            destination: "66.35.250.204".parse().ok(),
            protocol: Some(6),
            source_port: Some(34855),
            destination_port: Some(80),
            ..Flow::default()
        };
        assert_eq!(tcp.community_id().as_deref(), Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg="));
        let back = Flow {
            source: tcp.destination,
            destination: tcp.source,
            source_port: tcp.destination_port,
            destination_port: tcp.source_port,
            ..tcp
        };
        assert_eq!(back.community_id(), tcp.community_id());
        let ping = Flow {
            source: "192.168.0.89".parse().ok(),
            destination: "192.168.0.1".parse().ok(),
            protocol: Some(1),
            icmp_type: Some(8),
            icmp_code: Some(0),
            ..Flow::default()
        };
        assert_eq!(ping.community_id().as_deref(), Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk="));
        assert_eq!(Flow { protocol: None, ..tcp }.community_id(), None);
    }
}
