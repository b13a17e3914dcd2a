//! Logs of Apache Kafka's brokers and controllers (server, controller, state-change, log-cleaner
//! and so on), of Kafka Connect and of the tools: log4j's pattern `[%d] %p %m (%c)%n`, in Connect
//! with `%c:%L`, perhaps with `[%t]` at the end or without brackets around the time; and
//! `[%d] [%p] [%t] [%c] - %m`, as others configure it, also as `%d %p %c: [%t]: %m`,
//! `%d %p [%t] %c:%L - %m`, `%d [%t] %p %c - %m`, without the line or the thread; Java's log of its
//! collector; and JSON, an object a line, by the keys that `app.json` knows.
//!
//! <https://kafka.apache.org/documentation/#basic_ops>,
//! <https://logging.apache.org/log4j/2.x/manual/pattern-layout.html>. A record goes on until the
//! next line with a time; an exception and its trace are below the message. `log.level` is in lower
//! case. `message` is without component, class and trace, as in Elastic's documents.
//!
//! `samples/recorded_*` are recorded (tests/record/kafka); those of other versions are composed.

mod framer;
mod parser;
mod trace;

use crate::{Dataset, Parse};

/// `kafka.log`
pub static DATASET: Dataset = Dataset {
    name: "kafka.log",
    module: "kafka",
    framer: &framer::LogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::LogRecord },
};
