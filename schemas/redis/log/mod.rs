//! The log of Redis in every version, and of Valkey: `pid:role dd Mon yyyy hh:mm:ss.mmm * message`;
//! without the year up to 3.2, as `[pid] dd Mon hh:mm:ss.mmm * message` up to 2.8, without
//! milliseconds up to 2.4, without the process up to 1.2. The level is one of `. - * #`.
//!
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/config-file/> (`loglevel`),
//! <https://valkey.io/topics/valkey.conf/> (`log-format`, `log-timestamp-format`: ISO 8601,
//! milliseconds, and lines of `key=value`). What a signal handler writes has
//! `pid:signal-handler (seconds)` before it.
//!
//! A line without a head goes on with the record before. Three things are records of their own: the
//! logo at start-up, an error in the configuration, and a crash report, which is one record from
//! its first line to its last, whatever heads are in it, and has the time of its first.
//!
//! `samples/recorded_*` are recorded (tests/record/redis); those of other versions are composed.

mod framer;
mod head;
mod parser;

use crate::{Dataset, Parse};

/// `redis.log`
pub static DATASET: Dataset = Dataset {
    name: "redis.log",
    module: "redis",
    framer: &framer::LogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::LogRecord },
};
