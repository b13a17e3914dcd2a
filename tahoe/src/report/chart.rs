//! A chart of bars as SVG inside of the page: no script, no font and no file beside it.

use std::fmt::Write as _;

use super::facts::Fact;
use super::page::{escaped, grouped};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 120.0;

/// Below the bars, for the times.
const FOOT: f64 = 18.0;

/// A fact over time; each bar says its own number when it is pointed at.
pub fn bars(fact: &Fact) -> String {
    let most = fact.steps.iter().map(|(_, events)| *events).max().unwrap_or(0).max(1);
    let width = WIDTH / fact.steps.len().max(1) as f64;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{} over time\">",
        HEIGHT + FOOT,
        escaped(fact.question.title)
    );
    let class = if fact.question.is_trouble { "trouble" } else { "plain" };
    for (number, (step, events)) in fact.steps.iter().enumerate() {
        let height = (HEIGHT - 4.0) * *events as f64 / most as f64;
        let (x, y) = (number as f64 * width, HEIGHT - height);
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
             height=\"{height:.1}\"><title>{}: {}</title></rect>",
            (width - 2.0).max(1.0),
            step.from.strftime("%-d %b %Y %H:%M"),
            grouped(*events)
        );
    }
    let _ = write!(out, "<line x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/>");
    let ends = fact.steps.first().zip(fact.steps.last());
    if let Some(((first, _), (last, _))) = ends {
        let y = HEIGHT + FOOT - 4.0;
        let (from, to) = (first.from.strftime("%-d %b %H:%M"), last.to.strftime("%-d %b %H:%M"));
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{y}\">{from}</text>\
             <text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{to}</text>"
        );
    }
    out + "</svg>"
}
