//! The systemd journal as one log, as `journalctl` prints it for other programs: the Journal Export
//! Format (<https://systemd.io/JOURNAL_EXPORT_FORMATS/>) and its JSON
//! (<https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format>), one object a line
//! (`--output=json`), after `data: ` (`json-sse`) or after a record separator (`json-seq`); and as
//! collectors pass entries on, without their place in the journal and perhaps without a time. What
//! the fields mean is in systemd.journal-fields(7); the names that they get are those of Elastic's
//! journald input.
//!
//! Every entry stays in this dataset, whatever it is about; what logins and packets say is taken
//! out of the message as in `system.auth` and `system.kern`. A source of `system.syslog` takes the
//! same entries and sends each to the member of that family which it belongs to.
//!
//! What has no field of its own is kept below `journald.custom`, under the journal's name as that
//! input writes it, in lower case and without underscores before it; but where an entry stands in
//! its journal (`__CURSOR`, `__SEQNUM`) is not kept. Processes, users and the boot have the names of
//! that input (`journald.process.name`) beside those of ECS, in this dataset only. `process` and
//! `user` are always those of the sender, whatever `OBJECT_PID` says. The
//! priority is RFC 5424's (facility and severity), not the journal's `PRIORITY`, which is the
//! severity alone. The samples are composed by the pages above, values invented.

mod collected;
mod entry;
mod export;
mod framer;
mod json;
mod named;
mod parser;

pub(crate) use entry::{entry, is_entry, may_be_entry};
pub(crate) use export::{Extent, extent};

use crate::{Dataset, Parse};

/// `journald.log`
pub static DATASET: Dataset = Dataset {
    name: "journald.log",
    module: "journald",
    framer: &framer::EntryFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::JournalEntry },
};
