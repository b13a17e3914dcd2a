//! `tahoe search`: what the store holds, from the embedded one or from Elasticsearch.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tahoe_seams::search::{Hit, SearchRequest};

use crate::backends::BackendArgs;

/// Hits that are printed unless --limit says otherwise.
const LIMIT: &str = "100";

/// Print documents that match a query, newest first.
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
    let mut out = BufWriter::new(io::stdout());
    if !args.by.is_empty() {
        let counts = runtime.block_on(store.count(&request))?;
        for row in &counts.rows {
            write_count(&mut out, args, &row.values, row.events)?;
        }
        if counts.rows_left_out > 0 {
            eprintln!("{} more rows: raise --limit", counts.rows_left_out);
        }
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut failure = None;
    runtime.block_on(store.search(&request, &mut |hit| match write_hit(&mut out, args, &hit) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    }))?;
    match failure.map_or_else(|| out.flush(), Err) {
        // A reader that has seen enough (head) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        result => Ok(result.map(|()| ExitCode::SUCCESS)?),
    }
}

fn write_count(
    out: &mut impl Write,
    args: &SearchArgs,
    values: &[Option<String>],
    events: u64,
) -> io::Result<()> {
    if args.json {
        let fields = args.by.iter().cloned().zip(values.iter().map(|v| serde_json::json!(v)));
        let mut row: serde_json::Map<_, _> = fields.collect();
        row.insert("count".to_owned(), events.into());
        return writeln!(out, "{}", serde_json::Value::Object(row));
    }
    let values: Vec<_> = values.iter().map(|value| value.as_deref().unwrap_or("-")).collect();
    writeln!(out, "{events:>10}  {}", values.join("  "))
}

fn write_hit(out: &mut impl Write, args: &SearchArgs, hit: &Hit<'_>) -> io::Result<()> {
    if args.json {
        write!(out, "{{\"_id\":\"{}\",\"_index\":\"{}\",\"_source\":", hit.id, hit.index)?;
        out.write_all(hit.source)?;
        return out.write_all(b"}\n");
    }
    let source: serde_json::Value = serde_json::from_slice(hit.source).unwrap_or_default();
    let text = |pointer: &str| source.pointer(pointer).and_then(|v| v.as_str()).unwrap_or("-");
    writeln!(
        out,
        "{} {:<14} {:<9} {}",
        text("/@timestamp"),
        text("/event/dataset"),
        text("/log/level"),
        text("/message").lines().next().unwrap_or_default()
    )
}
