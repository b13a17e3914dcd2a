//! A head of comments, the session's settings and the statement, in one pass.

use tahoe_seams::{Record, Rejection};

use super::metrics::{self, Others};
use super::row;
use crate::datasets::mysql::{account, banner, lines, stamp};
use crate::enrich::Quoting;
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, Parser, fields};

pub(super) struct SlowRecord;

impl Parser for SlowRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let text = event.text(record.bytes);
        if let Some(row) = row::entries(text, event) {
            return row::set(&row, event);
        }
        let before = self.stamp(record.context, record.read_at_ms);
        let (block, rest) = banner::split(text);
        let rest = rest.trim_end();
        if rest.is_empty() {
            banner::alone(block, before, event);
            return Ok(());
        }
        banner::set(block, Some(fields::mysql::BANNER), event);
        let (head, rest) = Head::read(rest, event);
        if !head.is_any && head.ended.is_none() && set_of(rest).is_none() {
            event.set(fields::MESSAGE, rest);
            event.time_assumed(before);
            return Ok(());
        }
        if !head.is_any && rest.is_empty() {
            let reason = "a time with neither account nor statement";
            return Err(Rejection::at("empty_message", reason, text.len()));
        }
        let began = statement(rest, event);
        match began.or(head.ended) {
            Some(stamp) => event.time(stamp),
            None => event.time_assumed(before),
        }
        // In the zone of the stamp alone: one that is assumed could contradict the beginning.
        if let Some(stamp) = head.ended.filter(|stamp| stamp.offset_s.is_some())
            && !event.has(fields::event::END)
        {
            event.set_time(fields::event::END, stamp);
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        match stamp::parse(context) {
            Some((stamp, _)) => Some(stamp),
            None => stamp::epoch(std::str::from_utf8(context).ok()?),
        }
    }
}

/// The comments that a record begins with.
#[derive(Default)]
struct Head {
    /// `# Time`
    ended: Option<Stamp>,
    /// There is more than that.
    is_any: bool,
}

impl Head {
    /// Gives what follows it too.
    fn read<'a>(text: &'a str, event: &mut Event<'a>) -> (Self, &'a str) {
        let (mut head, mut others) = (Self::default(), Others::new());
        let (mut explain, mut warnings) = (event.list(), event.list());
        let mut text = text;
        while text.starts_with('#') {
            let (line, rest) = lines::split_first(text);
            let inside = line[1..].trim_start();
            if let Some(time) = inside.strip_prefix("Time:") {
                let time = time.trim();
                head.ended = stamp::parse(time.as_bytes()).map(|(stamp, _)| stamp);
                if head.ended.is_none() && !time.is_empty() {
                    break;
                }
            } else if let Some(account) = inside.strip_prefix("User@Host:") {
                let account = account.trim();
                if !set_account(account, &mut others, event) && !account.is_empty() {
                    break;
                }
                head.is_any = true;
            } else if let Some(row) = inside.strip_prefix("explain: ") {
                explain.push(row);
            } else if is_warning(inside) {
                warnings.push(inside);
            } else if let Some(name) = inside.strip_prefix("Stored routine:") {
                event.set(fields::mysql::slowlog::STORED_ROUTINE, name.trim());
            } else if metrics::set(inside, &mut others, event) {
                head.is_any = true;
            } else if !is_known_comment(inside) {
                break;
            }
            text = rest;
        }
        if !explain.is_empty() {
            event.set(fields::mysql::slowlog::EXPLAIN, explain.into_bump_slice());
        }
        if !warnings.is_empty() {
            event.set(fields::mysql::slowlog::WARNINGS, warnings.into_bump_slice());
        }
        metrics::set_others(&others, event);
        (head, text)
    }
}

/// Comments that say nothing.
fn is_known_comment(inside: &str) -> bool {
    let known = ["", "No InnoDB statistics available for this query", "Warnings"];
    known.contains(&inside)
}

/// `Warning 1292 Truncated incorrect DOUBLE value: 'x'`, of MariaDB's `log_slow_verbosity=warnings`.
fn is_warning(inside: &str) -> bool {
    let Some((level, rest)) = inside.split_on_byte(b' ') else { return false };
    let number = rest.trim_start_matches(' ').split(' ').next().unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    matches!(level, "Note" | "Warning" | "Error") && is_number
}

/// `privileged[user] @ host [address]  Id: 7234`. Says whether it is one.
pub(super) fn set_account<'a>(
    text: &'a str,
    others: &mut Others<'a>,
    event: &mut Event<'a>,
) -> bool {
    let Some(found) = account::UserHost::parse(text) else { return false };
    let (privileged, user) = (found.privileged, found.user);
    event.set_clean(fields::user::NAME, privileged);
    if !user.is_empty() {
        event.set(fields::mysql::slowlog::CURRENT_USER, user);
    }
    let mut related = event.list::<&'a str>();
    related.extend([privileged, user].into_iter().filter(|name| !name.is_empty()));
    related.dedup();
    if !related.is_empty() {
        event.set(fields::related::USER, related.into_bump_slice());
    }
    account::set_host(found.host, event);
    account::set_host(found.address, event);
    metrics::set(found.rest, others, event);
    true
}

/// `[use db;][SET …timestamp=…;]statement`. Gives the time at which it began.
fn statement<'a>(text: &'a str, event: &mut Event<'a>) -> Option<Stamp> {
    let mut text = text;
    let (line, rest) = lines::split_first(text);
    // The statement itself may be a `use`.
    if let Some(schema) = use_of(line).filter(|_| !rest.is_empty()) {
        event.set(fields::mysql::slowlog::SCHEMA, schema);
        text = rest;
    }
    let mut began = None;
    if let Some((settings, rest)) = set_of(text) {
        for setting in settings.split(',') {
            let (key, value) = setting.split_on_byte(b'=').unwrap_or((setting, ""));
            if key == "timestamp" {
                began = stamp::epoch(value);
            } else {
                metrics::set_session(key, value, event);
            }
        }
        text = rest;
    }
    let query = text.trim();
    if !query.is_empty() {
        event.set(fields::mysql::slowlog::QUERY, query);
        event.is_statement(fields::mysql::slowlog::QUERY, Quoting::Backslash);
        event.set(fields::MESSAGE, query);
    }
    began
}

/// `` use `db`; ``
fn use_of(line: &str) -> Option<&str> {
    let (word, name) = line.strip_suffix(';')?.split_on_byte(b' ')?;
    let name = name.trim();
    let plain = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).unwrap_or(name);
    (word.eq_ignore_ascii_case("use") && !plain.is_empty()).then_some(plain)
}

/// `SET [last_insert_id=1,][insert_id=2,]timestamp=1553436105;` and what follows it.
fn set_of(text: &str) -> Option<(&str, &str)> {
    let (line, rest) = lines::split_first(text);
    let settings = line.strip_prefix("SET ")?.strip_suffix(';')?;
    let (_, time) = settings.rsplit_once(',').unwrap_or(("", settings));
    let is_ours = stamp::epoch(time.strip_prefix("timestamp=")?).is_some();
    is_ours.then_some((settings, rest))
}
