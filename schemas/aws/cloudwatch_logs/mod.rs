//! Log events of CloudWatch, in every form in which they leave it, and what their messages say.
//!
//! - what a subscription sends, one object after another, perhaps without a line end between them:
//!   <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
//! - answers of `GetLogEvents` and `FilterLogEvents`, or single log events of them
//!   (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_OutputLogEvent.html>)
//!   with `logGroup` and `logStream` added by who asked
//! - lines of an export to S3, `<time> <message>`, or messages alone
//!
//! An object with several log events is one record and several events. Messages that are known:
//! VPC flow logs (<https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>), by the
//! default format or by a header line, which is carried; Lambda's own lines, as text and as JSON
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>); access logs of
//! API Gateway, queries that Route 53 answered, audit logs of Kubernetes in EKS; JSON objects as
//! `app.json` reads them, if they have a message or a level. Log groups of RDS say which log of
//! which database they hold; its lines stay messages, since their own datasets would lose where
//! they came from.
//!
//! The samples are composed by the pages above, values invented.

mod apigateway;
mod audit;
mod flow;
mod framer;
mod group;
mod lambda;
mod message;
mod parser;
mod platform;
mod route53;
mod shape;
mod stamp;

use crate::Dataset;

/// `aws.cloudwatch_logs`
pub static DATASET: Dataset = Dataset {
    name: "aws.cloudwatch_logs",
    module: "aws",
    framer: &framer::LogFramer,
    normalizer: &parser::LogRecord,
};
