//! Laravel's log, and that of any application which logs by Monolog: lines of its LineFormatter,
//! or objects of its JsonFormatter, LogstashFormatter or of ecs-logging, one a line
//! (<https://github.com/Seldaek/monolog/tree/main/src/Monolog/Formatter>).
//!
//! `[2026-03-04 09:27:05] production.ERROR: message {"context":1} {"extra":2}`: context and extra
//! are left out when empty, or `[]`. Laravel lets real line ends through, in the message and in
//! the strings of the context, so a record goes on until the next line that looks like a header.
//! PHP's own errors and what workers say of their jobs (`console`) are records of their own.

mod console;
mod context;
mod exception;
mod framer;
mod header;
mod parser;
mod stamp;
mod tail;

use crate::{Dataset, Parse};

/// `laravel.log`
pub static DATASET: Dataset = Dataset {
    name: "laravel.log",
    module: "laravel",
    framer: &framer::HeaderFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::LogRecord },
};
