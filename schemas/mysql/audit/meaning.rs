//! What an event of any form means: Elastic's classification of MySQL Enterprise's events.

use crate::enrich::Quoting;
use crate::fields::mysqlenterprise::audit;
use crate::find::Find;
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

/// A command about accounts, the word that the account follows, and further types.
type AboutAccounts = (&'static str, &'static str, &'static [&'static str]);

static IAM: [AboutAccounts; 8] = [
    ("create_user", "user", &["user", "creation"]),
    ("drop_user", "user", &["user", "deletion"]),
    ("delete_user", "user", &["user", "deletion"]),
    ("alter_user", "user", &["user", "change"]),
    ("rename_user", "user", &["user", "change"]),
    ("grant", "to", &[]),
    ("revoke", "from", &[]),
    ("flush_privileges", "", &[]),
];

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
    if let Some((_, before, further)) = about_accounts(event) {
        categories.push("iam");
        types.extend(further.iter().copied());
        set_target(before, event);
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

fn about_accounts(event: &Event<'_>) -> Option<&'static AboutAccounts> {
    let command = event.get_str(fields::mysqlenterprise::audit::general_data::SQL_COMMAND)?;
    IAM.iter().find(|(name, ..)| *name == command)
}

/// The account that a statement names after the word `before`.
fn set_target(before: &str, event: &mut Event<'_>) {
    let query = event.get_str(fields::mysqlenterprise::audit::general_data::QUERY);
    let Some((user, rest)) = query.and_then(|query| name(after_word(query, before)?)) else {
        return;
    };
    event.set(fields::user::target::NAME, user);
    if let Some((host, _)) = rest.strip_prefix('@').and_then(name) {
        event.set(fields::user::target::DOMAIN, host);
    }
    if let Some(name) = event.get_str(fields::server::user::NAME) {
        event.set(fields::user::NAME, name);
    }
}

/// What follows a word in a statement, `IF [NOT] EXISTS` left out.
fn after_word<'a>(query: &'a str, word: &str) -> Option<&'a str> {
    let words = query.split_ascii_whitespace();
    let mut words = words.skip_while(|found| !found.eq_ignore_ascii_case(word)).skip(1);
    let optional = ["if", "not", "exists"];
    let first =
        words.find(|found| !optional.iter().any(|word| found.eq_ignore_ascii_case(word)))?;
    Some(&query[first.as_ptr() as usize - query.as_ptr() as usize..])
}

/// A name in quotes of any kind or none, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'));
    let found = match quote {
        Some(quote) => text[1..].split_once(quote),
        None => {
            let end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '@' | ';' | ','));
            Some(text.split_at(end.unwrap_or(text.len())))
        }
    };
    found.filter(|(name, _)| !name.is_empty())
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

/// A client's host, by name or address.
pub(super) fn set_host<'a>(host: &'a str, event: &mut Event<'a>) {
    if host.is_empty() {
        return event.null_removed(fields::client::DOMAIN);
    }
    event.set(fields::client::DOMAIN, host);
    if let Some(ip) = peer::ip(host) {
        event.set_if_absent(fields::client::IP, ip);
    }
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
