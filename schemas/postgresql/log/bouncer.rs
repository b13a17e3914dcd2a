//! PgBouncer's own log: `2026-11-21 09:00:00.123 UTC [7] LOG C-0x5581: shop/anna@10.0.0.7:5000 …`,
//! before 1.11 without zone and brackets. The names of PostgreSQL's fields serve.
//!
//! <https://www.pgbouncer.org/config.html#log-settings>

use super::entry::{host_colon_port, set_client, set_user};
use super::stamp::{self, Written};
use crate::find::Find;
use crate::{Event, fields, peer};

use fields::postgresql::pgbouncer;

/// What a line begins with.
pub(super) struct Head<'l> {
    pub stamp: Written<'l>,
    /// Where the process's number is.
    pub pid: (usize, usize),
    pub level: &'static str,
    pub text_at: usize,
}

impl<'l> Head<'l> {
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let stamp = stamp::parse(line)?;
        let rest = line[stamp.length..].strip_prefix(b" ")?;
        let open = usize::from(rest.first() == Some(&b'['));
        let digits = rest[open..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let close = open + digits + open;
        if digits == 0 || (open == 1 && rest.get(close - 1) != Some(&b']')) {
            return None;
        }
        let from = stamp.length + 1 + open;
        let rest = rest[close..].strip_prefix(b" ")?;
        let word = memchr::memchr(b' ', &rest[..rest.len().min(8)])?;
        let level = match &rest[..word] {
            b"LOG" => "log",
            b"WARNING" => "warning",
            b"ERROR" => "error",
            b"FATAL" => "fatal",
            b"NOISE" => "noise",
            b"DEBUG" => "debug",
            b"INFO" => "info",
            _ => return None,
        };
        let text_at = line.len() - rest.len() + word + 1;
        Some(Self { stamp, pid: (from, from + digits), level, text_at })
    }
}

/// Sets what a line says.
pub(super) fn read<'a>(line: &'a str, head: &Head<'_>, source_zone: &str, event: &mut Event<'a>) {
    let stamp = head.stamp.resolved(source_zone, event);
    event.time(stamp);
    event.set(fields::postgresql::log::TIMESTAMP, &line[..head.stamp.length]);
    event.set(fields::process::NAME, "pgbouncer");
    if let Ok(pid) = line[head.pid.0..head.pid.1].parse::<u32>() {
        event.set(fields::process::PID, pid);
    }
    event.set(fields::log::LEVEL, head.level);
    event.set(fields::event::CATEGORY, "database");
    let failed = matches!(head.level, "error" | "fatal");
    event.set(fields::event::TYPE, if failed { "error" } else { "info" });
    message(line[head.text_at..].trim_ascii_start(), event);
}

/// Sets what a message says.
pub(super) fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    event.set(fields::MESSAGE, text);
    match socket(text) {
        Some((side, of, text)) => {
            event.set(pgbouncer::SOCKET, of.0);
            peer(side, of.1, event);
            about(side, text, event);
        }
        None => {
            if let Some(rest) = text.strip_prefix("stats: ") {
                stats(rest, event);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// `C-0x5581: shop/anna@10.0.0.7:5000 TEXT`, `S-…` for connections to the server.
fn socket(text: &str) -> Option<(Side, (&str, &str), &str)> {
    let side = match text.get(..4)? {
        "C-0x" => Side::Client,
        "S-0x" => Side::Server,
        _ => return None,
    };
    let (of, rest) = text.split_on(": ")?;
    // Names may hold spaces, addresses not.
    let sign = rest.find('@')?;
    let end = rest[sign..].find(' ').map_or(rest.len(), |length| sign + length);
    Some((side, (of, &rest[..end]), rest[end..].trim_start()))
}

/// `shop/anna@10.0.0.7:5000`, `(nodb)/(nouser)@unix:6432`
fn peer<'a>(side: Side, text: &'a str, event: &mut Event<'a>) {
    let Some((names, address)) = text.rsplit_once('@') else { return };
    if let Some((database, user)) = names.split_on_byte(b'/') {
        if database == "(nodb)" {
            event.null_removed(fields::postgresql::log::DATABASE);
        } else {
            event.set(fields::postgresql::log::DATABASE, database);
        }
        if user == "(nouser)" {
            event.null_removed(fields::user::NAME);
        } else {
            set_user(user, event);
        }
    }
    if address.starts_with("unix") {
        if side == Side::Client {
            event.set(fields::postgresql::log::CLIENT_ADDR, "[local]");
        }
        return;
    }
    let (host, port) = host_colon_port(address);
    if side == Side::Client {
        set_client(host, port, event);
        return;
    }
    peer::DESTINATION.set(host, port.and_then(|port| port.parse().ok()), event);
}

fn about<'a>(side: Side, text: &'a str, event: &mut Event<'a>) {
    if let Some(rest) = text.strip_prefix("login attempt: ") {
        event.set(fields::event::ACTION, "login-attempt");
        event.set(fields::event::CATEGORY, &["authentication", "database"]);
        event.set(fields::event::TYPE, &["info", "start"]);
        if let Some((_, tls)) = rest.split_on(" tls=") {
            encrypted(tls, event);
        }
    } else if text.starts_with("new connection to server") {
        event.set(fields::event::ACTION, "server-connected");
    } else if let Some(rest) = text.strip_prefix("closing because: ") {
        let client = side == Side::Client;
        event.set(fields::event::ACTION, if client { "disconnection" } else { "server-closed" });
        let Some((reason, age)) = rest.rsplit_on(" (age=") else { return };
        event.set(fields::event::REASON, reason);
        let age = age.trim_end_matches(')').trim_end_matches('s');
        if let Ok(seconds) = age.parse::<u64>() {
            event.set(fields::event::DURATION, seconds.saturating_mul(1_000_000_000));
        }
    } else if let Some(error) = text.strip_prefix("pooler error: ") {
        event.set(fields::event::REASON, error);
        if error.has("authentication failed") || error.has("auth failed") {
            event.set(fields::event::ACTION, "authentication-failed");
            event.set(fields::event::CATEGORY, &["authentication", "database"]);
        }
        event.set(fields::event::OUTCOME, "failure");
    }
}

/// `no`, or `TLSv1.3/TLS_AES_256_GCM_SHA384`.
fn encrypted<'a>(tls: &'a str, event: &mut Event<'a>) {
    event.set(fields::tls::ESTABLISHED, tls != "no");
    if let Some((version, cipher)) =
        tls.strip_prefix("TLSv").and_then(|tls| tls.split_on_byte(b'/'))
    {
        event.set(fields::tls::VERSION_PROTOCOL, "tls");
        event.set(fields::tls::VERSION, version);
        event.set(fields::tls::CIPHER, cipher.split('/').next().unwrap_or(cipher));
    }
}

/// `0 xacts/s, 0 queries/s, in 0 B/s, out 0 B/s, xact 0 us, query 0 us, wait 0 us`; other versions
/// write some of them or other units.
fn stats<'a>(text: &'a str, event: &mut Event<'a>) {
    event.set(fields::event::KIND, "metric");
    for part in text.split([',', ';']).map(str::trim) {
        let mut words = part.split(' ');
        let pair = match (words.next(), words.next(), words.next()) {
            (Some(number), Some("xacts/s"), None) => (pgbouncer::TRANSACTIONS_PER_SECOND, number),
            (Some(number), Some("queries/s"), None) => (pgbouncer::QUERIES_PER_SECOND, number),
            (Some("in"), Some(number), Some("B/s")) => (pgbouncer::BYTES_IN_PER_SECOND, number),
            (Some("out"), Some(number), Some("B/s")) => (pgbouncer::BYTES_OUT_PER_SECOND, number),
            (Some("xact"), Some(number), Some("us")) => (pgbouncer::TRANSACTION_US, number),
            (Some("query"), Some(number), Some("us")) => (pgbouncer::QUERY_US, number),
            (Some("wait"), Some(number), Some("us")) => (pgbouncer::WAIT_US, number),
            _ => continue,
        };
        if let Ok(number) = pair.1.parse::<u64>() {
            event.set(pair.0, number);
        }
    }
}
