//! A row of the log's table: `{"start_time":…,"user_host":…,"query_time":"00:00:02.000123",…,
//! "sql_text":…}`; `id` where a table of that shape has one, `end_time` where its reader adds it.

use tahoe_seams::Rejection;

use super::metrics::Others;
use super::parser::set_account;
use crate::datasets::mysql::stamp;
use crate::enrich::Quoting;
use crate::object;
use crate::scan::{Entries, Entry};
use crate::{Event, Field, duration, fields};

use fields::mysql::slowlog as log;

/// Counts, and those that are none at 0.
const COUNTS: [(&[u8], Field, bool); 8] = [
    (b"thread_id", fields::mysql::THREAD_ID, false),
    (b"server_id", fields::mysql::SERVER_ID, false),
    (b"id", fields::event::SEQUENCE, false),
    (b"rows_sent", log::ROWS_SENT, false),
    (b"rows_examined", log::ROWS_EXAMINED, false),
    (b"rows_affected", log::ROWS_AFFECTED, false),
    (b"last_insert_id", log::LAST_INSERT_ID, true),
    (b"insert_id", log::INSERT_ID, true),
];

/// The text of its time, at the start of a line that is a row.
pub(super) fn time_text(line: &[u8]) -> Option<&[u8]> {
    stamp::in_row(line, b"\"start_time\":\"", b"\"sql_text\":\"")
}

/// The columns of a row; `None` for anything else.
pub(super) fn entries<'a>(text: &'a str, event: &Event<'a>) -> Option<Entries<'a>> {
    let text = text.trim_end();
    let found = object::entries(text.strip_prefix('{').map(|_| text.as_bytes())?, event)?;
    let has = |key: &[u8]| found.iter().any(|entry| entry.key == key);
    (has(b"start_time") && has(b"sql_text")).then_some(found)
}

pub(super) fn set<'a>(row: &[Entry<'a>], event: &mut Event<'a>) -> Result<(), Rejection> {
    let text = |key: &[u8], event: &Event<'a>| {
        let entry = row.iter().find(|entry| entry.key == key)?;
        object::scalar(entry.value, event)
    };
    let time = |key: &[u8], event: &Event<'a>| {
        let (stamp, _) = stamp::parse(text(key, event)?.as_bytes())?;
        Some(stamp)
    };
    let Some(began) = time(b"start_time", event) else {
        let of = row.iter().find(|entry| entry.key == b"start_time");
        let at = of.map_or(0, |entry| event.place_of(entry.value));
        return Err(Rejection::at("bad_timestamp", "start_time is no time", at));
    };
    event.time(began);
    if let Some(ended) = time(b"end_time", event) {
        event.set_time(fields::event::END, ended);
    }
    if let Some(account) = text(b"user_host", event) {
        set_account(account, &mut Others::new(), event);
    }
    for (key, field, none_at_0) in COUNTS {
        let number = text(key, event).and_then(|text| text.parse::<i64>().ok());
        if let Some(number) = number.filter(|number| *number != 0 || !none_at_0) {
            event.set(field, number);
        }
    }
    if let Some(nanos) = text(b"query_time", event).and_then(duration::of_clock) {
        event.set(fields::event::DURATION, nanos);
    }
    if let Some(nanos) = text(b"lock_time", event).and_then(duration::of_clock) {
        event.set(log::lock_time::SEC, nanos as f64 / 1e9);
    }
    if let Some(schema) = text(b"db", event) {
        event.set_clean(log::SCHEMA, schema);
    }
    let query = text(b"sql_text", event).unwrap_or_default().trim();
    if !query.is_empty() {
        event.set(log::QUERY, query);
        event.is_statement(log::QUERY, Quoting::Backslash);
        event.set(fields::MESSAGE, query);
    }
    Ok(())
}
