//! sudo and su: one user acts with the rights of another.

use super::outcome;
use crate::find::Find;
use crate::{Event, fields};

/// `NAME : [ERROR ; ]TTY=… ; PWD=… ; USER=… ; [GROUP=… ; ][ENV=… ; ]COMMAND=…`. The command comes
/// last and may hold anything.
pub(super) fn sudo<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((user, mut rest)) = text.trim_start().split_on(" : ") else { return };
    if user.contains(' ') || !rest.has("TTY=") && !rest.has("COMMAND=") {
        return;
    }
    event.set_clean(fields::user::NAME, user);
    event.set(fields::event::CATEGORY, "process");
    event.set(fields::event::TYPE, "start");
    outcome("sudo", "success", event);
    loop {
        if let Some(command) = rest.strip_prefix("COMMAND=") {
            event.set(fields::system::auth::sudo::COMMAND, command.trim_end());
            return;
        }
        let (part, after) = rest.split_on(" ; ").unwrap_or((rest, ""));
        match part.split_on_byte(b'=') {
            Some(("TTY", tty)) => event.set(fields::system::auth::sudo::TTY, tty),
            Some(("PWD", pwd)) => event.set(fields::system::auth::sudo::PWD, pwd),
            Some(("USER", user)) => {
                event.set(fields::system::auth::sudo::USER, user);
                event.set(fields::user::effective::NAME, user);
            }
            Some(_) => {}
            None => {
                event.set(fields::system::auth::sudo::ERROR, part.trim());
                outcome("sudo", "failure", event);
            }
        }
        if after.is_empty() {
            return;
        }
        rest = after;
    }
}

/// `(to NAME) NAME on TTY`, `FAILED SU (to NAME) NAME on TTY`, `[Successful|FAILED] su for NAME by
/// NAME`, `+ TTY NAME:NAME`, `'su NAME' failed for NAME on TTY`, FreeBSD's `[BAD SU ]NAME to NAME on
/// TTY`.
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
fn su_names(text: &str) -> Option<(&str, &str)> {
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
        let (target, rest) = rest.split_on("' failed for ")?;
        return Some((rest.split(' ').next()?, target));
    }
    let words = text.strip_prefix("BAD SU ").unwrap_or(text);
    if let Some((user, (target, _))) =
        words.split_on(" to ").and_then(|(user, rest)| Some((user, rest.split_on(" on ")?)))
        && !user.contains(' ')
        && !target.contains(' ')
    {
        return Some((user, target));
    }
    let rest = text.strip_prefix("+ ").or_else(|| text.strip_prefix("- "))?;
    rest.split_on_byte(b' ')?.1.trim_end().split_on_byte(b':')
}
