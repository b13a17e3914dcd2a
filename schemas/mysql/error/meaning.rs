//! Messages that say who came from where, and what became of it.

use super::crash;
use crate::datasets::mysql::account;
use crate::find::Find;
use crate::{Event, Transformation, fields};

/// Sets the fields of the messages that are known.
pub(super) fn set<'a>(message: &'a str, event: &mut Event<'a>) {
    if account::denied(message, event) {
        return;
    }
    if let Some(rest) = after(message, "Aborted connection ") {
        aborted(rest, event);
    } else if let Some(rest) = after(message, "Server socket created on IP: '") {
        // The server's own address, but under this name in Elastic's documents.
        account::set_host(rest.split('\'').next().unwrap_or_default(), event);
    } else if message.has("ready for connections") {
        ready(message, event);
    } else if crash::is_report(message) {
        event.set(fields::event::ACTION, "crashed");
        is_error(event);
    } else if message.starts_with("InnoDB: Assertion failure") {
        is_error(event);
    }
}

/// What later versions write with the level of an error.
fn is_error(event: &mut Event<'_>) {
    event.set(fields::event::TYPE, &["error", "info"]);
    if !event.has(fields::log::LEVEL) {
        event.set(fields::log::LEVEL, "error");
        event.transformation_of(Transformation::LevelAssumed, "error");
    }
}

fn after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.split_on(words).map(|(_, rest)| rest)
}

/// `12 to db: 'shop' user: 'app' host: '10.0.0.5' (Got timeout reading communication packets)`
fn aborted<'a>(rest: &'a str, event: &mut Event<'a>) {
    let value = |name: &str| after(rest, name)?.split('\'').next();
    let Some(user) = value(" user: '") else { return };
    // Not yet logged in.
    if user != "unauthenticated" {
        account::set_user(user, event);
    }
    account::set_host(value(" host: '").unwrap_or_default(), event);
    event.set(fields::event::ACTION, "connection-aborted");
}

/// `Version: '8.0.15'  socket: '/tmp/mysql.sock'  port: 3306  Source distribution`
fn ready<'a>(message: &'a str, event: &mut Event<'a>) {
    let version = after(message, "Version: '").and_then(|rest| rest.split('\'').next());
    if let Some(version) = version {
        event.set(fields::service::VERSION, version);
    }
}
