//! Changes of users and groups by the shadow tools: `name=…, UID=…` lists, and sentences that
//! quote the names.

use super::{between, outcome};
use crate::find::{Find, find};
use crate::{Event, fields};

/// What the tools say of what they did not do. A locked password is not changed.
const FAILED: [&str; 9] = [
    "failed ",
    "Failed ",
    "cannot ",
    "can't ",
    "incorrect password for ",
    "password locked for ",
    "now < minimum age ",
    "root is not authorized ",
    "unable to ",
];
/// And of what they did.
const DONE: [&str; 21] = [
    "new user: ",
    "new group: ",
    "new shadow group: ",
    "add ",
    "delete ",
    "remove ",
    "removed ",
    "change ",
    "changed ",
    "lock user ",
    "unlock user ",
    "group added ",
    "group changed ",
    "password for ",
    "password of group ",
    "members of group ",
    "administrators of group ",
    "access to group ",
    "restrict access to group ",
    "set members of ",
    "set administrators of ",
];

/// Sets what a message of one of the tools says.
pub(super) fn message<'a>(program: &str, text: &'a str, event: &mut Event<'a>) {
    let Some(result) = result_of(text) else { return };
    let new_group = text.starts_with("new group: ");
    let (action, kind) = if new_group { kind_of("groupadd") } else { kind_of(program) };
    event.set(fields::event::CATEGORY, "iam");
    event.set(fields::event::TYPE, kind);
    outcome(action, result, event);

    let is_group = new_group || program.starts_with("group");
    if let Some(at) = find(text.as_bytes(), b"name=") {
        listed(&text[at..], is_group, event);
    } else if is_group {
        if let Some(group) = quoted(text) {
            event.set_clean(fields::group::NAME, group);
        } else if let Some(group) = between(text, "(group ", ",") {
            // groupmod: `group changed in /etc/group (group NAME/GID, new name: …)`, of gshadow
            // without the number.
            let (group, id) = group.rsplit_once('/').unwrap_or((group, ""));
            event.set_clean(fields::group::NAME, group);
            if !id.is_empty() {
                event.set(fields::group::ID, id);
            }
        }
    } else if !membership(text, event) && !of_group(text, event) {
        sentence(text, event);
    }
}

/// How it ended, of messages that say so. Others are remarks, as of a module of PAM.
fn result_of(text: &str) -> Option<&'static str> {
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    if begins(&FAILED) || text.has(" failed to ") || text.has(": can't ") {
        return Some("failure");
    }
    let is_done = begins(&DONE)
        || begins(&["user "]) && (text.has(" added by ") || text.has(" removed by "))
        || begins(&["group '", "group `"]) && text.has("' removed");
    is_done.then_some("success")
}

/// gpasswd's `user NAME added by NAME to group NAME`, `user NAME removed by NAME from group NAME`.
/// Says whether it is one of them.
fn membership<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(rest) = text.strip_prefix("user ") else { return false };
    let cut = |verb: &str, word: &str| {
        let (target, rest) = rest.split_on(verb)?;
        let (by, group) = rest.split_on(word)?;
        Some((target, by, group.trim_end()))
    };
    let (found, action) = match cut(" added by ", " to group ") {
        Some(found) => (Some(found), "group-user-added"),
        None => (cut(" removed by ", " from group "), "group-user-removed"),
    };
    let Some((target, by, group)) = found else { return false };
    event.set_clean(fields::user::NAME, by);
    event.set_clean(fields::user::target::NAME, target);
    event.set_clean(fields::group::NAME, group);
    outcome(action, "success", event);
    true
}

/// gpasswd's `members of group NAME set by NAME to …`, `password of group NAME changed by NAME`. Says
/// whether it is one of them.
fn of_group<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some((_, rest)) = text.split_on(" of group ").or_else(|| text.split_on("access to group "))
    else {
        return false;
    };
    let by = [" set by ", " changed by ", " removed by ", " restricted by "];
    let Some((group, by)) = by.iter().find_map(|by| rest.split_on(by)) else { return false };
    event.set_clean(fields::group::NAME, group);
    event.set_clean(fields::user::NAME, by.split(' ').next().unwrap_or(by));
    true
}

fn kind_of(program: &str) -> (&'static str, &'static [&'static str; 2]) {
    match program {
        "useradd" => ("added-user-account", &["user", "creation"]),
        "userdel" => ("deleted-user-account", &["user", "deletion"]),
        "groupadd" => ("added-group-account", &["group", "creation"]),
        "groupdel" => ("deleted-group-account", &["group", "deletion"]),
        "groupmod" | "gpasswd" => ("changed-group", &["group", "change"]),
        "passwd" | "chpasswd" | "chage" => ("changed-password", &["user", "change"]),
        _ => ("changed-user-account", &["user", "change"]),
    }
}

/// `name=NAME, UID=N, GID=N, home=PATH, shell=PATH[, from=TTY]`
fn listed<'a>(list: &'a str, is_group: bool, event: &mut Event<'a>) {
    for pair in list.split(", ") {
        let Some((key, value)) = pair.trim_end().split_on_byte(b'=') else { continue };
        match key {
            "name" if is_group => event.set(fields::group::NAME, value),
            "name" => event.set(fields::user::NAME, value),
            "UID" => event.set(fields::user::ID, value),
            "GID" => event.set(fields::group::ID, value),
            "home" => event.set(fields::system::auth::useradd::HOME, value),
            "shell" => event.set(fields::system::auth::useradd::SHELL, value),
            _ => {}
        }
    }
}

/// `add 'NAME' to group 'NAME'`, `delete user 'NAME'`, `removed group 'NAME' owned by 'NAME'`,
/// `password for 'NAME' changed by 'NAME'`, `changed password expiry for NAME`.
fn sentence<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some((_, user)) = text.split_on("can't view or modify password information for ") {
        // Who tried is not said.
        event.set_clean(fields::user::target::NAME, user.trim_end());
        return;
    }
    let unquoted = || {
        let starts = ["changed password expiry for ", "incorrect password for "];
        starts.iter().find_map(|start| text.strip_prefix(start)).map(str::trim_end)
    };
    let Some(user) = quoted(text).or_else(unquoted) else { return };
    let group = between(text, "group '", "'").or_else(|| between(text, "group `", "'"));
    if let Some(group) = group {
        event.set_clean(fields::group::NAME, group);
    }
    if text.starts_with("removed ") && group.is_some() {
        if let Some((_, owner)) = text.split_on(" owned by ") {
            event.set_clean(fields::user::NAME, owner.trim_matches(['\'', '`']));
        }
        return;
    }
    event.set_clean(fields::user::NAME, user);
    if text.starts_with("add ") && group.is_some() {
        event.set(fields::event::ACTION, "group-member-added");
    }
    let by = between(text, "' changed by '", "'").or_else(|| between(text, "' changed by `", "'"));
    if let Some(by) = by {
        event.set_clean(fields::user::NAME, by);
        event.set_clean(fields::user::target::NAME, user);
    }
}

/// The first text in quotes, which older versions begin with a backtick.
fn quoted(text: &str) -> Option<&str> {
    let start = text.find(['\'', '`'])? + 1;
    text[start..].split_on_byte(b'\'').map(|(inner, _)| inner)
}
