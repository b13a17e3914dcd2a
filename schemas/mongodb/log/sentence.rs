//! The text log's messages that are always worded the same, and what they tell.

use super::attributes::set_error;
use super::occasion::Occasion;
use super::operation::{self, set_duration};
use super::parser::{set_number, set_user};
use super::peer;
use crate::find::Find;
use crate::{Event, fields};

/// How a message begins that was longer than the log takes, before its first and last bytes.
const SHORTENED: &str = "log line attempted (";

/// Sets what a message tells; most tell nothing that has a field.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim_start();
    if connection(text, event) || login(text, event) {
        return;
    }
    let operation = text
        .strip_prefix("warning: ")
        .unwrap_or(text)
        .strip_prefix(SHORTENED)
        .and_then(|rest| rest.split_on("printing beginning and end ... "))
        .map_or(text, |(_, operation)| operation);
    if operation::set(operation, event) {
        return;
    }
    if let Some(rest) = text.strip_prefix("transaction parameters:") {
        set_duration(text, event);
        operation::set_words(rest, event);
    } else if let Some((_, rest)) = text.rsplit_on(" took ") {
        set_duration(word(rest), event);
    } else if let Some(rest) = text.strip_prefix("MongoDB starting : pid=") {
        set_number(fields::process::PID, word(rest), event);
    } else if let Some(rest) = text.strip_prefix("db version v") {
        event.set_clean(fields::service::VERSION, word(rest).trim_end_matches(','));
    } else if let Some((code, reason)) =
        text.strip_prefix("Assertion: ").and_then(|rest| rest.split_on_byte(b':'))
    {
        event.set(fields::error::CODE, code);
        event.set_clean(fields::error::MESSAGE, reason.trim());
    }
}

/// Up to the next space.
fn word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Clients that come, go, and say what they are.
fn connection<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    if let Some(rest) = text.strip_prefix("connection accepted from ") {
        Occasion::Accepted.set(event);
        let (address, rest) = rest.split_on(" #").unwrap_or((rest, ""));
        peer::set(address, event);
        set_number(fields::mongodb::log::connection::ID, word(rest), event);
        open_connections(rest, event);
    } else if let Some(rest) = text.strip_prefix("end connection ") {
        Occasion::Ended.set(event);
        let (address, rest) = rest.split_on(" (").map_or((rest, ""), |(a, _)| (a, rest));
        peer::set(address, event);
        open_connections(rest, event);
    } else if let Some(rest) = text.strip_prefix("Error receiving request from client: ") {
        let (error, rest) = rest.split_on(" Ending connection from ").unwrap_or((rest, ""));
        set_error(error.trim_end_matches('.'), event);
        let (address, rest) = rest.split_on(" (connection id: ").unwrap_or((rest, ""));
        if !address.is_empty() {
            peer::set(address, event);
        }
        set_number(fields::mongodb::log::connection::ID, rest.trim_end_matches(')'), event);
    } else if let Some(rest) = text.strip_prefix("received client metadata from ") {
        let (address, document) = rest.split_on(" conn").unwrap_or((rest, ""));
        peer::set(address, event);
        let driver = document.find("driver: { ").map_or("", |at| &document[at..]);
        let parts = [
            (fields::mongodb::log::driver::NAME, quoted(driver, "name: \"")),
            (fields::mongodb::log::driver::VERSION, quoted(driver, "version: \"")),
            (fields::mongodb::log::APP_NAME, quoted(document, "application: { name: \"")),
        ];
        for (field, part) in parts {
            if let Some(part) = part {
                event.set_clean(field, part);
            }
        }
    } else {
        return false;
    }
    true
}

/// `(12 connections now open)`
fn open_connections(text: &str, event: &mut Event<'_>) {
    if let Some((_, count)) = text.rsplit_once('(') {
        set_number(fields::mongodb::log::connection::COUNT, word(count), event);
    }
}

/// The string after `key`, which ends with the quote that opens it.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_on(key)?;
    rest.split_on_byte(b'"').map(|(inside, _)| inside)
}

/// Users that were let in, or were not.
fn login<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    if let Some(rest) = text.strip_prefix("Successfully authenticated as principal ") {
        Occasion::Authenticated.set(event);
        on_database(rest, event);
    } else if let Some((mechanism, rest)) = text.split_on(" authentication failed for ")
        && mechanism.strip_prefix("SASL ").unwrap_or(mechanism).bytes().all(|byte| byte != b' ')
    {
        Occasion::NotAuthenticated.set(event);
        let mechanism = mechanism.strip_prefix("SASL ").unwrap_or(mechanism);
        event.set_clean(fields::mongodb::log::auth::MECHANISM, mechanism);
        let (rest, reason) = rest.split_on(" ; ").unwrap_or((rest, ""));
        on_database(rest, event);
        set_error(reason.trim(), event);
    } else if let Some(rest) = text.strip_prefix("Failed to authenticate ") {
        Occasion::NotAuthenticated.set(event);
        // A certificate's subject has spaces.
        let (whose, rest) = rest
            .split_on(" with mechanism ")
            .or_else(|| rest.split_on_byte(b' '))
            .unwrap_or((rest, ""));
        let (user, address) = whose.split_on(" from client ").unwrap_or((whose, ""));
        let (user, database) = user.rsplit_once('@').unwrap_or((user, ""));
        set_user(user, event);
        event.set_clean(fields::mongodb::log::auth::DATABASE, database);
        if !address.is_empty() {
            peer::set(address, event);
        }
        if let Some((mechanism, reason)) = rest.split_on(": ") {
            event.set_clean(fields::mongodb::log::auth::MECHANISM, word(mechanism));
            set_error(reason.trim(), event);
        }
    } else if text.starts_with("Unauthorized: ") || text.starts_with("Unauthorized ") {
        Occasion::NotAuthorized.set(event);
        let reason = text.split(" { ").next().unwrap_or(text);
        set_error(reason, event);
    } else if let Some(rest) = text.strip_prefix("authenticate db: ") {
        event.set(fields::event::ACTION, "authentication");
        event.set_clean(fields::mongodb::log::auth::DATABASE, word(rest));
        for (key, is_user) in [("user: \"", true), ("mechanism: \"", false)] {
            match quoted(rest, key) {
                Some(user) if is_user => set_user(user, event),
                Some(name) => {
                    event.set_clean(fields::mongodb::log::auth::MECHANISM, name);
                }
                None => {}
            }
        }
    } else {
        return false;
    }
    true
}

/// `bob on admin from client 10.0.0.7:52076`; the client is not in every version.
fn on_database<'a>(text: &'a str, event: &mut Event<'a>) {
    let (rest, address) = text.split_on(" from client ").unwrap_or((text, ""));
    if !address.is_empty() {
        peer::set(word(address), event);
    }
    let (user, database) = rest.rsplit_on(" on ").unwrap_or((rest, ""));
    set_user(user, event);
    if !database.is_empty() {
        event.set_clean(fields::mongodb::log::auth::DATABASE, database.trim());
    }
}
