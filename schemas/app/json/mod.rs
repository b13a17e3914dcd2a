//! One JSON object a line, from any application: what its keys are usually called is recognised,
//! all other keys are kept in `app.fields`, as they are.
//!
//! Known by name: ecs-logging (<https://www.elastic.co/docs/reference/ecs/logging/intro>), pino
//! (<https://getpino.io/#/docs/api>), bunyan (<https://github.com/trentm/node-bunyan>), winston,
//! structlog (<https://www.structlog.org/en/stable/standard-library.html>), python-json-logger as
//! in Django, zap, zerolog, logrus and Go's `slog`, Serilog's CLEF
//! (<https://clef-json.org>) and its older formatter, log4j2, logback's encoder, Monolog, GELF
//! (<https://go2docs.graylog.org/current/getting_in_log_data/gelf.html>), Google Cloud's structured
//! logging (<https://cloud.google.com/logging/docs/structured-logging>), Quarkus, and Envoy's and
//! Istio's access logs.
//!
//! A key has one role (`keys.rs`), wherever its name comes from, so that a user's own names can be
//! added as further keys of the same roles. Of several keys of one role the first is taken; names
//! that are common words (`event`, `date`, `name`) only where no better one is there.
//!
//! Lines between the objects, such as a traceback, are messages with the time of the object before
//! them. The samples are composed by the pages above, values invented.

mod error;
mod framer;
mod keys;
mod level;
mod mapped;
mod moment;
mod object;
mod parser;
mod stamp;
mod writer;

pub(crate) use stamp::parse as json_stamp;

use crate::{Dataset, Parse};

pub(crate) use object::{set, set_access, set_level};

/// `app.json`
pub static DATASET: Dataset = Dataset {
    name: "app.json",
    module: "app",
    framer: &framer::ObjectFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::ObjectLine },
};
