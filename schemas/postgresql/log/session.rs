//! Connections: received, authenticated, authorized, refused, ended.

use super::entry::{set_client, set_user};
use crate::find::{Find, find};
use crate::{Event, duration, fields};

/// Sets what such a message says.
pub(super) fn read<'a>(message: &'a str, event: &mut Event<'a>) {
    if let Some(rest) = message.strip_prefix("connection received: ") {
        mark("connection-received", &["database", "session"], &["info", "start"], event);
        peer(rest, event);
    } else if let Some(rest) = message.strip_prefix("connection authenticated: ") {
        event.set(fields::event::OUTCOME, "success");
        mark("connection-authenticated", &["authentication", "database"], &["info"], event);
        authenticated(rest, event);
    } else if let Some((kind, rest)) = message.split_on("connection authorized: ")
        && matches!(kind, "" | "replication ")
    {
        event.set(fields::event::OUTCOME, "success");
        let categories = &["authentication", "database", "session"];
        mark("connection-authorized", categories, &["info", "start"], event);
        authorized(rest, event);
    } else if let Some(rest) = message.strip_prefix("disconnection: session time: ") {
        mark("disconnection", &["database", "session"], &["info", "end"], event);
        let (time, rest) = rest.split_on_byte(b' ').unwrap_or((rest, ""));
        if let Some(duration) = duration::of_clock(time) {
            event.set(fields::event::DURATION, duration);
        }
        account(rest, event);
        peer(rest, event);
    } else if let Some(refused) = refusal(message, event) {
        event.set(fields::event::ACTION, refused);
        event.set(fields::event::CATEGORY, &["authentication", "database"]);
        event.set(fields::event::OUTCOME, "failure");
    }
}

fn mark<'a, const C: usize, const T: usize>(
    action: &'static str,
    categories: &'a [&'a str; C],
    types: &'a [&'a str; T],
    event: &mut Event<'a>,
) {
    event.set(fields::event::ACTION, action);
    event.set(fields::event::CATEGORY, categories);
    event.set(fields::event::TYPE, types);
}

/// The value after `key`, which begins a word; it ends at the first of `ends`.
fn value<'a>(text: &'a str, key: &str, ends: &[&str]) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (before, after) = rest.split_on(key)?;
        let begins = before.ends_with(' ') || before.is_empty() && rest.len() == text.len();
        rest = after;
        if begins {
            break;
        }
    }
    let ends = ends.iter().filter_map(|end| find(rest.as_bytes(), end.as_bytes()));
    let end = ends.min().unwrap_or(rest.len());
    Some(&rest[..end]).filter(|value| !value.is_empty())
}

/// `host=10.0.0.7 port=5000`
fn peer<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(host) = value(text, "host=", &[" "]) {
        set_client(host, value(text, "port=", &[" "]), event);
    }
}

/// `user=anna database=shop`
fn account<'a>(text: &'a str, event: &mut Event<'a>) {
    const AFTER: &[&str] =
        &[" database=", " application_name=", " host=", " SSL enabled (", " GSS ("];
    if let Some(user) = value(text, "user=", AFTER) {
        set_user(user, event);
    }
    if let Some(database) = value(text, "database=", AFTER) {
        event.set_clean(fields::postgresql::log::DATABASE, database);
    }
}

/// `user=anna database=shop application_name=psql SSL enabled (protocol=TLSv1.3, cipher=…)`
fn authorized<'a>(text: &'a str, event: &mut Event<'a>) {
    let tls = text.rfind(" SSL enabled (");
    account(&text[..tls.unwrap_or(text.len())], event);
    let name = value(text, "application_name=", &[" SSL enabled (", " GSS ("]);
    if let Some(name) = name {
        event.set_clean(fields::postgresql::log::APPLICATION_NAME, name);
    }
    let Some(tls) = tls.map(|at| &text[at + " SSL enabled (".len()..]) else { return };
    event.set(fields::tls::ESTABLISHED, true);
    if let Some(version) = value(tls, "protocol=", &[",", ")"])
        && let Some(number) = version.strip_prefix("TLSv")
    {
        event.set(fields::tls::VERSION_PROTOCOL, "tls");
        event.set(fields::tls::VERSION, number);
    }
    if let Some(cipher) = value(tls, "cipher=", &[",", ")"]) {
        event.set(fields::tls::CIPHER, cipher);
    }
}

/// `identity="anna" method=scram-sha-256 (/etc/postgresql/15/main/pg_hba.conf:95)`, `user=` in
/// place of `identity=` where the method knows none.
fn authenticated<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(identity) = value(text, "identity=\"", &["\" method="]) {
        event.set(fields::postgresql::authentication::IDENTITY, identity);
    }
    if let Some(user) = value(text, "user=\"", &["\" method="]) {
        set_user(user, event);
    }
    if let Some(method) = value(text, "method=", &[" "]) {
        event.set(fields::postgresql::authentication::METHOD, method);
    }
    if let Some((_, rule)) = text.rsplit_on(" (") {
        event.set(fields::postgresql::authentication::RULE, rule.trim_end_matches(')'));
    }
}

/// Why a client was not let in: what is said, with the names that it gives.
fn refusal<'a>(message: &'a str, event: &mut Event<'a>) -> Option<&'static str> {
    if let Some((_, rest)) = message.split_on("authentication failed for user \"") {
        set_user(rest.strip_suffix('"').unwrap_or(rest), event);
        return Some("authentication-failed");
    }
    let rejected = message.strip_prefix("pg_hba.conf rejects ");
    if message.starts_with("no pg_hba.conf entry for ") || rejected.is_some() {
        if let Some(host) = quoted(message, "host \"") {
            set_client(host, None, event);
        }
        if let Some(user) = quoted(message, "user \"") {
            set_user(user, event);
        }
        if let Some(database) = quoted(message, "database \"") {
            event.set(fields::postgresql::log::DATABASE, database);
        }
        return Some("connection-refused");
    }
    if event.get_str(fields::log::LEVEL) != Some("fatal") {
        return None;
    }
    if let Some(database) = named(message, "database \"", "\" does not exist") {
        event.set(fields::postgresql::log::DATABASE, database);
        return None;
    }
    let role = named(message, "role \"", "\" does not exist")
        .or_else(|| named(message, "role \"", "\" is not permitted to log in"));
    if let Some(role) = role {
        set_user(role, event);
        return Some("authentication-failed");
    }
    // In other languages: the code of a password, and that of all else that keeps a client out.
    let code = event.get_str(fields::postgresql::log::SQL_STATE_CODE);
    matches!(code, Some("28P01" | "28000")).then_some("authentication-failed")
}

/// What stands between the beginning and the end of a message.
fn named<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty())
}

fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_on(before)?;
    rest.split_on_byte(b'"').map(|(name, _)| name).filter(|name| !name.is_empty())
}
