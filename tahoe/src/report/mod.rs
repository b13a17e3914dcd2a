//! `tahoe report`: how things went for one company, as a page to read and print and as numbers to
//! reckon with, from whichever store there is.

mod chart;
mod facts;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tahoe_seams::search::Search;

use crate::backends::BackendArgs;
use crate::{dataset, output};
use facts::{Fact, Period, Ranking};

/// Write a page and a table of how things went for one company.
///
/// The page is one file of HTML, charts and all, to be read and printed by everybody; the table is
/// CSV with the same numbers. Each number stands beside that of the time before, as long as this one.
///
/// Example: tahoe report --namespace acme --from 7d
#[derive(Args)]
pub struct ReportArgs {
    /// The company: the namespace of its events
    #[arg(long, env = "TAHOE_NAMESPACE", default_value = "default", value_name = "NAME",
        value_parser = dataset::namespace)]
    namespace: String,
    /// From when on: 2026-11-01, 2026-11-01T09:00 (UTC), or how long ago (7d)
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    from: Timestamp,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    to: Option<Timestamp>,
    /// Folder that the two files are written to
    #[arg(long, default_value = ".", value_name = "PATH")]
    out: PathBuf,
    /// Print one JSON object: {"namespace", "from", "to", "html", "csv", "events"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backends: BackendArgs,
}

/// What the page and the table are made of.
pub struct Report<'a> {
    namespace: &'a str,
    period: Period,
    facts: Vec<Fact>,
    rankings: Vec<Ranking>,
}

/// Runs the command.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let to = args.to.unwrap_or_else(Timestamp::now);
    if args.from >= to {
        bail!("--from {}: it is not before --to {to}", args.from);
    }
    let store = args.backends.search()?;
    let period = Period { from: args.from, to };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(gather(store.as_ref(), &args.namespace, period))?;
    let events = report.facts.first().map_or(0, |fact| fact.total);
    let [html, csv] = ["html", "csv"].map(|kind| args.out.join(file_name(&report, kind)));
    write(&html, &page::html(&report))?;
    write(&csv, &page::csv(&report))?;
    let said = match args.json {
        true => json!({
            "namespace": args.namespace, "from": period.from.to_string(),
            "to": period.to.to_string(), "html": html, "csv": csv, "events": events,
        })
        .to_string(),
        false => format!("{}\n{}", html.display(), csv.display()),
    };
    output::print(said + "\n")?;
    if events == 0 {
        eprintln!("no event of {} between the two: is --namespace right?", args.namespace);
    }
    Ok(ExitCode::SUCCESS)
}

async fn gather<'a>(
    store: &dyn Search,
    namespace: &'a str,
    period: Period,
) -> anyhow::Result<Report<'a>> {
    let mut report = Report { namespace, period, facts: Vec::new(), rankings: Vec::new() };
    for question in &facts::QUESTIONS {
        report.facts.push(question.ask(store, namespace, period).await?);
    }
    for list in &facts::LISTS {
        report.rankings.push(list.ask(store, namespace, period).await?);
    }
    Ok(report)
}

/// `report-acme-2026-11-01-2026-11-08.html`; with the time of day where a period has one, so that no
/// report is written over that of another.
fn file_name(report: &Report<'_>, kind: &str) -> String {
    let day = |at: Timestamp| {
        let time = at.strftime("%Y-%m-%dT%H%M%S").to_string();
        time.strip_suffix("T000000").unwrap_or(&time).to_owned()
    };
    let Period { from, to } = report.period;
    format!("report-{}-{}-{}.{kind}", report.namespace, day(from), day(to))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("--out: cannot write {}", path.display()))
}
