//! Accounts: `'user'@'host'` in messages, `user@host` where a connection begins, and
//! `privileged[user] @ host [address]` in the slow log.

use crate::find::Find;
use crate::{Event, fields, peer};

/// `'user'@'host'` at the start of `text`, and what follows it. Quotes inside are not escaped, so
/// the first end that fits counts.
fn quoted(text: &str) -> Option<(&str, &str, &str)> {
    let (user, rest) = text.strip_prefix('\'')?.split_on("'@'")?;
    let (host, rest) = rest.split_on_byte(b'\'')?;
    Some((user, host, rest))
}

/// Who did it.
pub(crate) fn set_user<'a>(name: &'a str, event: &mut Event<'a>) {
    if event.set_clean(fields::user::NAME, name) {
        event.set(fields::related::USER, name);
    }
}

/// From where: an address, or a name.
pub(crate) fn set_host<'a>(host: &'a str, event: &mut Event<'a>) {
    if !host.is_empty() && !is_pattern(host) {
        peer::SOURCE.set(host, None, event);
    }
}

/// Whether a host is an account's pattern, `%`, `10.0.0.%` or a network with its mask, and no host.
pub(crate) fn is_pattern(host: &str) -> bool {
    host.contains(['%', '/']) && peer::ip(host).is_none()
}

/// What stands between user and host in `privileged[user] @ host [address]`.
pub(crate) const AT: &[u8] = b"] @ ";

/// `privileged[user] @ host [address]`, and what follows it.
pub(crate) struct UserHost<'a> {
    pub privileged: &'a str,
    pub user: &'a str,
    pub host: &'a str,
    pub address: &'a str,
    pub rest: &'a str,
}

impl<'a> UserHost<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let (names, place) = text.split_on("] @ ")?;
        let (privileged, user) = names.split_on_byte(b'[').unwrap_or((names, ""));
        let (host, rest) = place.split_on_byte(b'[').unwrap_or((place, ""));
        let (address, rest) = rest.split_on_byte(b']').unwrap_or((rest, ""));
        let [privileged, user, host] = [privileged, user, host].map(str::trim);
        Some(Self { privileged, user, host, address, rest: rest.trim() })
    }
}

/// Sets what `Access denied for user 'user'@'host' …` says. Says whether the message is that.
pub(crate) fn denied<'a>(message: &'a str, event: &mut Event<'a>) -> bool {
    let rest = message.split_on("Access denied for user ").map(|(_, rest)| rest);
    let Some((user, host, _)) = rest.and_then(quoted) else { return false };
    set_user(user, event);
    set_host(host, event);
    event.set(fields::event::ACTION, "logon-failed");
    event.set(fields::event::CATEGORY, &["authentication", "database"]);
    event.set(fields::event::OUTCOME, "failure");
    true
}
