//! From a bulk answer to one outcome per event: only what can never succeed is a rejection.

use std::borrow::Cow;

use serde::Deserialize;
use tahoe_seams::{Outcome, Rejection, SinkError};
use tracing::warn;

use crate::connection::clipped;

/// What of a bulk answer is read; everything else stays on the server. `errors` is not asked:
/// a document that went to the failure store is no error there.
pub(crate) const FILTER: &str = "items.*.status,items.*.failure_store,items.*.error.type,\
    items.*.error.reason,items.*.error.caused_by.reason";

/// An index or the cluster takes no writes.
const BLOCKED: &str = "cluster_block_exception";

/// The document is there.
const CONFLICT: &str = "version_conflict_engine_exception";

/// The queue of a node's writers is full.
const FULL: &str = "es_rejected_execution_exception";

#[derive(Deserialize)]
struct BulkAnswer<'a> {
    #[serde(borrow, default)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, alias = "index", alias = "delete")]
    create: Created<'a>,
}

#[derive(Deserialize)]
struct Created<'a> {
    status: u16,
    failure_store: Option<&'a str>,
    error: Option<Box<Failure>>,
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    caused_by: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    reason: Option<String>,
}

/// Writes the outcome of each event over `outcomes`, which are those of one request, in order.
///
/// # Errors
/// [`SinkError::Unavailable`] if the answer does not fit the request, so that the fate of its
/// events is unknown; [`SinkError::Refused`] if an item failed for a reason that is a setting's.
pub(crate) fn read(answer: &[u8], outcomes: &mut [Outcome]) -> Result<(), SinkError> {
    if all_stored(answer, outcomes.len()) {
        outcomes.fill(Outcome::Stored);
        return Ok(());
    }
    let parsed = parse(answer, outcomes.len())?;
    for (item, outcome) in parsed.items.iter().zip(outcomes) {
        *outcome = of_item(&item.create)?;
    }
    tell_what_waits(&parsed);
    Ok(())
}

/// Says for what reason events wait, but for a full queue, which is a server's daily work.
fn tell_what_waits(answer: &BulkAnswer<'_>) {
    let waits = |item: &&Item<'_>| {
        matches!(of_item(&item.create), Ok(Outcome::Busy))
            && item.create.error.as_ref().is_none_or(|error| error.kind != FULL)
    };
    let mut waiting = answer.items.iter().filter(waits);
    let Some(first) = waiting.next().map(|item| &item.create) else { return };
    let events = waiting.count() + 1;
    match first.error.as_deref() {
        Some(error) if error.kind == BLOCKED => {
            let advice = "full disk (its flood-stage watermark), or a block that somebody set";
            warn!(events, text = error.text(), advice, "the server takes no events now");
        }
        // The reasons of others quote documents.
        error => {
            let text = format!("{} {}", first.status, error.map_or("", |error| &error.kind));
            warn!(events, text, "the server takes no events now");
        }
    }
}

/// Writes over `outcomes` what became of documents that were written over or deleted as they were
/// seen: [`Outcome::Busy`] of one that is no longer so, or whose backing index is gone.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_rewritten(answer: &[u8], outcomes: &mut [Outcome]) -> Result<(), SinkError> {
    let parsed = parse(answer, outcomes.len())?;
    for (item, outcome) in parsed.items.iter().zip(outcomes) {
        *outcome = match item.create.status {
            404 | 409 => Outcome::Busy,
            _ => of_item(&item.create)?,
        };
    }
    Ok(())
}

fn parse(answer: &[u8], events: usize) -> Result<BulkAnswer<'_>, SinkError> {
    let unclear = |text, cause| SinkError::Unavailable(text, cause);
    let parsed: BulkAnswer<'_> = serde_json::from_slice(answer).map_err(|error| {
        let text = "the bulk answer is not Elasticsearch's: is --elasticsearch right?".to_owned();
        unclear(text, Some(Box::new(error)))
    })?;
    match parsed.items.len() {
        items if items == events => Ok(parsed),
        items => Err(unclear(format!("a bulk answer has {items} items for {events} events"), None)),
    }
}

/// The answer says for every event that it was created, and nothing else. Most answers are this
/// one, and comparing bytes takes a small part of the 0.2 CPU-s that parsing a million items does.
fn all_stored(answer: &[u8], events: usize) -> bool {
    const ITEM: &[u8] = br#"{"create":{"status":201}}"#;
    let Some(items) = answer.strip_prefix(br#"{"items":["#).and_then(|a| a.strip_suffix(b"]}"))
    else {
        return false;
    };
    // Each with a comma after it but the last.
    items.len() + 1 == events * (ITEM.len() + 1)
        && items
            .chunks(ITEM.len() + 1)
            .all(|item| item.strip_prefix(ITEM).is_some_and(|rest| rest.is_empty() || rest == b","))
}

fn of_item(item: &Created<'_>) -> Result<Outcome, SinkError> {
    if let Some("used") = item.failure_store {
        let text = item.error.as_deref().map(Failure::text).unwrap_or_default();
        let reason = format!("the data stream took it into its failure store {text}");
        return Ok(rejected("failure_store", reason.trim_end().to_owned()));
    }
    match (item.status, item.error.as_deref()) {
        (200 | 201, _) => Ok(Outcome::Stored),
        // Other conflicts are between states of an index, and pass.
        (409, Some(error)) if error.kind != CONFLICT => Ok(Outcome::Busy),
        (409, _) => Ok(Outcome::AlreadyThere),
        (408 | 429 | 500.., _) => Ok(Outcome::Busy),
        (status, error) => of_failure(status, error.unwrap_or(&Failure::default())),
    }
}

/// An item that was refused. For the document's sake it is rejected; for a setting's sake, or for a
/// reason that is not known here, it is kept, and a person is told: every event of its data stream
/// may share this fate.
fn of_failure(status: u16, error: &Failure) -> Result<Outcome, SinkError> {
    let text = error.text();
    if let Some(advice) = advice(&error.kind, &text) {
        return Err(refused(format!("{text}: {advice}")));
    }
    match (status, error.kind.as_str()) {
        // Flood-stage watermark, or a block that an operator set: it passes.
        (_, BLOCKED) => Ok(Outcome::Busy),
        // Somebody else made the backing index at the same time.
        (_, "resource_already_exists_exception") => Ok(Outcome::Busy),
        (401, _) => Err(refused(format!("{text}: check ELASTIC_PASSWORD or ELASTIC_API_KEY"))),
        (403, _) => Err(refused(format!(
            "{text}: give the user of ELASTIC_PASSWORD or ELASTIC_API_KEY the privileges \
             create_doc and auto_configure on logs-*, and for --latest-state read, write, \
             create_index and maintenance on rows-*"
        ))),
        // No template covers the name: every event of its dataset would share this fate.
        (404, _) => Err(refused(format!("{text}: run `tahoe setup`, which creates the templates"))),
        (_, "invalid_index_name_exception") => Ok(rejected("data_stream_name", text)),
        _ if text.contains("immense term") => Ok(rejected("too_long", text)),
        (413, _) => Ok(rejected("too_large", text)),
        (
            400,
            "document_parsing_exception"
            | "mapper_parsing_exception"
            | "strict_dynamic_mapping_exception"
            | "illegal_argument_exception",
        ) => Ok(rejected("mapping", text)),
        // What pipelines of the operator's own say of a document.
        (
            400,
            "parse_exception"
            | "parsing_exception"
            | "x_content_parse_exception"
            | "script_exception"
            | "ingest_processor_exception"
            | "timestamp_error",
        ) => Ok(rejected("store", format!("{status} {text}"))),
        (_, kind) => Err(refused(format!(
            "{status} {kind}: {text}: mend what the server says; if it is about one document alone, \
             that holds up the rest, and this version must learn it"
        ))),
    }
}

/// What to change, if a refusal is about the cluster, a data stream or a template, and so about
/// more than the document.
fn advice(kind: &str, text: &str) -> Option<&'static str> {
    let says = |part| text.contains(part);
    match kind {
        _ if says("shards open") => Some(
            "raise cluster.max_shards_per_node, or make fewer or delete data streams (tahoe retention)",
        ),
        "index_closed_exception" => Some("open the backing index (POST INDEX/_open)"),
        "validation_exception" | "invalid_index_template_exception" => {
            Some("the server makes no index for it: mend that, or run `tahoe setup`")
        }
        "mapper_parsing_exception" if says("Failed to parse mapping") => {
            Some("mend the index template, or run `tahoe setup`")
        }
        "illegal_argument_exception" if says("pipeline with id") => {
            Some("create the pipeline, or mend index.default_pipeline")
        }
        "illegal_argument_exception" if says("umber of documents in the") => {
            Some("the backing index is full: roll the data stream over (POST STREAM/_rollover)")
        }
        "illegal_argument_exception"
            if says("index template") || says("unknown setting") || says("data tier") =>
        {
            Some("mend the index template, or run `tahoe setup`")
        }
        _ => None,
    }
}

impl Failure {
    fn text(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or(&self.kind);
        let cause = self.caused_by.as_ref().and_then(|cause| cause.reason.as_deref());
        match cause {
            Some(cause) if !reason.contains(cause) => clipped(&shortened(reason, cause)),
            _ => clipped(reason),
        }
    }
}

/// Both, the first one clipped alone if need be, so that a long preview leaves room for the cause.
fn shortened(reason: &str, cause: &str) -> String {
    let head: Cow<'_, str> = match reason.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &reason[..end]).into(),
        None => reason.into(),
    };
    format!("{head}: {cause}")
}

fn rejected(code: &'static str, reason: String) -> Outcome {
    Outcome::Rejected(Rejection::whole(code, reason))
}

fn refused(text: String) -> SinkError {
    SinkError::Refused(text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(items: &[&str]) -> Result<Vec<Outcome>, SinkError> {
        let items: Vec<_> = items.iter().map(|item| format!(r#"{{"create":{item}}}"#)).collect();
        let mut outcomes = vec![Outcome::Busy; items.len()];
        read(format!(r#"{{"items":[{}]}}"#, items.join(",")).as_bytes(), &mut outcomes)?;
        Ok(outcomes)
    }

    fn code(item: &str) -> &'static str {
        match outcomes(&[item]).expect("an outcome").pop() {
            Some(Outcome::Rejected(rejection)) => rejection.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_item_has_its_own_outcome() {
        let items = [
            r#"{"status":201}"#,
            r#"{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"x"}}"#,
            r#"{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"x"}}"#,
            r#"{"status":503,"error":{"type":"unavailable_shards_exception","reason":"x"}}"#,
            r#"{"status":403,"error":{"type":"cluster_block_exception","reason":"x"}}"#,
        ];
        let expected =
            [Outcome::Stored, Outcome::AlreadyThere, Outcome::Busy, Outcome::Busy, Outcome::Busy];
        assert_eq!(outcomes(&items).expect("an answer"), expected);
    }

    #[test]
    fn the_usual_answer_is_known_by_its_bytes_and_no_other_one_is() {
        let answer = br#"{"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        assert!(all_stored(answer, 2));
        assert!(!all_stored(answer, 1) && !all_stored(answer, 3));
        let conflict = br#"{"items":[{"create":{"status":201}},{"create":{"status":409}}]}"#;
        assert!(!all_stored(conflict, 2));
        assert!(!all_stored(br#"{"items":[]}"#, 0));
    }

    #[test]
    fn a_document_in_the_failure_store_is_rejected_although_the_server_calls_it_created() {
        assert_eq!(code(r#"{"status":201,"failure_store":"used"}"#), "failure_store");
        let other = outcomes(&[r#"{"status":201,"failure_store":"not_enabled"}"#]);
        assert_eq!(other.expect("an answer"), [Outcome::Stored]);
    }

    #[test]
    fn a_document_that_can_never_be_stored_is_rejected_with_a_code() {
        let mapping = r#"{"status":400,"error":{"type":"document_parsing_exception",
            "reason":"failed to parse field [n]","caused_by":{"reason":"For input: \"no\""}}}"#;
        assert_eq!(code(mapping), "mapping");
        let long = format!(
            r#"{{"status":400,"error":{{"type":"document_parsing_exception","reason":"{}",
            "caused_by":{{"reason":"contains at least one immense term"}}}}}}"#,
            "x".repeat(40_000)
        );
        assert_eq!(code(&long), "too_long");
        let name = r#"{"status":400,"error":{"type":"invalid_index_name_exception","reason":"x"}}"#;
        assert_eq!(code(name), "data_stream_name");
    }

    #[test]
    fn what_a_setting_mends_is_no_rejection() {
        let missing = outcomes(&[
            r#"{"status":404,"error":{"type":"index_not_found_exception","reason":"none"}}"#,
        ]);
        let error = missing.expect_err("a missing template").to_string();
        assert!(error.contains("tahoe setup"), "{error}");
        let unknown =
            outcomes(&[r#"{"status":400,"error":{"type":"news_exception","reason":"x"}}"#]);
        let error = unknown.expect_err("it may be about every document").to_string();
        assert!(error.contains("400 news_exception: x"), "{error}");
        let pipeline = outcomes(&[r#"{"status":400,"error":{
            "type":"illegal_argument_exception","reason":"pipeline with id [x] does not exist"}}"#]);
        assert!(matches!(pipeline, Err(SinkError::Refused(..))));
    }

    #[test]
    fn an_answer_that_does_not_fit_leaves_the_fate_of_its_events_unknown() {
        for answer in ["", "<html>", "{}", r#"{"items":[{"create":{"status":201}}"#] {
            let result = read(answer.as_bytes(), &mut [Outcome::Busy]);
            assert!(matches!(result, Err(SinkError::Unavailable(..))), "{answer}");
        }
    }
}
