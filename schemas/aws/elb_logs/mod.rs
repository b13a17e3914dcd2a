//! The access logs of AWS load balancers, and the connection and health check logs of the
//! application ones, as they lie in S3: one entry a line, columns with spaces between them, some of
//! them quoted.
//!
//! - classic, HTTP and TCP:
//!   <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html>
//! - application, from the first version (without what follows `trace_id`) to the one that tells
//!   of rewritten hosts and URIs:
//!   <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>,
//!   <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html>,
//!   <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-health-check-logs.html>
//! - network, TLS listeners:
//!   <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-access-logs.html>
//!
//! An entry says which of them it is by its first columns. Later versions add columns at the end
//! only; an entry with columns that are not known here is kept as message too. The target is in
//! `aws.elb.backend.*`, as in Elastic's integration, since the client never talked to it;
//! `destination.*` is the load balancer as the client sees it.
//!
//! No load balancer could be had: the samples are composed by the pages above, values invented.

mod columns;
mod entry;
mod framer;
mod parser;
mod request;

use crate::{Dataset, Parse};

/// `aws.elb_logs`
pub static DATASET: Dataset = Dataset {
    name: "aws.elb_logs",
    module: "aws",
    framer: &framer::EntryFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::Entry },
};
