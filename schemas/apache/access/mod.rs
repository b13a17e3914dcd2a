//! Apache's access log in the formats that its configuration comes with: `common`, `combined`,
//! `vhost_combined` (`%v:%p` first), and the log of SSL requests, `%t %h %{SSL_PROTOCOL}x
//! %{SSL_CIPHER}x "%r" %b`; with `%D` or `%T` after the bytes and `X-Forwarded-For` at the end, as
//! is often configured, with the time before the client, with `%I %O` (`combinedio`), and with
//! addresses of proxies in place of `%h`. Objects of JSON are read too.
//!
//! <https://httpd.apache.org/docs/2.4/logs.html#accesslog>,
//! <https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats>. A line of no such format is
//! its event's message; what follows the known columns is too. `-` stands for nothing and is left
//! out, as Elastic's newest pipeline does.
//!
//! `samples/recorded_*` are recorded (tests/record/apache); the others are composed by the
//! documentation.

mod parser;

use crate::{Dataset, LineFramer, Parse};

/// `apache.access`
pub static DATASET: Dataset = Dataset {
    name: "apache.access",
    module: "apache",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::AccessLine },
};
