//! Lambda's platform events as JSON: `{"time":…,"type":"platform.report","record":{…}}`
//! (<https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>).

use super::lambda;
use crate::object::{entries, flattened, parts, scalar};
use crate::scan::Entry;
use crate::time;
use crate::{Event, Field, fields};

/// Says whether the object is one.
pub(super) fn set<'a>(keys: &[Entry<'a>], event: &mut Event<'a>) -> bool {
    let value = |name: &[u8]| keys.iter().find(|entry| entry.key == name).map(|entry| entry.value);
    let kind = value(b"type").and_then(|kind| scalar(kind, event));
    let Some(kind) = kind.and_then(|kind| kind.strip_prefix("platform.")) else { return false };
    let Some(record) = value(b"record").and_then(|record| entries(record, event)) else {
        return false;
    };
    if !event.has(fields::TIMESTAMP)
        && let Some(time) = value(b"time").and_then(|time| scalar(time, event))
        && let Some((stamp, _)) = time::parse_iso(time.as_bytes())
    {
        event.time(stamp);
    }
    let kind = match kind {
        "initStart" => "init_start",
        "initReport" => "init_report",
        "restoreStart" => "restore_start",
        "restoreReport" => "restore_report",
        kind => kind,
    };
    lambda::set_kind(kind, event);
    let mut record = record;
    record.retain(|entry| !set_key(kind, entry, event));
    if let Some(others) = flattened(&record, fields::aws::FIELDS, event) {
        event.set(fields::aws::FIELDS, others);
    }
    lambda::set_outcome(kind, event);
    true
}

/// Says whether the key became a field.
fn set_key<'a>(kind: &str, entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    if entry.key == b"tracing" {
        set_tracing(entry.value, event);
        return false;
    }
    if entry.key == b"metrics" {
        let metrics = entries(entry.value, event).unwrap_or_default();
        let mut all = true;
        for metric in &metrics {
            all &= set_metric(kind, metric, event);
        }
        return all;
    }
    let Some(text) = scalar(entry.value, event) else { return false };
    let field = match entry.key {
        b"requestId" => fields::faas::EXECUTION,
        b"version" | b"functionVersion" => fields::faas::VERSION,
        b"functionName" => fields::faas::NAME,
        b"functionArn" => fields::faas::ID,
        b"status" => fields::aws::lambda::STATUS,
        b"phase" => fields::aws::lambda::PHASE,
        b"errorType" => fields::error::TYPE,
        b"runtimeVersion" => fields::aws::lambda::RUNTIME_VERSION,
        _ => return false,
    };
    event.set(field, text);
    true
}

/// Sets trace and segment, as the text of a report says them: `{"spanId":…,"type":
/// "X-Amzn-Trace-Id","value":"Root=1-…;Parent=…;Sampled=1"}`. It is kept too.
fn set_tracing<'a>(object: &'a [u8], event: &mut Event<'a>) {
    for entry in parts(object) {
        let Some(text) = scalar(entry.value, event) else { continue };
        match entry.key {
            b"spanId" => event.set(fields::span::ID, text),
            b"value" => {
                if let Some(root) = text.split(';').find_map(|part| part.strip_prefix("Root=")) {
                    event.set(fields::trace::ID, root);
                }
            }
            _ => {}
        }
    }
}

/// What took that long depends on the event.
fn set_metric<'a>(kind: &str, entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let number = scalar(entry.value, event).and_then(|text| text.parse::<f64>().ok());
    let Some(number) = number.filter(|number| *number >= 0.0) else { return false };
    let field: Field = match entry.key {
        b"durationMs" if kind == "init_report" => fields::aws::lambda::init_duration::MS,
        b"durationMs" if kind == "restore_report" => fields::aws::lambda::restore_duration::MS,
        b"durationMs" => {
            lambda::set_duration(number, event);
            return true;
        }
        b"billedDurationMs" => fields::aws::lambda::billed_duration::MS,
        b"initDurationMs" => fields::aws::lambda::init_duration::MS,
        b"restoreDurationMs" => fields::aws::lambda::restore_duration::MS,
        b"memorySizeMB" => fields::aws::lambda::memory_size::MB,
        b"maxMemoryUsedMB" => fields::aws::lambda::memory_used::MB,
        _ => return false,
    };
    match field.kind() {
        "long" => event.set(field, number.round() as u64),
        _ => event.set(field, number),
    }
    true
}
