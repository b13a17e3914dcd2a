//! The kernel's messages in syslog, with the packets that netfilter logs (iptables, UFW).

mod netfilter;

use crate::datasets::system_syslog::{Family, SyslogFramer, SyslogLine};
use crate::{Dataset, Parse};

pub(crate) use netfilter::message;

/// `system.kern`
pub static DATASET: Dataset = Dataset {
    name: "system.kern",
    module: "system",
    framer: &SyslogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: SyslogLine { family: Family::Kern } },
};
