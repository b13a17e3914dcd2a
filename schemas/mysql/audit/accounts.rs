//! Statements about accounts, known by the kind that the server says or, where it says none, by
//! their first words; and the account that one is about.

use crate::fields::mysqlenterprise::audit::general_data;
use crate::find::{Find, place};
use crate::{Event, fields};

/// A kind of statement.
pub(super) struct Statement {
    /// What servers call it.
    command: &'static str,
    /// What it begins with.
    words: &'static [&'static str],
    /// Words of which one stands before the account.
    before: &'static [&'static str],
    /// Its types beside those of any statement.
    pub types: &'static [&'static str],
}

const CREATION: &[&str] = &["user", "creation"];
const DELETION: &[&str] = &["user", "deletion"];
const CHANGE: &[&str] = &["user", "change"];

const fn about(
    command: &'static str,
    words: &'static [&'static str],
    before: &'static [&'static str],
    types: &'static [&'static str],
) -> Statement {
    Statement { command, words, before, types }
}

/// Two statements are of this kind: `ALTER USER … DEFAULT ROLE` and `SET DEFAULT ROLE`.
const DEFAULT_ROLE: &str = "alter_user_default_role";

static STATEMENTS: [Statement; 15] = [
    about("create_user", &["create", "user"], &["user"], CREATION),
    about("drop_user", &["drop", "user"], &["user"], DELETION),
    about("delete_user", &[], &["user"], DELETION),
    about("alter_user", &["alter", "user"], &["user"], CHANGE),
    about("rename_user", &["rename", "user"], &["user"], CHANGE),
    about("set_password", &["set", "password"], &["password"], CHANGE),
    // MariaDB has `FOR`.
    about(DEFAULT_ROLE, &["set", "default", "role"], &["to", "for"], CHANGE),
    about("create_role", &["create", "role"], &[], &["group", "creation"]),
    about("drop_role", &["drop", "role"], &[], &["group", "deletion"]),
    about("grant", &["grant"], &["to"], &[]),
    about("grant_roles", &[], &["to"], &[]),
    about("revoke", &["revoke"], &["from"], &[]),
    about("revoke_roles", &[], &["from"], &[]),
    about("revoke_all", &[], &["from"], &[]),
    about("flush_privileges", &["flush", "privileges"], &[], &[]),
];

/// The kind of an event's statement, if it is about accounts.
pub(super) fn find(class: &str, event: &Event<'_>) -> Option<&'static Statement> {
    let command = event.get_str(general_data::SQL_COMMAND);
    let said = || by_words(without_comments(event.get_str(general_data::QUERY)?));
    let by_command = |name: &str| STATEMENTS.iter().find(|known| known.command == name);
    match command {
        Some(DEFAULT_ROLE) => said().or_else(|| by_command(DEFAULT_ROLE)),
        Some(name) => by_command(name),
        None if class == "general" => said(),
        None => None,
    }
}

fn by_words(query: &str) -> Option<&'static Statement> {
    let mut words = query.split_ascii_whitespace();
    let first = words.next()?;
    STATEMENTS.iter().find(|known| match known.words {
        [own, others @ ..] if own.eq_ignore_ascii_case(first) => go_on(words.clone(), others),
        _ => false,
    })
}

/// `OR REPLACE` of MariaDB left out.
fn go_on<'q>(words: impl Iterator<Item = &'q str>, others: &[&str]) -> bool {
    let mut words = words.skip_while(|word| is_one(word, &["or", "replace"]));
    let next = |other: &&str| words.next().is_some_and(|word| is_word(word, other));
    others.iter().all(next)
}

fn is_word(text: &str, word: &str) -> bool {
    text.split([';', '=']).next().is_some_and(|text| text.eq_ignore_ascii_case(word))
}

fn is_one(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Clients put their names before statements: `/* … */ CREATE USER …`.
fn without_comments(query: &str) -> &str {
    let mut query = query.trim_start();
    while let Some((_, rest)) = query.strip_prefix("/* ").and_then(|rest| rest.split_on("*/")) {
        query = rest.trim_start();
    }
    query
}

/// Sets the account that a statement is about.
pub(super) fn set_target(statement: &Statement, event: &mut Event<'_>) {
    let query = event.get_str(general_data::QUERY).map(without_comments);
    let Some(text) = query.and_then(|query| after_word(query, statement.before)) else { return };
    let account = event.get_str(fields::server::user::NAME);
    if is_own(text) {
        let Some(own) = account else { return };
        event.set(fields::user::target::NAME, own);
    } else {
        let Some((user, rest)) = name(text) else { return };
        event.set(fields::user::target::NAME, user);
        if let Some((host, _)) = rest.strip_prefix('@').and_then(name) {
            event.set(fields::user::target::DOMAIN, host);
        }
    }
    if let Some(name) = account {
        event.set(fields::user::NAME, name);
    }
}

/// `CURRENT_USER`, `CURRENT_USER()` and `USER()` are the account that the client has.
fn is_own(text: &str) -> bool {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let current = "current_user";
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@');
    let ends = !text.as_bytes().get(current.len()).is_some_and(goes_on);
    begins(current) && ends || begins("user()")
}

/// What follows one of some words in a statement, `IF [NOT] EXISTS` and `FOR` left out.
fn after_word<'q>(query: &'q str, before: &[&str]) -> Option<&'q str> {
    let words = query.split_ascii_whitespace();
    let mut words = words.skip_while(|found| !is_one(found, before)).skip(1);
    let first = words.find(|found| !is_one(found, &["if", "not", "exists", "for"]))?;
    Some(&query[place(query.as_bytes(), first.as_bytes())..])
}

/// A name in quotes of any kind or none, and what follows it.
pub(super) fn name(text: &str) -> Option<(&str, &str)> {
    let first = text.chars().next()?;
    let found = match first {
        '\'' | '"' | '`' => text[1..].split_once(first),
        _ => Some(text.split_at(text.find(ends_name).unwrap_or(text.len()))),
    };
    found.filter(|(name, _)| !name.is_empty())
}

/// Without quotes only the marks that hosts have are of a name; what follows it may be secret.
fn ends_name(character: char) -> bool {
    let is_mark = character.is_ascii_punctuation() && !"_$.-%".contains(character);
    character.is_ascii_whitespace() || is_mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_about_accounts_is_known_by_its_first_words() {
        let known = |query| by_words(without_comments(query)).map(|known| known.command);
        for (query, command) in [
            ("create user bob", "create_user"),
            ("CREATE OR REPLACE\n USER bob", "create_user"),
            ("/* a client */ /* and more */ ALTER USER bob", "alter_user"),
            ("GRANT SELECT ON *.* TO bob", "grant"),
            ("SET DEFAULT ROLE ALL TO bob", DEFAULT_ROLE),
            ("SET PASSWORD='x'", "set_password"),
            ("flush privileges;", "flush_privileges"),
        ] {
            assert_eq!(known(query), Some(command), "{query}");
        }
        for query in ["", ";", "SELECT 1", "create", "create table user (id int)", "/* cut off"] {
            assert_eq!(known(query), None, "{query}");
        }
    }

    #[test]
    fn a_function_that_names_the_own_account_is_no_name() {
        for own in ["CURRENT_USER() IDENTIFIED", "current_user", "User() x", "CURRENT_USER, bob"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["'current_user'@'%'", "current_users", "user", "`user()`"] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_no_account() {
        assert_eq!(after_word("SET PASSWORD = 'x'", &["password"]).and_then(name), None);
        let found = after_word("SET PASSWORD FOR bob = 'x'", &["password"]).and_then(name);
        assert_eq!(found, Some(("bob", " = 'x'")));
        assert_eq!(name("localhost='x'"), Some(("localhost", "='x'")));
        assert_eq!(name("%"), Some(("%", "")));
    }
}
