//! What the names of log groups and streams say.

use crate::find::Find;
use crate::{Event, fields};

/// Sets whose log it is: `/aws/lambda/<function>`, `/aws/rds/instance/<name>/<log>`,
/// `/aws/rds/cluster/<name>/<log>`.
pub(super) fn set(event: &mut Event<'_>) {
    let Some(group) = event.get_str(fields::aws::cloudwatch::LOG_GROUP) else { return };
    let stream = event.get_str(fields::aws::cloudwatch::LOG_STREAM).unwrap_or_default();
    let mut parts = group.strip_prefix("/aws/").unwrap_or_default().splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("lambda"), Some(function), None, _) => {
            event.set(fields::cloud::service::NAME, "lambda");
            event.set(fields::faas::NAME, function);
            // <date>/[<version>]<instance>
            if let Some((_, rest)) = stream.split_on_byte(b'[')
                && let Some((version, _)) = rest.split_on_byte(b']')
            {
                event.set(fields::faas::VERSION, version);
            }
        }
        (Some("rds"), Some("instance" | "cluster"), Some(name), Some(log)) => {
            event.set(fields::cloud::service::NAME, "rds");
            event.set(fields::aws::rds::NAME, name);
            event.set(fields::aws::rds::LOG_TYPE, log);
        }
        _ => {}
    }
}
