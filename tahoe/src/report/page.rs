//! The page and the table. What stands in an event is somebody else's text: in the page it is escaped,
//! and in the table it is no formula of a spreadsheet.

use std::fmt::Write as _;

use super::facts::{Fact, Ranking};
use super::{Report, chart};

/// For the screen and for paper.
const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:#1a1c21;max-width:44rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .2rem}p{margin:.2rem 0 .6rem}\
.number{font-size:1.6rem;font-weight:600}.more{color:#69707d}svg{width:100%;height:auto}\
svg text{font-size:11px;fill:#69707d}svg line{stroke:#98a2b3}rect.plain{fill:#3b76a8}\
rect.trouble{fill:#c4593f}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #d3dae6;overflow-wrap:anywhere}\
td.count,th.count{text-align:right}section{break-inside:avoid}\
@media print{body{margin:0;max-width:none;font-size:11pt}}";

/// The whole page.
pub fn html(report: &Report<'_>) -> String {
    let company = escaped(report.namespace);
    let time = |at: jiff::Timestamp| at.strftime("%-d %B %Y, %H:%M").to_string();
    let (from, to) = (time(report.period.from), time(report.period.to));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>How things went: {company}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>How things went: {company}</h1>\n<p class=\"more\">{from} to {to} (UTC)</p>\n"
    );
    for fact in &report.facts {
        let _ = writeln!(
            out,
            "<section><h2>{}</h2>\n<p>{}</p>\n<p><span class=\"number\">{}</span> {}</p>\n{}</section>",
            escaped(fact.question.title),
            escaped(fact.question.meaning),
            grouped(fact.total),
            compared(fact),
            chart::bars(fact)
        );
    }
    report.rankings.iter().for_each(|ranking| out.push_str(&table(ranking)));
    out + "</body>\n</html>\n"
}

/// How it was before, in words.
fn compared(fact: &Fact) -> String {
    let (now, before) = (fact.total, fact.before);
    match (now, before) {
        (0, 0) => "<span class=\"more\">none, and none in the time before</span>".to_owned(),
        (_, 0) => "<span class=\"more\">and none in the time before</span>".to_owned(),
        _ if now == before => {
            "<span class=\"more\">as many as in the time before</span>".to_owned()
        }
        _ => {
            let percent = now.abs_diff(before) as f64 / before as f64 * 100.0;
            let what = if now > before { "more" } else { "less" };
            let before = grouped(before);
            let share = match percent {
                ..1.0 => "less than 1".to_owned(),
                _ => grouped(percent.round() as u64),
            };
            format!(
                "<span class=\"more\">{share} % {what} than the {before} of the time before</span>"
            )
        }
    }
}

fn table(ranking: &Ranking) -> String {
    if ranking.rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<section><h2>{}</h2>\n<table><tr><th>{}</th><th class=\"count\">Times</th></tr>\n",
        escaped(ranking.list.title),
        escaped(ranking.list.column)
    );
    for (value, events) in &ranking.rows {
        let (value, events) = (escaped(value), grouped(*events));
        let _ = writeln!(out, "<tr><td>{value}</td><td class=\"count\">{events}</td></tr>");
    }
    out + "</table></section>\n"
}

/// A row for each number: what, of which value, from, to, how many (RFC 4180).
pub fn csv(report: &Report<'_>) -> String {
    let mut out = "company,what,value,from,to,count\r\n".to_owned();
    let mut row = |what: &str, value: &str, period: super::Period, events: u64| {
        let cells = [report.namespace, what, value].map(cell).join(",");
        let _ = write!(out, "{cells},{},{},{events}\r\n", period.from, period.to);
    };
    for fact in &report.facts {
        let title = fact.question.title;
        row(title, "in all", report.period, fact.total);
        row(title, "in all, before", report.period.before(), fact.before);
        fact.steps.iter().for_each(|(step, events)| row(title, "", *step, *events));
    }
    for ranking in &report.rankings {
        let title = ranking.list.title;
        ranking.rows.iter().for_each(|(value, events)| row(title, value, report.period, *events));
    }
    out
}

/// A text in quotes if it needs them; one that a spreadsheet would reckon with begins with a quote.
fn cell(text: &str) -> String {
    let reckoned = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if reckoned { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Text as a page shows it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_is_neither_markup_nor_a_formula() {
        assert_eq!(escaped("<img src=\"x\">&"), "&lt;img src=&quot;x&quot;&gt;&amp;");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!((grouped(999), grouped(1_234_567)), ("999".into(), "1,234,567".into()));
    }
}
