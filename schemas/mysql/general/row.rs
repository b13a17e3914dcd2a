//! A row of the log's table: `{"event_time":…,"user_host":…,"thread_id":…,"server_id":…,
//! "command_type":…,"argument":…}`, and `id` where a table of that shape has one.

use tahoe_seams::Rejection;

use super::head::action_of;
use super::parser::set_command;
use crate::datasets::mysql::{account, stamp};
use crate::object;
use crate::scan::{Entries, Entry};
use crate::{Event, fields};

/// The text of its time, at the start of a line that is a row.
pub(super) fn time_text(line: &[u8]) -> Option<&[u8]> {
    stamp::in_row(line, b"\"event_time\":\"", b"\"command_type\":\"")
}

/// The columns of a row; `None` for anything else.
pub(super) fn entries<'a>(text: &'a str, event: &Event<'a>) -> Option<Entries<'a>> {
    let text = text.trim_end();
    let found = object::entries(text.strip_prefix('{').map(|_| text.as_bytes())?, event)?;
    let has = |key: &[u8]| found.iter().any(|entry| entry.key == key);
    (has(b"event_time") && has(b"command_type")).then_some(found)
}

pub(super) fn set<'a>(row: &[Entry<'a>], event: &mut Event<'a>) -> Result<(), Rejection> {
    let text = |key: &[u8], event: &Event<'a>| {
        let entry = row.iter().find(|entry| entry.key == key)?;
        object::scalar(entry.value, event)
    };
    let time = text(b"event_time", event).and_then(|time| stamp::parse(time.as_bytes()));
    let Some((time, _)) = time else {
        let of = row.iter().find(|entry| entry.key == b"event_time");
        let at = of.map_or(0, |entry| event.place_of(entry.value));
        return Err(Rejection::at("bad_timestamp", "event_time is no time", at));
    };
    event.time(time);
    let command = text(b"command_type", event).unwrap_or_default();
    let argument = text(b"argument", event).unwrap_or_default().trim();
    let message = match argument {
        "" => command,
        argument => event.format(format_args!("{command}\t{argument}")),
    };
    event.set(fields::MESSAGE, message);
    let numbers = [
        (&b"thread_id"[..], fields::mysql::THREAD_ID),
        (b"server_id", fields::mysql::SERVER_ID),
        (b"id", fields::event::SEQUENCE),
    ];
    for (key, field) in numbers {
        if let Some(number) = text(key, event).and_then(|text| text.parse::<i64>().ok()) {
            event.set(field, number);
        }
    }
    let account = text(b"user_host", event).and_then(account::UserHost::parse);
    if let Some(account) = account {
        let names = [account.privileged, account.user].into_iter();
        if let Some(name) = names.into_iter().find(|name| !name.is_empty()) {
            account::set_user(name, event);
        }
        account::set_host(account.host, event);
        account::set_host(account.address, event);
    }
    set_command(command, action_of(command), argument, event);
    Ok(())
}
