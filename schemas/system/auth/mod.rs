//! Logins, `sudo` and changes of accounts, as sshd, dropbear, PAM, the shadow tools, systemd-logind,
//! login, doas and polkit log them (`/var/log/auth.log`, `/var/log/secure`).

mod account;
mod dropbear;
mod login;
mod pam;
mod ssh;
mod sudo;

use crate::datasets::system_syslog::{Family, SyslogFramer, SyslogLine};
use crate::find::Find;
use crate::{Dataset, Event, Parse, fields, peer};

/// `system.auth`
pub static DATASET: Dataset = Dataset {
    name: "system.auth",
    module: "system",
    framer: &SyslogFramer,
    normalizer: &Parse { dataset: &DATASET, parser: SyslogLine { family: Family::Auth } },
};

/// Sets what the message of a program says.
pub(crate) fn message<'a>(program: &str, text: &'a str, event: &mut Event<'a>) {
    // syslog's own remark names the program that it is not from.
    if text.starts_with("last message repeated ") || text.starts_with("message repeated ") {
        return;
    }
    if !pam::message(text, event) {
        match program {
            _ if program.starts_with("sshd") => ssh::message(text, event),
            "dropbear" => dropbear::message(text, event),
            "sudo" => sudo::sudo(text, event),
            "doas" => sudo::doas(text, event),
            "su" => sudo::su(text, event),
            "systemd-logind" => pam::logind(text, event),
            "login" => login::login(text, event),
            "polkitd" => login::polkit(text, event),
            "pkexec" => login::pkexec(text, event),
            "useradd" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "passwd"
            | "gpasswd" | "chage" | "chpasswd" | "chfn" | "chsh" => {
                account::message(program, text, event)
            }
            _ => {}
        }
    }
    related(event);
}

fn related(event: &mut Event<'_>) {
    let mut users = event.list();
    for field in [fields::user::NAME, fields::user::effective::NAME, fields::user::target::NAME] {
        if let Some(user) = event.get_str(field)
            && !users.contains(&user)
        {
            users.push(user);
        }
    }
    if !users.is_empty() {
        event.set(fields::related::USER, users.into_bump_slice());
    }
}

/// What programs write where they do not know a name or an address.
const UNKNOWN: &str = "UNKNOWN";

/// Sets the address that a login comes from; a host's name becomes `source.domain`.
fn source<'a>(address: &'a str, event: &mut Event<'a>) {
    let address = address.trim_matches(['(', ')', '[', ']', ',']).trim_end_matches(':');
    if address == UNKNOWN {
        event.null_removed(fields::source::ADDRESS);
    } else if !address.is_empty() {
        peer::SOURCE.set(address, None, event);
    }
}

fn outcome(action: &'static str, outcome: &'static str, event: &mut Event<'_>) {
    event.set(fields::event::ACTION, action);
    event.set(fields::event::OUTCOME, outcome);
}

/// The text between the first `before` and what follows it.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_on(before)?.1.split_on(after).map(|(inner, _)| inner)
}
