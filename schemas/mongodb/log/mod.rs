//! The log of mongod and mongos: objects, one a line, since 4.4
//! (<https://www.mongodb.com/docs/manual/reference/log-messages/>), text before
//! (<https://www.mongodb.com/docs/v4.2/reference/log-messages/>), and either of them through
//! syslog, where the server leaves the time to the envelope.
//!
//! `{"t":{"$date":…},"s":"I","c":"NETWORK","id":22943,"ctx":"listener","msg":…,"attr":{…}}`, with
//! `svc` since 8.0; `<time> <severity> <component> [<context>] <message>` since 3.0; before that
//! neither severity nor component, and before 2.6 the C library's time, without a year. A text may
//! go on for lines, as a backtrace does.
//!
//! No server of these versions could be run to make the samples: they are composed by the pages
//! above, every value in them invented.

mod attributes;
mod document;
mod framer;
mod head;
mod occasion;
mod operation;
mod outline;
mod parser;
mod peer;
mod sentence;

use crate::{Dataset, Parse};

/// `mongodb.log`
pub static DATASET: Dataset = Dataset {
    name: "mongodb.log",
    module: "mongodb",
    framer: &framer::LogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::LogRecord },
};
