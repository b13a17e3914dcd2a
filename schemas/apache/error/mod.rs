//! Apache's error log. Up to 2.2 `[Www Mmm dd hh:mm:ss yyyy] [level] [client address] message`,
//! from 2.4 on `[… hh:mm:ss.micros yyyy] [module:level] [pid n:tid n] [client address:port]
//! AHnnnnn: message, referer: …`, where `file.c(line): ` and `(errno)text: ` may stand before the client.
//!
//! <https://httpd.apache.org/docs/2.2/logs.html#errorlog>,
//! <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>. Apache escapes what it writes,
//! so a record is a line; but what a program writes to standard error arrives as it is, and lines
//! of it without a time are one record together. `message` begins where Elastic's does: after the
//! client, if nothing stands between it and the process.
//!
//! `samples/recorded_*` are recorded (tests/record/apache); the others are composed by the
//! documentation.

mod framer;
mod parser;

use crate::{Dataset, Parse};

/// `apache.error`
pub static DATASET: Dataset = Dataset {
    name: "apache.error",
    module: "apache",
    framer: &framer::ErrorFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::ErrorRecord },
};
