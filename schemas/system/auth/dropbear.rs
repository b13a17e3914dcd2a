//! dropbear, the SSH server of small devices. It names the client as `ADDRESS:PORT`, without brackets
//! around an address of IPv6, and began its messages with small letters until 2011.

use super::pam::session;
use super::{between, outcome, source};
use crate::find::Find;
use crate::{Event, fields};

/// What it says of a login, by which method, and how that ended.
const LOGINS: [(&str, &str, &str); 10] = [
    ("Password auth succeeded", "password", "success"),
    ("PAM password auth succeeded", "password", "success"),
    ("Auth succeeded with blank password", "", "success"),
    ("Pubkey auth succeeded", "publickey", "success"),
    ("Bad password attempt", "password", "failure"),
    ("Bad PAM password attempt", "password", "failure"),
    ("Pubkey auth bad signature", "publickey", "failure"),
    ("Login attempt for nonexistent user", "", "failure"),
    ("Login attempt with wrong user", "", "failure"),
    ("Max auth tries reached", "", "failure"),
];

/// Sets what a message of dropbear says.
pub(super) fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(address) = behind(text, "Child connection from ") {
        peer(address, event);
    } else if let Some(rest) = behind(text, "Exit ") {
        exit(rest, event);
    } else if let Some((rest, method, result)) = LOGINS
        .iter()
        .find_map(|(start, method, result)| Some((behind(text, start)?, *method, *result)))
    {
        login(rest, method, result, event);
    }
}

/// ` for 'NAME'[ with [TYPE ]key FINGERPRINT] from ADDRESS:PORT[, extra auth required]`, ` - user
/// 'NAME' from ADDRESS:PORT`, ` from ADDRESS:PORT`.
fn login<'a>(rest: &'a str, method: &'static str, result: &'static str, event: &mut Event<'a>) {
    let (rest, is_part) = match rest.strip_suffix(", extra auth required") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let (before, address) = rest.rsplit_on(" from ").unwrap_or((rest, ""));
    peer(address, event);
    if let Some((user, key)) = before.split_on_byte(b'\'').and_then(|(_, b)| b.rsplit_on("'")) {
        event.set_clean(fields::user::NAME, user);
        if let Some((kind, print)) = key.strip_prefix(" with ").and_then(|k| k.split_on("key ")) {
            let signature = event.format(format_args!("{kind}{print}"));
            event.set(fields::system::auth::ssh::SIGNATURE, signature);
        }
    }
    if !method.is_empty() {
        event.set(fields::system::auth::ssh::METHOD, method);
    }
    event.set(fields::event::TYPE, "info");
    event.set(fields::event::CATEGORY, "authentication");
    if is_part {
        return event.set(fields::event::ACTION, "ssh_login");
    }
    if result == "success" {
        event.set(fields::event::CATEGORY, &["authentication", "session"]);
    }
    outcome("ssh_login", result, event);
}

/// `before auth[ from <ADDRESS:PORT>]: [(user 'NAME', 3 fails): ]REASON`, `(NAME)[ from
/// <ADDRESS:PORT>]: REASON`.
fn exit<'a>(rest: &'a str, event: &mut Event<'a>) {
    if let Some(address) = between(rest, " from <", ">") {
        peer(address, event);
    }
    if rest.starts_with("before auth") {
        if let Some(user) = between(rest, "(user '", "', ") {
            event.set_clean(fields::user::NAME, user);
        }
    } else if let Some((user, _)) = rest
        .strip_prefix('(')
        .or_else(|| rest.strip_prefix("after auth ("))
        .and_then(|rest| rest.split_on_byte(b')'))
    {
        event.set_clean(fields::user::NAME, user);
        session("end", "logged-off", event);
    }
}

/// What follows `start`, whose first letter may be small.
fn behind<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

/// `ADDRESS:PORT`
fn peer<'a>(text: &'a str, event: &mut Event<'a>) {
    let (address, port) = text.trim_end().rsplit_once(':').unwrap_or((text, ""));
    source(address, event);
    if let Ok(port) = port.parse::<u16>() {
        event.set(fields::source::PORT, port);
    }
}
