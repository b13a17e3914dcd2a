//! Logins at a terminal (util-linux's and shadow's `login`), and polkit, which asks who somebody is
//! before it lets them do something.

use super::pam::{session, tried};
use super::{UNKNOWN, between, source};
use crate::find::Find;
use crate::{Event, fields};

/// `LOGIN ON TTY BY NAME[ FROM HOST]`, `ROOT LOGIN ON TTY[ FROM HOST]`, `FAILED LOGIN 1 FROM HOST
/// FOR NAME, REASON`, `FAILED LOGIN (1) on 'TTY'[ from 'HOST'] FOR 'NAME', REASON`, `TOO MANY LOGIN
/// TRIES (5) FROM HOST FOR NAME, REASON`; BusyBox's `invalid password for 'NAME' on 'TTY'[ from
/// 'HOST']` and `root login on 'TTY'[ from 'HOST']`.
pub(super) fn login<'a>(text: &'a str, event: &mut Event<'a>) {
    let bare = |word: &'a str| word.trim_matches('\'');
    if text.starts_with("FAILED LOGIN") || text.starts_with("TOO MANY LOGIN TRIES") {
        let Some((before, rest)) = text.split_on(" FOR ") else { return };
        let host = before.split_on(" FROM ").or_else(|| before.split_on(" from "));
        if let Some((_, host)) = host {
            from(bare(host), event);
        }
        name(bare(rest.split(',').next().unwrap_or(rest)), event);
        return tried("authentication_failure", "failure", event);
    }
    if let Some(rest) = text.strip_prefix("invalid password for '") {
        let (user, place) = rest.rsplit_on("' on '").unwrap_or((rest, ""));
        at_terminal(place, event);
        name(user.trim_end_matches('\''), event);
        return tried("authentication_failure", "failure", event);
    }
    if let Some(place) = text.strip_prefix("root login on '") {
        at_terminal(place, event);
        event.set(fields::user::NAME, "root");
        return session("start", "logged-on", event);
    }
    let (user, rest) = if let Some(rest) = text.strip_prefix("LOGIN ON ") {
        let Some((_, rest)) = rest.split_on(" BY ") else { return };
        rest.split_on_byte(b' ').unwrap_or((rest, ""))
    } else if let Some(rest) = text.strip_prefix("ROOT LOGIN ") {
        ("root", rest)
    } else {
        return;
    };
    if let Some((_, host)) = rest.split_on("FROM ") {
        from(host, event);
    }
    event.set_clean(fields::user::NAME, bare(user.trim_end()));
    session("start", "logged-on", event);
}

/// A name that was typed in, which is not always told.
fn name<'a>(user: &'a str, event: &mut Event<'a>) {
    match user {
        UNKNOWN | "(unknown)" => event.null_removed(fields::user::NAME),
        user => {
            event.set_clean(fields::user::NAME, user);
        }
    }
}

/// `TTY' from 'HOST'`, or `TTY'`.
fn at_terminal<'a>(place: &'a str, event: &mut Event<'a>) {
    if let Some((_, host)) = place.split_on("' from '") {
        source(host.trim_end().trim_end_matches('\''), event);
    }
}

/// A terminal may stand in place of a host.
fn from<'a>(host: &'a str, event: &mut Event<'a>) {
    let is_terminal = ["tty", "pts", "/dev/"].iter().any(|start| host.starts_with(start));
    if !is_terminal && !host.starts_with('(') {
        source(host, event);
    }
}

/// `Operator of SESSION successfully authenticated as unix-user:NAME to gain … authorization for
/// action … (owned by unix-user:NAME)`, `Operator of SESSION FAILED to authenticate to gain …`.
pub(super) fn polkit<'a>(text: &'a str, event: &mut Event<'a>) {
    if !text.starts_with("Operator of ") {
        return;
    }
    if let Some((_, owner)) = text.split_on("(owned by unix-user:") {
        event.set_clean(fields::user::NAME, owner.trim_end().trim_end_matches(')'));
    }
    if let Some(user) = between(text, " authenticated as unix-user:", " ") {
        event.set_clean(fields::user::effective::NAME, user);
        tried("authentication_success", "success", event);
    } else if text.has(" FAILED to authenticate ") {
        tried("authentication_failure", "failure", event);
    }
}

/// `NAME: Executing command [USER=NAME] [TTY=…] [CWD=…] [COMMAND=…]`, `NAME: Error executing
/// command as another user: Not authorized [USER=NAME] …`.
pub(super) fn pkexec<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((user, rest)) = text.split_on(": ") else { return };
    let Some(target) = between(rest, " [USER=", "]") else { return };
    event.set_clean(fields::user::NAME, user);
    event.set_clean(fields::user::effective::NAME, target);
    event.set(fields::event::CATEGORY, "process");
    event.set(fields::event::TYPE, "start");
    let failed = !rest.starts_with("Executing ");
    super::outcome("pkexec", if failed { "failure" } else { "success" }, event);
}
