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
    } else if let Some(user) = text.strip_prefix("Invalid verification code for ") {
        // pam_google_authenticator, which is in the tag.
        event.set_clean(fields::user::NAME, user.trim_end());
        tried("authentication_failure", "failure", event);
    } else if let Some(user) = text.strip_prefix("Accepted google_authenticator for ") {
        event.set_clean(fields::user::NAME, user.trim_end());
        tried("authentication_success", "success", event);
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
    let (name, called) = module.split_on_byte(b'(').unwrap_or((module, ""));
    let stage = called.rsplit(':').next().unwrap_or_default();
    match name {
        "pam_succeed_if" => {
            if let Some(user) = between(said, "not met by user \"", "\"") {
                event.set_clean(fields::user::NAME, user);
            }
        }
        "pam_faillock" => {
            // `Consecutive login failures for user NAME account temporarily locked`
            if let Some((_, user)) = said.split_on(" for user ") {
                event.set_clean(fields::user::NAME, user.split(' ').next().unwrap_or(user));
                tried("account-locked", "failure", event);
            }
        }
        "pam_tally2" => {
            // `user NAME (UID) tally 4, deny 3`
            if let Some((user, rest)) =
                said.strip_prefix("user ").and_then(|rest| rest.split_on(" ("))
            {
                event.set_clean(fields::user::NAME, user);
                event.set(fields::user::ID, rest.split(')').next().unwrap_or(rest));
                tried("account-locked", "failure", event);
            }
        }
        _ if stage == "chauthtok" => password_changed(said, event),
        "pam_unix" if stage == "auth" => failed_to_ask(said, event),
        "pam_unix" if stage == "account" => {
            // `account NAME has expired (account expired)`, `expired password for user NAME (…)`
            let account = between(said, "account ", " has expired");
            if let Some(user) = account.or_else(|| between(said, " for user ", " ")) {
                event.set_clean(fields::user::NAME, user);
            }
            if account.is_some() {
                tried("authentication_failure", "failure", event);
            }
        }
        "pam_winbind" => winbind(stage, said, event),
        _ => judged(said, event),
    }
}

/// What modules say of a user who may or may not log in.
fn judged<'a>(said: &'a str, event: &mut Event<'a>) {
    let failed = || ("authentication_failure", "failure");
    let (user, (action, result)) = if let Some(rest) = said.strip_prefix("authentication success; ")
    {
        who_and_where(rest, event);
        return tried("authentication_success", "success", event);
    } else if let Some(rest) = said.strip_prefix("access denied for user `") {
        // pam_access: `access denied for user `NAME' from `HOST'`
        if let Some(host) = between(rest, "from `", "'") {
            source(host, event);
        }
        (rest.split('\'').next().unwrap_or(rest), failed())
    } else if let Some((user, result)) =
        said.strip_prefix("received for user ").and_then(|rest| rest.split_on(": "))
    {
        // pam_sss: `received for user NAME: 7 (Authentication failure)`
        if result.starts_with("0 ") {
            event.set_clean(fields::user::NAME, user);
            return;
        }
        (user, failed())
    } else if let Some(rest) = said.strip_prefix("Access denied for user ") {
        // pam_sss: `Access denied for user NAME: 6 (Permission denied)`
        (rest.rsplit_on(": ").map_or(rest, |(user, _)| user), failed())
    } else if let Some(rest) = said.strip_prefix("Refused user ") {
        // pam_listfile: `Refused user NAME for service SERVICE`
        (rest.rsplit_on(" for service ").map_or(rest, |(user, _)| user), failed())
    } else if let Some((user, _)) =
        said.strip_prefix("user ").and_then(|rest| rest.split_on(" authenticated as "))
    {
        // pam_krb5: `user NAME authenticated as NAME@REALM`
        (user, ("authentication_success", "success"))
    } else {
        return;
    };
    event.set_clean(fields::user::NAME, user);
    tried(action, result, event);
}

/// pam_winbind: `user 'NAME' granted access`, `user 'NAME' denied access (…)`, `request wbcLogonUser
/// failed: …`. What was granted is said once more of the account.
fn winbind<'a>(stage: &str, said: &'a str, event: &mut Event<'a>) {
    if said.starts_with("request wbcLogonUser failed: ") {
        return tried("authentication_failure", "failure", event);
    }
    let Some((user, result)) = of_winbind(said) else { return };
    event.set_clean(fields::user::NAME, user);
    match result {
        Some(true) if stage == "auth" => tried("authentication_success", "success", event),
        Some(false) => tried("authentication_failure", "failure", event),
        _ => {}
    }
}

/// The user, and whether what was asked for was granted, if that is said.
fn of_winbind(said: &str) -> Option<(&str, Option<bool>)> {
    let (user, result) = said.strip_prefix("user '")?.rsplit_on("' ")?;
    let refusals = ["denied access", "account expired", "password expired", "not found"];
    let granted = match result.trim_end() {
        "OK" | "granted access" | "password changed" => Some(true),
        result if refusals.iter().any(|start| result.starts_with(start)) => Some(false),
        _ => None,
    };
    Some((user, granted))
}

/// What modules say where a password is changed. They remark on their settings there too.
fn password_changed<'a>(said: &'a str, event: &mut Event<'a>) {
    let failures =
        ["password - ", "new password not acceptable", "pam_get_authtok_verify returned error"];
    let (user, done) = if let Some(user) = said.strip_prefix("password changed for ") {
        (user, true)
    } else if let Some((user, granted)) = of_winbind(said) {
        let Some(granted) = granted else {
            event.set_clean(fields::user::NAME, user);
            return;
        };
        (user, granted)
    } else if let Some(rest) = said.strip_prefix("Password change failed for user ") {
        // pam_sss: `Password change failed for user NAME: 22 (…)`
        (rest.split_on(": ").map_or(rest, |(user, _)| user), false)
    } else if let Some(user) = between(said, "user \"", "\" does not exist") {
        (user, false)
    } else if failures.iter().any(|start| said.starts_with(start)) {
        ("", false)
    } else {
        return judged(said, event);
    };
    event.set(fields::event::CATEGORY, "iam");
    event.set(fields::event::TYPE, "change");
    if !user.is_empty() {
        event.set_clean(fields::user::NAME, user);
        event.set_clean(fields::user::target::NAME, user);
    }
    outcome("password-changed", if done { "success" } else { "failure" }, event);
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
    // The number is of the process that opens the session, which may do so for another.
    let user_id = match (user_id, target_id) {
        (Some(_), Some(id)) if user == target => Some(id),
        (Some("0"), _) if !matches!(user, "" | "root") => None,
        (id, _) => id,
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

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME`. The name comes last and may hold
/// spaces, as those of a domain do.
fn who_and_where<'a>(rest: &'a str, event: &mut Event<'a>) {
    let (before, user) = match rest.strip_prefix("user=") {
        Some(user) => ("", user),
        None => rest.split_on(" user=").unwrap_or((rest, "")),
    };
    let user = user.trim_end().trim_end_matches(';');
    if !user.is_empty() {
        event.set(fields::user::NAME, user);
    }
    let mut words = before.split_ascii_whitespace();
    if let Some(host) = words.find_map(|word| word.strip_prefix("rhost=")) {
        source(host.trim_end_matches(';'), event);
    }
}

/// `New session N of user NAME.`, `New session 'N' of user 'NAME' with class …` (since 257), `Removed
/// session N.`, `Session N logged out.`
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
