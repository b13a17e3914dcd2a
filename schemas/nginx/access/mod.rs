//! nginx's access log, in the formats `combined` (its default), `common` and `main`.
//!
//! `combined` is `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
//! "$http_referer" "$http_user_agent"`
//! (<https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>); `common` ends before the
//! referrer, and `main` adds `"$http_x_forwarded_for"`. A host name or further addresses of proxies
//! may precede, and `$request_time` may follow the bytes, as is often configured. What
//! ingress-nginx adds for Kubernetes is read too, and so are objects of JSON (`escape=json`), whose
//! keys are mostly named as nginx's variables. A line of another format is its event's message, at
//! the time that stands in it.

mod ingress;
mod parser;
mod stream;

use crate::{Dataset, LineFramer, Parse};

/// `nginx.access`
pub static DATASET: Dataset = Dataset {
    name: "nginx.access",
    module: "nginx",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::AccessLine },
};
