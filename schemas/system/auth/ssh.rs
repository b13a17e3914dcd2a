//! sshd says who and from where in two dozen wordings. A name is chosen by the client and may hold
//! spaces or " from ", so it ends at the last such word that an address follows.

use super::pam::tried;
use super::{UNKNOWN, outcome, source};
use crate::find::{Find, find};
use crate::peer::ip;
use crate::{Event, clf, fields};

/// Behind what is said before the login.
const PREAUTH: &str = " [preauth]";

/// Sets what a message of sshd says.
pub(super) fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    if text.starts_with("Server listening on ") {
        return;
    }
    for verb in ["Accepted", "Failed", "Postponed", "Partial", "Invalid", "Illegal"] {
        if let Some(rest) = text.strip_prefix(verb).and_then(|rest| rest.strip_prefix(' ')) {
            if login(verb, rest, event).is_some() {
                return;
            }
            break;
        }
    }
    if refused(text, event).is_some() {
        return;
    }
    if let Some(rest) = text.strip_prefix("Did not receive identification string from ") {
        let address = rest.split(' ').next().unwrap_or(rest);
        if let Some(ip) = ip(address) {
            event.set(fields::system::auth::ssh::DROPPED_IP, ip);
        }
    }
    connection(text, event);
}

/// `password for [invalid user ]NAME from ADDRESS port N ssh2[: SIGNATURE]`, `user NAME from
/// ADDRESS[ port N]`.
fn login<'a>(verb: &'static str, rest: &'a str, event: &mut Event<'a>) -> Option<()> {
    // Until 4.3, users that do not exist were illegal.
    let (method, rest) = if matches!(verb, "Invalid" | "Illegal") {
        (None, rest.strip_prefix("user")?)
    } else {
        let (method, rest) = rest.split_on(" for ")?;
        (Some(method).filter(|method| !method.bytes().any(|byte| byte == b' ')), rest)
    };
    let (user, place) = rest.rsplit_on(" from ")?;
    let (address, after) = place.split_on_byte(b' ').unwrap_or((place, ""));
    if address.is_empty() {
        return None;
    }
    let number = after.strip_prefix("port ").map(|number| clf::word(number).0);
    peer(address, number, event);
    let known = user.strip_prefix("invalid user ");
    event.set_clean(fields::user::NAME, known.unwrap_or(user).trim_matches(' '));
    event.set(fields::system::auth::ssh::EVENT, verb);
    if let Some(method) = method {
        event.set(fields::system::auth::ssh::METHOD, method);
    }
    if let Some((_, signature)) = place.split_on(": ") {
        let signature = signature.trim_end_matches(PREAUTH);
        event.set(fields::system::auth::ssh::SIGNATURE, signature);
    }
    event.set(fields::event::TYPE, "info");
    event.set(fields::event::CATEGORY, "authentication");
    match verb {
        "Accepted" => {
            event.set(fields::event::CATEGORY, &["authentication", "session"]);
            outcome("ssh_login", "success", event);
        }
        "Postponed" | "Partial" => event.set(fields::event::ACTION, "ssh_login"),
        _ => outcome("ssh_login", "failure", event),
    }
    Some(())
}

/// `error: PAM: REASON for [illegal user ]NAME from HOST[ via ADDRESS]`, `[fatal: ]Access denied for
/// user NAME by PAM account configuration`, `User NAME[ from HOST] not allowed because REASON`.
fn refused<'a>(text: &'a str, event: &mut Event<'a>) -> Option<()> {
    if let Some(rest) = text.strip_prefix("User ") {
        // What it tries next is logged as failed.
        let (who, _) = rest.split_on(" not allowed because ")?;
        let (user, host) = who.rsplit_on(" from ").unwrap_or((who, ""));
        source(host, event);
        event.set_clean(fields::user::NAME, user);
        return Some(());
    }
    let user = if let Some(said) = text.strip_prefix("error: PAM: ") {
        let (said, place) = said.rsplit_on(" from ")?;
        // Names that do not exist may hold anything, reasons have " for " too.
        let (_, user) = said.split_on(" for illegal user ").or_else(|| said.rsplit_on(" for "))?;
        source(clf::word(place).0, event);
        user
    } else {
        let text = text.strip_prefix("fatal: ").unwrap_or(text);
        let said = text.strip_prefix("Access denied for user ")?;
        said.rsplit_on(" by PAM account configuration")?.0
    };
    event.set_clean(fields::user::NAME, user);
    tried("authentication_failure", "failure", event);
    Some(())
}

/// Anything else: `… [user NAME] [from] ADDRESS port N …`, `… from ADDRESS…`, `… (ADDRESS)`.
fn connection<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((before, address, after)) = place(text) else {
        if let Some(user) = last_user(text) {
            event.set_clean(fields::user::NAME, user);
        }
        if text.has(" authentication failures") {
            tried("authentication_failure", "failure", event);
        }
        return;
    };
    let number = after.strip_prefix(" port ").or_else(|| after.strip_prefix(':'));
    peer(address, number.and_then(|rest| rest.split([' ', ':']).next()), event);
    let before = before.trim_end();
    let before = before.strip_suffix(" from").unwrap_or(before);
    let user = before
        .split_on("user ")
        .or_else(|| before.split_on("User "))
        .or_else(|| before.split_on("exceeded for "))
        .or_else(|| before.strip_prefix("Starting session: ")?.split_on(" for "));
    if let Some((_, user)) = user {
        event.set_clean(fields::user::NAME, user);
    }
    if text.has(" authentication failures") {
        tried("authentication_failure", "failure", event);
    }
    if text.starts_with("error: maximum authentication attempts exceeded") {
        event.set(fields::event::TYPE, "info");
        event.set(fields::event::CATEGORY, "authentication");
        event.set(fields::event::OUTCOME, "failure");
    }
}

/// What precedes an address, the address, and what follows it.
fn place(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(found) = find(&text.as_bytes()[from..], b" port ") {
        let end = from + found;
        let start = text[..end].rfind(' ').map_or(0, |space| space + 1);
        if &text[start..end] == UNKNOWN || ip(&text[start..end]).is_some() {
            return Some((&text[..start], &text[start..end], &text[end..]));
        }
        from = end + 1;
    }
    let mut start = 0;
    for word in text.split(' ') {
        // `drop connection #10 from [203.0.113.9]:50122 on …`
        if let Some((address, _)) = word.strip_prefix('[').and_then(|word| word.split_on("]:"))
            && ip(address).is_some()
        {
            let end = start + 1 + address.len();
            return Some((&text[..start], address, &text[end + 1..]));
        }
        let bare = word.trim_matches(['(', ')', '[', ']', ',']).trim_end_matches(':');
        let likely = bare.contains(['.', ':']) && bare.len() <= 45;
        if likely && ip(bare).is_some() {
            return Some((&text[..start], bare, &text[start + word.len()..]));
        }
        start += word.len() + 1;
    }
    None
}

/// The user of a message without an address.
fn last_user(text: &str) -> Option<&str> {
    let markers = [
        "request for sftp by user ",
        "failures for ",
        "not met by user ",
        "input_userauth_request: ",
    ];
    let (_, rest) = markers.iter().find_map(|marker| text.split_on(marker))?;
    let user = rest.trim_end_matches(PREAUTH).trim_matches('"');
    Some(user.strip_prefix("invalid user ").unwrap_or(user))
}

/// Sets who is at the other end. Of one that is gone sshd knows neither address nor port.
fn peer<'a>(address: &'a str, port: Option<&str>, event: &mut Event<'a>) {
    source(address, event);
    if address != UNKNOWN
        && let Some(Ok(port)) = port.map(str::parse::<u16>)
    {
        event.set(fields::source::PORT, port);
    }
}
