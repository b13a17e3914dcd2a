//! What an event of any form means: Elastic's classification of MySQL Enterprise's events.

use crate::{Event, fields};

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

/// Statements about accounts.
const IAM: [&str; 8] = [
    "create_user",
    "delete_user",
    "drop_user",
    "alter_user",
    "rename_user",
    "grant",
    "revoke",
    "flush_privileges",
];

pub(super) fn set<'a>(happened: Happened<'a>, event: &mut Event<'a>) {
    let Happened { class, event: what, status } = happened;
    let mut categories = event.list::<&'a str>();
    categories.push("database");
    let mut types = event.list::<&'a str>();
    if class != "audit" {
        types.extend(["access", "connection"]);
    }
    match what {
        "connect" => {
            categories.push("network");
            types.push("start");
        }
        "disconnect" => types.push("end"),
        _ => {}
    }
    if is_about_accounts(event) {
        categories.push("iam");
        set_target(event);
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

fn is_about_accounts(event: &Event<'_>) -> bool {
    let command = event.get_str(fields::mysqlenterprise::audit::general_data::SQL_COMMAND);
    command.is_some_and(|command| IAM.contains(&command))
}

/// The first `'user'@'host'` of the statement.
fn set_target(event: &mut Event<'_>) {
    let query = event.get_str(fields::mysqlenterprise::audit::general_data::QUERY);
    let account = query.and_then(|query| {
        let at = query.find("'@'")?;
        let user = query[..at].rsplit('\'').next()?;
        let host = query[at + 3..].split('\'').next()?;
        Some((user, host))
    });
    let Some((user, host)) = account else { return };
    event.set(fields::user::target::NAME, user);
    event.set(fields::user::target::DOMAIN, host);
    if let Some(name) = event.get_str(fields::server::user::NAME) {
        event.set(fields::user::NAME, name);
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
    for field in [fields::server::user::NAME, fields::client::user::NAME] {
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
}

/// A client's host, by name or address.
pub(super) fn set_host<'a>(host: &'a str, event: &mut Event<'a>) {
    if host.is_empty() {
        return event.null_removed(fields::client::DOMAIN);
    }
    event.set(fields::client::DOMAIN, host);
    if host.parse::<std::net::IpAddr>().is_ok() {
        event.set_if_absent(fields::client::IP, host);
    }
}

/// `privileged[user] @ host [address]`, or a name alone.
pub(super) fn set_account<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((names, _)) = text.split_once("] @ ") else {
        event.set(fields::server::user::NAME, text);
        return;
    };
    let (privileged, user) = names.split_once('[').unwrap_or((names, ""));
    event.set_clean(fields::server::user::NAME, privileged);
    if !user.is_empty() {
        event.set(fields::mysqlenterprise::audit::login::USER, user);
    }
}
