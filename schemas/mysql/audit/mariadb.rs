//! MariaDB's server_audit: `time,serverhost,user,host,connection,query,operation,database,object,
//! retcode`; in syslog without the time. Amazon's Aurora writes microseconds since the epoch.

use super::meaning::{self, Happened};
use super::{accounts, named};
use crate::find::Find;
use crate::time::{self, Stamp};
use crate::{Event, fields};

/// Digits of microseconds since the epoch, from 2001 to 2286.
const MICROSECONDS_DIGITS: usize = 16;
/// Columns before the object.
const COLUMNS_BEFORE: usize = 8;

/// `YYYYMMDD hh:mm:ss` or microseconds since the epoch, with a comma after; and its length.
pub(super) fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let digits = line.iter().take(17).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == MICROSECONDS_DIGITS {
        let number: i64 = std::str::from_utf8(&line[..digits]).ok()?.parse().ok()?;
        let (local_s, micros) = (number / 1_000_000, number % 1_000_000);
        let nanos = u32::try_from(micros).ok()? * 1000;
        return is_end(&line[digits..]).then_some((Stamp::utc(local_s, nanos, 6), digits));
    }
    let head = line.first_chunk::<17>()?;
    if digits != 8 || head[8] != b' ' {
        return None;
    }
    // The same as `YYYY-MM-DD hh:mm:ss`, which is read once for all.
    let mut text = *b"0000-00-00 00:00:00";
    text[..4].copy_from_slice(&head[..4]);
    text[5..7].copy_from_slice(&head[4..6]);
    text[8..10].copy_from_slice(&head[6..8]);
    text[11..].copy_from_slice(&head[9..]);
    let (stamp, _) = time::parse_iso(&text)?;
    is_end(&line[17..]).then_some((stamp, 17))
}

/// A comma, or nothing: the text that is carried ends here.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest, [] | [b',', ..])
}

/// Bytes within which a record has the columns that tell it.
const COLUMNS_BYTES_MAX: usize = 1024;

/// Whether a line begins with the columns of a record without its time.
pub(super) fn begins_row(line: &[u8]) -> bool {
    let line = &line[..line.len().min(COLUMNS_BYTES_MAX)];
    let mut columns = line.split(|byte| *byte == b',').skip(3);
    let mut are = |is: fn(&u8) -> bool| {
        columns.next().is_some_and(|column| !column.is_empty() && column.iter().all(is))
    };
    let is_number = |byte: &u8| byte.is_ascii_digit();
    are(is_number) && are(is_number) && are(|byte| byte.is_ascii_uppercase() || *byte == b'_')
}

/// Says whether the text is such a record.
pub(super) fn set<'a>(text: &'a str, in_syslog: bool, event: &mut Event<'a>) -> bool {
    let found = stamp(text.as_bytes());
    let columns = match found {
        Some((_, length)) => text[length..].strip_prefix(',').unwrap_or_default(),
        None if in_syslog => text,
        None => return false,
    };
    let Some(row) = Row::parse(columns, event) else { return false };
    if let Some((stamp, _)) = found {
        event.time(stamp);
    }
    row.set(event);
    true
}

struct Row<'a> {
    server: &'a str,
    user: &'a str,
    host: &'a str,
    connection: u64,
    query: u64,
    operation: &'a str,
    database: &'a str,
    object: &'a str,
    status: Option<i64>,
    others: &'a str,
}

impl<'a> Row<'a> {
    fn parse(columns: &'a str, event: &mut Event<'a>) -> Option<Self> {
        let mut parts = columns.splitn(COLUMNS_BEFORE, ',');
        let mut next = || parts.next();
        let (server, user, host) = (next()?, next()?, next()?);
        let (connection, query) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (operation, database, rest) = (next()?, next()?, next()?);
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        if operation.is_empty() || !operation.bytes().all(is_name) {
            return None;
        }
        let (object, rest) = match quoted(rest, event) {
            Some(found) => found,
            None => rest.split_on_byte(b',').unwrap_or((rest, "")),
        };
        let (status, others) = rest.split_on_byte(b',').unwrap_or((rest, ""));
        let status = status.trim().parse().ok();
        Some(Self {
            server,
            user,
            host,
            connection,
            query,
            operation,
            database,
            object,
            status,
            others,
        })
    }

    fn set(mut self, event: &mut Event<'a>) {
        use fields::mysqlenterprise::audit;
        event.set_clean(fields::host::HOSTNAME, self.server);
        if event.set_clean(fields::server::user::NAME, self.user) {
            event.set(audit::login::USER, self.user);
        }
        let pattern = if meaning::set_host(self.host, event) { "" } else { self.host };
        event.set(audit::CONNECTION_ID, self.connection);
        if self.query > 0 {
            event.set(fields::mysql::audit::QUERY_ID, self.query);
        }
        let mut proxy_host = "";
        if self.operation == "PROXY_CONNECT" {
            (self.object, proxy_host) = proxy(self.object);
        }
        // A later version has further columns.
        let others = [("columns", self.others), ("host", pattern), ("proxy_host", proxy_host)];
        named::set_others(&others, event);
        let happened = self.happened(event);
        meaning::set(happened, event);
    }

    fn happened(&self, event: &mut Event<'a>) -> Happened<'a> {
        use fields::mysqlenterprise::audit::{
            connection_data, general_data, login, table_access_data,
        };
        let status = self.status;
        let what = match self.operation {
            "CONNECT" | "FAILED_CONNECT" | "PROXY_CONNECT" => "connect",
            "DISCONNECT" => "disconnect",
            operation if operation.starts_with("QUERY") => "status",
            operation => event.lower_case(operation),
        };
        if matches!(what, "connect" | "disconnect" | "changeuser") {
            if let Some(status) = status {
                event.set(connection_data::STATUS, status);
            }
            if !self.database.is_empty() {
                event.set(connection_data::DB, self.database);
            }
            if !self.object.is_empty() {
                event.set(login::PROXY, self.object);
            }
            // A refusal says why; a connection that ends is neither.
            let status = status.filter(|_| what != "disconnect");
            return Happened { class: "connection", event: what, status };
        }
        if !self.database.is_empty() {
            event.set(fields::mysql::audit::DATABASE, self.database);
        }
        if what == "status" {
            event.set(general_data::COMMAND, "Query");
            if let Some(status) = status {
                event.set(general_data::STATUS, status);
            }
            if !self.object.is_empty() {
                event.set(general_data::QUERY, self.object);
                event.set(fields::MESSAGE, self.object);
            }
            return Happened { class: "general", event: what, status };
        }
        if !self.database.is_empty() {
            event.set(table_access_data::DB, self.database);
        }
        if !self.object.is_empty() {
            event.set(table_access_data::TABLE, self.object);
        }
        Happened { class: "table_access", event: what, status }
    }
}

/// User and host of `` `user`@`host` ``.
fn proxy(account: &str) -> (&str, &str) {
    let Some((user, rest)) = accounts::name(account) else { return ("", "") };
    (user, rest.strip_prefix('@').and_then(accounts::name).map_or("", |(host, _)| host))
}

/// `'statement'` with its escapes undone, and what follows the comma after it. One that was cut off
/// ends with the text.
fn quoted<'a>(text: &'a str, event: &mut Event<'a>) -> Option<(&'a str, &'a str)> {
    let body = text.strip_prefix('\'')?;
    let mut at = 0;
    let mut escaped = false;
    let end = loop {
        match memchr::memchr2(b'\'', b'\\', &body.as_bytes()[at..]) {
            None => break body.len(),
            Some(found) if body.as_bytes()[at + found] == b'\'' => break at + found,
            Some(found) => {
                escaped = true;
                at = (at + found + 2).min(body.len());
            }
        }
    };
    let inside = if escaped { unescaped(&body[..end], event) } else { &body[..end] };
    let rest = body.get(end + 1..).unwrap_or_default();
    Some((inside, rest.strip_prefix(',').unwrap_or(rest)))
}

fn unescaped<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    let mut out = event.string(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            character => character,
        });
    }
    out.into_bump_str()
}
