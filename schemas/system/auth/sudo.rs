//! sudo, doas and su: one user acts with the rights of another.

use super::outcome;
use super::pam::tried;
use crate::find::{Find, find_iter};
use crate::{Event, fields};

/// What sudo says of a command, in its order.
const KEYS: [&str; 9] =
    ["HOST=", "TTY=", "CHROOT=", "PWD=", "USER=", "GROUP=", "TSID=", "ENV=", "COMMAND="];
/// Stands between them.
const SEPARATOR: &str = " ; ";

/// `NAME : [ERROR ; ]TTY=… ; PWD=… ; USER=… ; [GROUP=… ; ][ENV=… ; ]COMMAND=…`. The command comes
/// last and may hold anything; a name may hold spaces, as those of a domain do.
pub(super) fn sudo<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((user, said)) = text.trim_start().split_on(" : ") else { return };
    let (error, mut rest) = match is_key(said) {
        true => (None, said),
        false => {
            let (error, rest) = part(said);
            (Some(error), rest)
        }
    };
    if rest.is_empty() || said.starts_with("(command continued) ") {
        return;
    }
    event.set_clean(fields::user::NAME, user);
    event.set(fields::event::CATEGORY, "process");
    event.set(fields::event::TYPE, "start");
    outcome("sudo", if error.is_some() { "failure" } else { "success" }, event);
    if let Some(error) = error {
        event.set(fields::system::auth::sudo::ERROR, error.trim());
    }
    while !rest.is_empty() {
        if let Some(command) = rest.strip_prefix("COMMAND=") {
            event.set(fields::system::auth::sudo::COMMAND, command.trim_end());
            return;
        }
        let (one, after) = part(rest);
        match one.split_on_byte(b'=') {
            Some(("TTY", tty)) => event.set(fields::system::auth::sudo::TTY, tty),
            Some(("PWD", pwd)) => event.set(fields::system::auth::sudo::PWD, pwd),
            Some(("USER", user)) => {
                event.set(fields::system::auth::sudo::USER, user);
                event.set(fields::user::effective::NAME, user);
            }
            _ => {}
        }
        rest = after;
    }
}

/// Whether a key begins here.
fn is_key(text: &str) -> bool {
    KEYS.iter().any(|key| text.starts_with(key))
}

/// What stands before the next key, and from there on. A folder may hold the separator too.
fn part(text: &str) -> (&str, &str) {
    find_iter(text.as_bytes(), SEPARATOR.as_bytes())
        .map(|at| (&text[..at], &text[at + SEPARATOR.len()..]))
        .find(|(_, rest)| is_key(rest))
        .unwrap_or((text, ""))
}

/// `NAME ran command COMMAND as NAME from FOLDER`, until OpenBSD 5.9 `NAME ran command as NAME:
/// COMMAND`, `command not permitted for NAME: COMMAND`, `failed auth for NAME`.
pub(super) fn doas<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(user) = text.strip_prefix("failed auth for ") {
        event.set_clean(fields::user::NAME, user.trim_end());
        return tried("authentication_failure", "failure", event);
    }
    let refused = text.strip_prefix("command not permitted for ");
    let refused = refused.or_else(|| text.strip_prefix("failed command for "));
    let (user, command, result) = if let Some(rest) = refused {
        let (user, command) = rest.split_on(": ").unwrap_or((rest, ""));
        (user, command, "failure")
    } else {
        let Some((user, rest)) = text.split_on(" ran command ") else { return };
        let Some((command, target, folder)) = as_whom(rest) else { return };
        event.set(fields::system::auth::sudo::USER, target);
        event.set(fields::user::effective::NAME, target);
        if !folder.is_empty() {
            event.set(fields::system::auth::sudo::PWD, folder);
        }
        (user, command, "success")
    };
    event.set_clean(fields::user::NAME, user);
    event.set(fields::event::CATEGORY, "process");
    event.set(fields::event::TYPE, "start");
    event.set_clean(fields::system::auth::sudo::COMMAND, command.trim_end());
    outcome("doas", result, event);
}

/// Command, whose rights it gets, and the folder, if it is said.
fn as_whom(rest: &str) -> Option<(&str, &str, &str)> {
    let behind = rest.rsplit_on(" from ").and_then(|(said, folder)| {
        let (command, target) = said.rsplit_on(" as ")?;
        (!target.contains(' ')).then_some((command, target, folder.trim_end()))
    });
    behind.or_else(|| {
        let (target, command) = rest.strip_prefix("as ")?.split_on(": ")?;
        Some((command, target, ""))
    })
}

/// `(to NAME) NAME on TTY`, `FAILED SU (to NAME) NAME on TTY`, `[Successful|FAILED] su for NAME by
/// NAME`, `+ TTY NAME:NAME`, Solaris' `'su NAME' failed for NAME on TTY` (or `succeeded`), FreeBSD's
/// `[BAD SU ]NAME to NAME on TTY`, AIX's `[BAD SU ]from NAME to NAME at TTY`.
pub(super) fn su<'a>(text: &'a str, event: &mut Event<'a>) {
    let failed = text.starts_with("FAILED")
        || text.starts_with("BAD SU ")
        || text.starts_with('-')
        || text.has("' failed ");
    let Some((user, target)) = su_names(text) else { return };
    event.set_clean(fields::user::NAME, user);
    event.set_clean(fields::user::effective::NAME, target);
    event.set(fields::event::CATEGORY, "authentication");
    event.set(fields::event::TYPE, "info");
    outcome("su", if failed { "failure" } else { "success" }, event);
}

/// Who became whom.
fn su_names<'a>(text: &'a str) -> Option<(&'a str, &'a str)> {
    let text = text.strip_prefix("FAILED SU ").unwrap_or(text);
    if let Some(rest) = text.strip_prefix("(to ") {
        let (target, rest) = rest.split_on(") ")?;
        return Some((rest.split(' ').next()?, target));
    }
    if let Some((_, rest)) = text.split_on("su for ") {
        let (target, user) = rest.split_on(" by ")?;
        return Some((user.trim_end(), target));
    }
    if let Some(rest) = text.strip_prefix("'su ") {
        let (target, rest) =
            rest.split_on("' failed for ").or_else(|| rest.split_on("' succeeded for "))?;
        return Some((rest.split(' ').next()?, target));
    }
    let words = text.strip_prefix("BAD SU ").unwrap_or(text);
    let words = words.strip_prefix("from ").unwrap_or(words);
    let terminal = |rest: &'a str| rest.split_on(" on ").or_else(|| rest.split_on(" at "));
    if let Some((user, (target, _))) =
        words.split_on(" to ").and_then(|(user, rest)| Some((user, terminal(rest)?)))
        && !user.contains(' ')
        && !target.contains(' ')
    {
        return Some((user, target));
    }
    let rest = text.strip_prefix("+ ").or_else(|| text.strip_prefix("- "))?;
    rest.split_on_byte(b' ')?.1.trim_end().split_on_byte(b':')
}
