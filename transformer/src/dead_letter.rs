//! Rejected records go to `<topic>.dlq` with why, where they stood and their bytes as they were.

use std::ops::ControlFlow;
use std::time::Duration;

use tahoe_pipeline::partition;
use tahoe_seams::{Log, LogError, Outgoing, Rejection};

use crate::intake::Place;

/// Name of a topic's dead letters.
pub fn topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Appends dead letters and returns when they are durable. Their bytes are read again from the
/// log, so that the many records that are not rejected are never copied.
///
/// Headers: `tahoe` as it was, `tahoe.code`, `tahoe.reason`, `tahoe.byte` if it is known,
/// `tahoe.topic`, `tahoe.partition`, `tahoe.offset`, and `tahoe.ordinal`, the number in its pack.
pub fn append(
    log: &dyn Log,
    partitions: &[(String, u32)],
    rejected: &[(Place, Rejection)],
) -> Result<(), LogError> {
    for (place, rejection) in rejected {
        let (source, partition) = &partitions[place.partition as usize];
        let mut sent = Ok(());
        let end = place.offset + 1;
        log.scan(source, *partition, place.offset, end, &mut |found| {
            sent = append_one(log, &found, place.ordinal, rejection);
            ControlFlow::Break(())
        })?;
        sent?;
    }
    Ok(())
}

fn append_one(
    log: &dyn Log,
    found: &tahoe_seams::LogRecord<'_>,
    ordinal: u32,
    rejection: &Rejection,
) -> Result<(), LogError> {
    let topic = topic(found.topic);
    let partition = partition::of_key(found.key, log.partitions(&topic)?);
    let at = [found.partition.to_string(), found.offset.to_string(), ordinal.to_string()];
    let byte = rejection.byte.map(|byte| byte.to_string());
    let mut headers = vec![
        ("tahoe.code", rejection.code.as_bytes()),
        ("tahoe.reason", rejection.reason.as_bytes()),
        ("tahoe.topic", found.topic.as_bytes()),
        ("tahoe.partition", at[0].as_bytes()),
        ("tahoe.offset", at[1].as_bytes()),
        ("tahoe.ordinal", at[2].as_bytes()),
    ];
    headers.extend(byte.as_ref().map(|byte| ("tahoe.byte", byte.as_bytes())));
    let pending = log.append(&[Outgoing {
        topic: &topic,
        partition,
        key: found.key,
        value: found.value,
        timestamp_ms: found.timestamp_ms,
        header: found.header,
        more_headers: &headers,
    }])?;
    loop {
        if let Some(result) = pending.wait(Duration::from_secs(1)) {
            return result.map(drop);
        }
    }
}
