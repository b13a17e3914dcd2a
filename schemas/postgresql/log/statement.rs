//! Logged statements: `duration: 0.327 ms  statement: …` and the steps of the extended protocol,
//! with or without a duration, and the plans of auto_explain.

use crate::duration::{MILLISECONDS, nanoseconds};
use crate::find::{Find, find};
use crate::object::{entries, scalar};
use crate::{Event, fields};

/// Sets what the message says; gives the statement, if it has one.
pub(super) fn read<'a>(message: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    let rest = timed(message, event)?;
    if let Some(plan) = rest.strip_prefix("plan:") {
        return explained(plan.trim_start(), event);
    }
    let (step, name, query) = step(rest)?;
    event.set(fields::postgresql::log::QUERY, query);
    event.set(fields::postgresql::log::QUERY_STEP, step);
    match name {
        Some("<unnamed>") => event.null_removed(fields::postgresql::log::QUERY_NAME),
        Some(name) => event.set(fields::postgresql::log::QUERY_NAME, name),
        None => {}
    }
    Some(query)
}

/// Sets the duration that a message may begin with; gives what follows it.
fn timed<'a>(message: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    let Some(rest) = message.strip_prefix("duration: ") else { return Some(message) };
    let (number, rest) = rest.split_on(" ms")?;
    event.set(fields::event::DURATION, nanoseconds(number, MILLISECONDS)?);
    Some(rest.trim_start_matches(' '))
}

/// `fastpath function call: "lo_open" (OID 952)`; gives the call, which is no statement.
pub(super) fn fast_path<'a>(message: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    const STEP: &str = "fastpath function call";
    let after = message.strip_prefix("duration: ").and_then(|rest| rest.split_on(" ms  "));
    let call = after.map_or(message, |(_, rest)| rest).strip_prefix(STEP)?.strip_prefix(": ")?;
    timed(message, event)?;
    event.set(fields::postgresql::log::QUERY_STEP, STEP);
    Some(call)
}

/// `statement: QUERY`, `execute NAME: QUERY`, `execute fetch from NAME: QUERY`.
fn step(text: &str) -> Option<(&'static str, Option<&str>, &str)> {
    if let Some(query) = text.strip_prefix("statement: ") {
        return Some(("statement", None, query));
    }
    for step in ["parse", "bind", "execute"] {
        let Some(rest) = text.strip_prefix(step).and_then(|rest| rest.strip_prefix(' ')) else {
            continue;
        };
        let (name, query) = rest.split_on(": ")?;
        let fetch = name.strip_prefix("fetch from ");
        let name = fetch.unwrap_or(name);
        // A name has no space; what has one is another message.
        let step = if fetch.is_some() { "fetch" } else { step };
        return (!name.contains([' ', '\n'])).then_some((step, Some(name), query));
    }
    None
}

/// `Query Text: …`, since PostgreSQL 16 `Query Parameters: …`, and a plan below it, or all of them
/// in an object.
fn explained<'a>(plan: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    event.set(fields::postgresql::log::QUERY_STEP, "plan");
    event.set(fields::postgresql::log::PLAN, plan);
    let (query, parameters, id) = if plan.starts_with('{') {
        let parts = entries(plan.trim_end().as_bytes(), event)?;
        let value = |key: &str, event: &Event<'a>| {
            let part = parts.iter().find(|part| part.key == key.as_bytes())?;
            scalar(part.value, event)
        };
        let parameters = value("Query Parameters", event);
        let parameters = parameters.map(|text| event.format(format_args!("Parameters: {text}")));
        (value("Query Text", event)?, parameters, value("Query Identifier", event))
    } else {
        let text = plan.strip_prefix("Query Text: ")?;
        // The first node of a plan has its costs; the lines before it are the statement's.
        let node = text.find("  (cost=")?;
        let (before, nodes) = text.split_at(text[..node].rfind('\n')?);
        let at = find(before.as_bytes(), b"\nQuery Parameters: ");
        let (query, parameters) = before.split_at(at.unwrap_or(before.len()));
        // In the words of the DETAIL that a logged statement has.
        let parameters = parameters.strip_prefix("\nQuery ");
        let id = nodes.rsplit_on("\nQuery Identifier: ").map(|(_, rest)| rest);
        (query.trim_end(), parameters, id.and_then(|rest| rest.lines().next()))
    };
    event.set(fields::postgresql::log::QUERY, query);
    if let Some(parameters) = parameters {
        event.set_if_absent(fields::postgresql::log::DETAIL, parameters);
    }
    if let Some(id) = id.and_then(|id| id.parse::<i64>().ok()) {
        event.set_if_absent(fields::postgresql::log::QUERY_ID, id);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_a_name_that_may_hold_a_colon() {
        assert_eq!(step("parse py:0x7f: SELECT $1"), Some(("parse", Some("py:0x7f"), "SELECT $1")));
        assert_eq!(
            step("execute fetch from S_1/C_2: SELECT 1"),
            Some(("fetch", Some("S_1/C_2"), "SELECT 1"))
        );
        assert_eq!(step("bind message has 2 results: x"), None);
    }
}
