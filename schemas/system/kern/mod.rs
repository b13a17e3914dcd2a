//! The kernel's messages in syslog, with the packets that netfilter logs (iptables, nftables, UFW,
//! Ubiquiti's devices), and the log of Proxmox's firewall, which holds the same packets.
//!
//! The samples are composed by the formats, every value in them invented.

mod community_id;
mod netfilter;
mod prefix;
mod proxmox;

use crate::datasets::system_syslog::{Family, SyslogFramer, SyslogLine};
use crate::{Dataset, Parse};

pub(crate) use community_id::Flow;
pub(crate) use netfilter::{message, packet};
pub(crate) use proxmox::line as proxmox_line;

/// `system.kern`
pub static DATASET: Dataset = Dataset {
    name: "system.kern",
    module: "system",
    framer: &SyslogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: SyslogLine { family: Family::Kern } },
};
