//! Sessions and failed authentications, which PAM and systemd-logind word alike for every program.

use super::{between, outcome, source};
use crate::find::Find;
use crate::{Event, fields};

/// Sets what a message of a PAM module says; `false` if it is none.
pub(super) fn message<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    const OPENED: &str = "opened for user ";
    const CLOSED: &str = "closed for user ";
    if let Some((end, rest)) = behind(text, "session ", &[OPENED, CLOSED]) {
        match end {
            OPENED => opened(rest, event),
            _ => {
                event.set_clean(fields::user::NAME, name_and_id(rest.trim_end()).0);
                session("end", "logged-off", event);
            }
        }
    } else if let Some((_, rest)) = behind(text, "authentication failure", &["; ", "s; ", " "]) {
        who_and_where(rest, event);
        tried("authentication_failure", "failure", event);
    } else if let Some(user) = text.strip_prefix("password check failed for user (") {
        event.set_clean(fields::user::NAME, user.split(')').next().unwrap_or(user));
        tried("authentication_failure", "failure", event);
    } else if text.starts_with("check pass; user unknown") {
        failed_to_ask(text, event);
    } else if text.starts_with("pam_") {
        of_module(text, event);
    } else {
        return text.starts_with("PAM ");
    }
    true
}

/// `pam_MODULE(SERVICE:STAGE): …`, of which only some are worded so that they say who.
fn of_module<'a>(text: &'a str, event: &mut Event<'a>) {
    let (module, said) = text.split_on("): ").unwrap_or((text, ""));
    if module.starts_with("pam_succeed_if(") {
        if let Some(user) = between(said, "not met by user \"", "\"") {
            event.set_clean(fields::user::NAME, user);
        }
    } else if module.starts_with("pam_faillock(") {
        // `Consecutive login failures for user NAME account temporarily locked`
        if let Some((_, user)) = said.split_on(" for user ") {
            event.set_clean(fields::user::NAME, user.split(' ').next().unwrap_or(user));
            tried("account-locked", "failure", event);
        }
    } else if let Some(rest) = said.strip_prefix("authentication success; ") {
        who_and_where(rest, event);
        tried("authentication_success", "success", event);
    } else if let Some(rest) = said.strip_prefix("access denied for user `") {
        // pam_access: `access denied for user `NAME' from `HOST'`
        event.set_clean(fields::user::NAME, rest.split('\'').next().unwrap_or(rest));
        if let Some(host) = between(rest, "from `", "'") {
            source(host, event);
        }
        tried("authentication_failure", "failure", event);
    } else if let Some((user, result)) =
        said.strip_prefix("received for user ").and_then(|rest| rest.split_on(": "))
    {
        // pam_sss: `received for user NAME: 7 (Authentication failure)`
        event.set_clean(fields::user::NAME, user);
        if !result.starts_with("0 ") {
            tried("authentication_failure", "failure", event);
        }
    } else if module.starts_with("pam_tally2(") {
        // `user NAME (UID) tally 4, deny 3`
        if let Some((user, rest)) = said.strip_prefix("user ").and_then(|rest| rest.split_on(" ("))
        {
            event.set_clean(fields::user::NAME, user);
            event.set(fields::user::ID, rest.split(')').next().unwrap_or(rest));
            tried("account-locked", "failure", event);
        }
    } else if module.starts_with("pam_unix(") && module.ends_with(":auth") {
        failed_to_ask(said, event);
    } else if module.starts_with("pam_unix(") && module.ends_with(":account") {
        // `account NAME has expired (account expired)`, `expired password for user NAME (…)`
        let account = between(said, "account ", " has expired");
        if let Some(user) = account.or_else(|| between(said, " for user ", " ")) {
            event.set_clean(fields::user::NAME, user);
        }
        if account.is_some() {
            tried("authentication_failure", "failure", event);
        }
    } else if module.ends_with(":chauthtok") {
        event.set(fields::event::CATEGORY, "iam");
        event.set(fields::event::TYPE, "change");
        match said.strip_prefix("password changed for ") {
            Some(user) => {
                event.set_clean(fields::user::NAME, user);
                event.set_clean(fields::user::target::NAME, user);
                outcome("password-changed", "success", event);
            }
            None => outcome("password-changed", "failure", event),
        }
    }
}

/// `check pass; user unknown`, `conversation failed`, `auth could not identify password for [NAME]`,
/// `bad username [NAME]`: nobody was authenticated.
fn failed_to_ask<'a>(said: &'a str, event: &mut Event<'a>) {
    let starts = ["check pass; user unknown", "conversation failed", "bad username"];
    let no_password = said.starts_with("auth could not identify password");
    if !no_password && !starts.iter().any(|start| said.starts_with(start)) {
        return event.set(fields::event::CATEGORY, "authentication");
    }
    if let Some(user) = between(said, "[", "]") {
        event.set_clean(fields::user::NAME, user);
    }
    tried("authentication_failure", "failure", event);
}

pub(super) fn tried(action: &'static str, result: &'static str, event: &mut Event<'_>) {
    event.set(fields::event::CATEGORY, "authentication");
    event.set(fields::event::TYPE, "info");
    outcome(action, result, event);
}

/// The one of `ends` that the first `start` goes on with, and what follows it. Most messages of any
/// program have none, so that looking must cost little.
fn behind<'a, 'e>(text: &'a str, start: &str, ends: &[&'e str]) -> Option<(&'e str, &'a str)> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_on(start) {
        let with = |end: &&'e str| after.strip_prefix(*end).map(|found| (*end, found));
        if let Some(found) = ends.iter().find_map(with) {
            return Some(found);
        }
        rest = after;
    }
    None
}

/// `NAME[(uid=N)] by [NAME](uid=N)`: the second opened it and gets the rights of the first.
fn opened<'a>(rest: &'a str, event: &mut Event<'a>) {
    let (target, by) = rest.trim_end().split_on(" by ").unwrap_or((rest.trim_end(), ""));
    let (target, target_id) = name_and_id(target);
    let (user, user_id) = name_and_id(by);
    // Who opened it may be known by number alone, as cron is.
    let (user, user_id) = match (user, user_id) {
        ("", None) => (target, target_id),
        known => known,
    };
    if !user.is_empty() {
        event.set_clean(fields::user::NAME, user);
    }
    if let Some(id) = user_id {
        event.set(fields::user::ID, id);
    }
    event.set_clean(fields::user::effective::NAME, target);
    if let Some(id) = target_id {
        event.set(fields::user::effective::ID, id);
    }
    session("start", "logged-on", event);
}

/// `NAME(uid=N)`
fn name_and_id(text: &str) -> (&str, Option<&str>) {
    match text.split_on("(uid=") {
        Some((name, id)) => (name, id.split(')').next()),
        None => (text, None),
    }
}

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME`
fn who_and_where<'a>(rest: &'a str, event: &mut Event<'a>) {
    for word in rest.split_ascii_whitespace() {
        match word.trim_end_matches(';').split_on_byte(b'=') {
            Some(("rhost", host)) => source(host, event),
            Some(("user", user)) if !user.is_empty() => event.set(fields::user::NAME, user),
            _ => {}
        }
    }
}

/// `New session N of user NAME.`, `New session 'N' of user 'NAME' with class …` (since 257), `Removed session N.`, `Session N logged out.`
pub(super) fn logind<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(rest) = text.strip_prefix("New session ") {
        if let Some((_, user)) = rest.split_on(" of user ") {
            let quoted = user.strip_prefix('\'').and_then(|user| user.split('\'').next());
            let user = quoted.unwrap_or(user.trim_end_matches('.'));
            event.set_clean(fields::user::NAME, user);
        }
        session("start", "logged-on", event);
    } else if text.starts_with("Removed session ") {
        session("end", "logged-off", event);
    }
}

pub(super) fn session(kind: &'static str, action: &'static str, event: &mut Event<'_>) {
    event.set(fields::event::CATEGORY, "session");
    event.set(fields::event::TYPE, kind);
    outcome(action, "success", event);
}
