//! nginx's error log: `YYYY/MM/DD hh:mm:ss [level] pid#tid: *connection message`, and after the
//! message what it is about: `, client: …, server: …, request: "…", upstream: "…", host: "…"`.
//!
//! <https://nginx.org/en/docs/ngx_core_module.html#error_log>,
//! <https://nginx.org/en/docs/debugging_log.html>. The log is written as it is: what a client sent
//! or a FastCGI program printed may have quotes and line ends, and a record ends after 2048 bytes,
//! even inside of a quoted text. So a record goes on until the next line with a time, and a quoted
//! text that has no end is only in the message. `message` is whole, as in Elastic's documents.
//!
//! `samples/` are recorded (tests/record/nginx), but for those that are named `composed_…`.

mod framer;
mod parser;

use crate::{Dataset, Parse};

/// `nginx.error`
pub static DATASET: Dataset = Dataset {
    name: "nginx.error",
    module: "nginx",
    framer: &framer::ErrorFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::ErrorRecord },
};
