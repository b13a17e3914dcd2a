//! What an event of any form means: Elastic's classification of MySQL Enterprise's events.

use super::accounts;
use crate::datasets::mysql::account;
use crate::enrich::Quoting;
use crate::fields::mysqlenterprise::audit;
use crate::find::Find;
use crate::nothing::is_nothing;
use crate::{Event, fields, peer};

/// What happened to what.
#[derive(Clone, Copy)]
pub(super) struct Happened<'a> {
    /// `connection`, `general`, `table_access`, `audit`
    pub class: &'a str,
    /// `connect`, `status`, `read`
    pub event: &'a str,
    /// 0, or the number of an error.
    pub status: Option<i64>,
}

pub(super) fn set<'a>(happened: Happened<'a>, event: &mut Event<'a>) {
    let Happened { class, event: what, status } = happened;
    let mut categories = event.list::<&'a str>();
    categories.push("database");
    let mut types = event.list::<&'a str>();
    if class != "audit" {
        types.push("access");
    }
    if class == "connection" {
        categories.push("network");
        types.push("connection");
    }
    match what {
        "connect" => types.push("start"),
        "disconnect" => types.push("end"),
        _ => {}
    }
    if let Some(statement) = accounts::find(class, event) {
        categories.push("iam");
        types.extend(statement.types.iter().copied());
        accounts::set_target(statement, event);
    } else if class == "authentication" {
        categories.push("iam");
        types.extend(types_of(what).iter().copied());
    }
    event.set(fields::event::CATEGORY, categories.into_bump_slice());
    if !types.is_empty() {
        event.set(fields::event::TYPE, types.into_bump_slice());
    }
    let outcome = match status {
        Some(0) => "success",
        Some(_) => "failure",
        None => "unknown",
    };
    event.set(fields::event::OUTCOME, outcome);
    if !what.is_empty() {
        let action = event.format(format_args!("mysql-{what}"));
        event.set(fields::event::ACTION, action);
    }
    if !class.is_empty() {
        event.set(fields::mysqlenterprise::audit::CLASS, class);
    }
    event.set_if_absent(fields::process::NAME, "mysqld");
}

/// The types of an event about an account itself, which only Percona's filter has.
fn types_of(authentication: &str) -> &'static [&'static str] {
    match authentication {
        "auth_authid_create" => &["user", "creation"],
        "auth_authid_drop" => &["user", "deletion"],
        "auth_authid_rename" | "auth_credential_change" => &["user", "change"],
        _ => &[],
    }
}

/// Says once more who and where, in the fields that gather them.
pub(super) fn relate(event: &mut Event<'_>) {
    let account = event.get_str(fields::server::user::NAME);
    let login = event.get_str(fields::mysqlenterprise::audit::login::USER);
    if let Some(user) = login.or(account) {
        event.set_if_absent(fields::user::NAME, user);
    }
    let mut users = event.list();
    let of = [fields::server::user::NAME, fields::client::user::NAME, fields::user::target::NAME];
    for field in of {
        if let Some(name) = event.get_str(field).filter(|name| !users.contains(name)) {
            users.push(name);
        }
    }
    if !users.is_empty() {
        event.set(fields::related::USER, users.into_bump_slice());
    }
    if let Some(address) = event.get_str(fields::client::IP) {
        event.set(fields::related::IP, address);
    }
    if let Some(host) = event.get_str(fields::client::DOMAIN) {
        event.set(fields::related::HOSTS, host);
    }
    let of = [audit::general_data::QUERY, audit::table_access_data::QUERY];
    if let Some(query) = of.into_iter().find(|field| event.has(*field)) {
        event.is_statement(query, Quoting::Backslash);
    }
}

/// A client's host, by name or address. Says whether it is one: an account's pattern is not.
pub(super) fn set_host<'a>(host: &'a str, event: &mut Event<'a>) -> bool {
    if is_nothing(host) {
        event.null_removed(fields::client::DOMAIN);
        return true;
    }
    if account::is_pattern(host) {
        return false;
    }
    peer::CLIENT.set(host, None, event);
    true
}

/// A client's address, which stands beside its host. Says whether it is one.
pub(super) fn set_address<'a>(address: &'a str, event: &mut Event<'a>) -> bool {
    let Some(ip) = peer::ip(address) else { return false };
    event.set(fields::client::IP, ip);
    event.set_if_absent(fields::client::ADDRESS, address);
    true
}

/// `privileged[user] @ host [address]`, or a name alone.
pub(super) fn set_account<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((names, _)) = text.split_on("] @ ") else {
        event.set(fields::server::user::NAME, text);
        return;
    };
    let (privileged, user) = names.split_on_byte(b'[').unwrap_or((names, ""));
    event.set_clean(fields::server::user::NAME, privileged);
    if !user.is_empty() {
        event.set(fields::mysqlenterprise::audit::login::USER, user);
    }
}
