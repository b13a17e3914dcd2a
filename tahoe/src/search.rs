//! `tahoe search`: what the store holds, from the embedded one or from Elasticsearch.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use tahoe_schemas::Field;
use tahoe_seams::search::{Hit, Search, SearchRequest};
use tahoe_transformer::replay::leaves;

use crate::backends::BackendArgs;
use crate::output::{self, Output};

/// Hits that are printed unless --limit says otherwise.
const LIMIT: &str = "100";

/// Characters of its fields that stand for an event without a message.
const SAID_CHARS_MAX: usize = 200;
/// Objects of fields that every event has, or that repeat others.
const COMMON: [&str; 11] = [
    "@timestamp",
    "agent",
    "data_stream",
    "ecs",
    "event",
    "host",
    "log",
    "message",
    "related",
    "service",
    "tahoe",
];

/// Print documents that match a query, newest first: time, dataset, level, and the first line of the
/// message, or the fields of an event that has none.
///
/// The query is what Kibana's search bar takes in Lucene syntax: log.level:error AND "timed out".
///
/// Example: tahoe search 'log.level:error' --last 1h
#[derive(Args)]
pub struct SearchArgs {
    /// What to look for; everything if it is left out
    #[arg(default_value = "*", value_name = "QUERY")]
    query: String,
    /// Only events of the last 15m, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = crate::time::duration)]
    last: Option<Duration>,
    /// Documents to print at most, or `all`
    #[arg(long, default_value = LIMIT, value_parser = limit)]
    limit: Limit,
    /// Print one JSON object a line: {"_id", "_index", "_source"}
    #[arg(long)]
    json: bool,
    /// Count by these fields instead of printing documents
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    by: Vec<String>,
    #[command(flatten)]
    backends: BackendArgs,
}

#[derive(Clone, Copy)]
struct Limit(Option<usize>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "all" => Ok(Limit(None)),
        _ => text.parse().map(|n| Limit(Some(n))).map_err(|_| "a number, or all".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let now = jiff::Timestamp::now().as_millisecond();
    let request = SearchRequest {
        query: args.query.clone(),
        from_ms: args.last.map(|last| now - i64::try_from(last.as_millis()).unwrap_or(i64::MAX)),
        to_ms: None,
        limit: args.limit.0,
        by: args.by.clone(),
    };
    let store = args.backends.search()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    output::telling(|out| {
        match args.by.is_empty() {
            true => runtime.block_on(documents(store.as_ref(), args, &request, out))?,
            false => runtime.block_on(counts(store.as_ref(), args, &request, out))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn counts(
    store: &dyn Search,
    args: &SearchArgs,
    request: &SearchRequest,
    out: &mut Output,
) -> anyhow::Result<()> {
    let counts = store.count(request).await?;
    for (n, field) in request.by.iter().enumerate() {
        let has_values = counts.rows.iter().any(|row| row.values[n].is_some());
        if !has_values && !is_known(store, field).await? {
            bail!(
                "--by {field}: no document has this field and no dataset declares it: \
                 `tahoe schema DATASET` prints those that it may have"
            );
        }
    }
    for row in &counts.rows {
        write_count(out, args, &row.values, row.events)?;
    }
    if counts.rows_left_out > 0 {
        eprintln!("{} more rows: raise --limit", counts.rows_left_out);
    }
    Ok(())
}

/// Whether a field is declared, or in a document whatever was looked for.
async fn is_known(store: &dyn Search, field: &str) -> anyhow::Result<bool> {
    if matches!(field, "_index" | "_id") || Field::holding(field).is_some() {
        return Ok(true);
    }
    // One row may be of the documents without it.
    let request =
        SearchRequest { limit: Some(2), by: vec![field.to_owned()], ..SearchRequest::default() };
    let counts = store.count(&request).await?;
    Ok(counts.rows.iter().any(|row| row.values.iter().any(Option::is_some)))
}

async fn documents(
    store: &dyn Search,
    args: &SearchArgs,
    request: &SearchRequest,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut written = Ok(());
    let mut visit = |hit: Hit<'_>| {
        written = write_hit(out, args, &hit);
        match written.is_ok() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    store.search(request, &mut visit).await?;
    Ok(written?)
}

fn write_count(
    out: &mut impl Write,
    args: &SearchArgs,
    values: &[Option<String>],
    events: u64,
) -> io::Result<()> {
    if args.json {
        let fields = args.by.iter().cloned().zip(values.iter().map(|value| json!(value)));
        let mut row: serde_json::Map<_, _> = fields.collect();
        row.insert("count".to_owned(), events.into());
        return writeln!(out, "{}", Value::Object(row));
    }
    let values: Vec<_> = values.iter().map(|value| value.as_deref().unwrap_or("-")).collect();
    writeln!(out, "{events:>10}  {}", values.join("  "))
}

fn write_hit(out: &mut impl Write, args: &SearchArgs, hit: &Hit<'_>) -> io::Result<()> {
    if args.json {
        // The source as it is, the other two as texts of whoever made them.
        write!(out, "{{\"_id\":{},\"_index\":{},\"_source\":", json!(hit.id), json!(hit.index))?;
        out.write_all(hit.source)?;
        return out.write_all(b"}\n");
    }
    let source: Value = serde_json::from_slice(hit.source).unwrap_or_default();
    let text = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
    let head = |pointer: &str| text(pointer).unwrap_or("-");
    let (time, dataset, level) = (head("/@timestamp"), head("/event/dataset"), head("/log/level"));
    write!(out, "{time} {dataset:<14} {level:<9} ")?;
    let said = match text("/message").and_then(|message| message.lines().next()) {
        Some(line) => line.to_owned(),
        None => said_by_fields(source),
    };
    writeln!(out, "{}", output::printable(&said))
}

/// What an event without a message says: the fields that are not of every event.
fn said_by_fields(source: Value) -> String {
    let is_common = |path: &str| COMMON.contains(&path.split('.').next().unwrap_or(path));
    let own = leaves(source).into_iter().filter(|(path, _)| !is_common(path));
    let shown = |(path, value): (String, Value)| match value {
        Value::String(text) if !text.contains([' ', '"', '\n']) => format!("{path}={text}"),
        value => format!("{path}={value}"),
    };
    let said = own.map(shown).collect::<Vec<_>>().join(" ");
    match said.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_a_message_is_told_by_its_own_fields() {
        let event = json!({
            "@timestamp": "2026-11-21T09:00:00Z", "event": {"dataset": "nginx.access"},
            "http": {"request": {"method": "GET"}, "response": {"status_code": 404}},
            "url": {"original": "/a b"}, "tags": ["x"],
        });
        let said = r#"http.request.method=GET http.response.status_code=404 tags=["x"] url.original="/a b""#;
        assert_eq!(said_by_fields(event), said);
        let long = said_by_fields(json!({"db": {"after": {"a": "é".repeat(500), "b": 1}}}));
        assert_eq!((long.chars().count(), long.ends_with("é…")), (SAID_CHARS_MAX + 1, true));
        assert_eq!(said_by_fields(json!({"event": {"kind": "event"}})), "");
    }
}
