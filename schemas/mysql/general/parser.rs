//! A command with its argument, or text that has neither.

use tahoe_seams::{Record, Rejection};

use super::head::Head;
use super::row;
use crate::datasets::mysql::{account, banner, lines, stamp};
use crate::enrich::Quoting;
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, Parser, fields};

pub(super) struct GeneralRecord;

impl Parser for GeneralRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let text = event.text(record.bytes);
        if let Some(row) = row::entries(text, event) {
            return row::set(&row, event);
        }
        let before = self.stamp(record.context, record.read_at_ms);
        let (block, rest) = banner::split(text);
        if rest.trim().is_empty() {
            banner::alone(block, before, event);
            return Ok(());
        }
        banner::set(block, Some(fields::mysql::BANNER), event);
        let Some(head) = Head::parse(lines::first(rest.as_bytes())) else {
            event.set(fields::MESSAGE, rest.trim_end());
            event.time_assumed(before);
            return Ok(());
        };
        match head.stamp.or(before) {
            // Without one it has that of the record before: so the format says.
            Some(stamp) => event.time(stamp),
            None => event.time_assumed(None),
        }
        event.set(fields::mysql::THREAD_ID, head.thread);
        command(rest, head, event);
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        stamp::parse(context).map(|(stamp, _)| stamp)
    }
}

fn command<'a>(text: &'a str, head: Head, event: &mut Event<'a>) {
    let (from, until) = head.command;
    let name = &text[from..until];
    let argument = text[until..].trim();
    event.set(fields::MESSAGE, text[from..].trim_end());
    set_command(name, head.action, argument, event);
}

pub(super) fn set_command<'a>(
    name: &'a str,
    action: Option<&'a str>,
    argument: &'a str,
    event: &mut Event<'a>,
) {
    event.set(fields::mysql::general::COMMAND, name);
    if !argument.is_empty() {
        event.set(fields::mysql::general::ARGUMENT, argument);
    }
    let action = action.unwrap_or_else(|| event.lower_case(name));
    event.set(fields::event::ACTION, action);
    if matches!(action, "connect" | "init-db" | "change-user")
        && argument.starts_with("Access denied")
        && account::denied(argument, event)
    {
        return;
    }
    match action {
        "connect" | "change-user" => {
            if connection(argument, event) {
                event.set(fields::event::CATEGORY, &["database", "session"]);
                event.set(fields::event::TYPE, "start");
            } else {
                refusal(argument, event);
            }
        }
        "quit" => {
            event.set(fields::event::CATEGORY, &["database", "session"]);
            event.set(fields::event::TYPE, "end");
        }
        "init-db" => {
            event.set_clean(fields::mysql::general::DATABASE, argument);
        }
        "query" | "prepare" | "execute" => {
            event.is_statement(fields::mysql::general::ARGUMENT, Quoting::Backslash);
        }
        _ => {}
    }
}

/// `user@host[ as account] on [database][ using Socket]`. Says whether it was that.
fn connection<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some((account, rest)) = text.split_on(" on") else { return false };
    let account = account.split(" as ").next().unwrap_or_default();
    let Some((user, host)) = account.rsplit_once('@') else { return false };
    account::set_user(user, event);
    account::set_host(host, event);
    let (database, how) = rest.split_on(" using ").unwrap_or((rest, ""));
    if !database.trim().is_empty() {
        event.set(fields::mysql::general::DATABASE, database.trim());
    }
    if !how.is_empty() {
        event.set(fields::mysql::general::CONNECTION_TYPE, how);
    }
    true
}

/// `Host '192.0.2.9' is not allowed to connect to this MySQL server`, `Too many connections`
fn refusal<'a>(text: &'a str, event: &mut Event<'a>) {
    let host = text.strip_prefix("Host '").and_then(|rest| rest.split_on_byte(b'\''));
    if let Some((host, _)) = host {
        account::set_host(host, event);
    } else if text != "Too many connections" {
        return;
    }
    event.set(fields::event::OUTCOME, "failure");
}
