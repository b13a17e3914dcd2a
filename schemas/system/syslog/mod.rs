//! Syslog of any program: RFC 5424 and RFC 3164, from files and sockets, inside JSON objects, and
//! entries of the systemd journal. Records about logins and rights go to `system.auth`, the kernel's
//! to `system.kern`.
//!
//! <https://www.rfc-editor.org/rfc/rfc5424>, <https://www.rfc-editor.org/rfc/rfc3164>, and the
//! formats that rsyslog, macOS, BusyBox, OpenWrt, FreeBSD, AIX, Solaris, ESXi, journalctl, dmesg
//! and network devices write.

mod clock;
mod codes;
mod device;
pub(crate) mod envelope;
mod family;
mod framer;
mod pairs;
mod parser;
mod stamp;
mod structured;
mod tag;
mod wrapped;

pub(crate) use codes::codes;
pub(crate) use envelope::{Envelope, head};
pub(crate) use family::{Family, family_of};
pub(crate) use framer::SyslogFramer;
pub(crate) use parser::{SyslogLine, common};

use crate::{Dataset, Parse};

/// `system.syslog`
pub static DATASET: Dataset = Dataset {
    name: "system.syslog",
    module: "system",
    framer: &SyslogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: SyslogLine { family: Family::Any } },
};
