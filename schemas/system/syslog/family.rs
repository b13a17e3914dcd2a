//! Which of the three datasets a record belongs to.

use super::envelope::Envelope;
use crate::datasets::system_kern;

/// Which dataset a source was configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `system.syslog`: each record goes where it belongs.
    Any,
    /// `system.auth`, whatever a record is about.
    Auth,
    /// `system.kern`, whatever a record is about.
    Kern,
}

const KERN: u8 = 0;
const AUTH: u8 = 4;
const AUTHPRIV: u8 = 10;

/// Where a record of `system.syslog` belongs: by its program, else by its facility.
pub(crate) fn family_of(envelope: &Envelope<'_>, name: &str) -> Family {
    // A firewall that sends its packets itself need not name a program.
    let of_kernel = match name {
        "kernel" => true,
        "" | "ulogd" => system_kern::packet(envelope.message).is_some(),
        _ => false,
    };
    if of_kernel {
        return Family::Kern;
    }
    if is_auth(name, envelope.message) {
        return Family::Auth;
    }
    match envelope.priority.map(|priority| priority >> 3) {
        Some(KERN) => Family::Kern,
        Some(AUTH | AUTHPRIV) => Family::Auth,
        _ => Family::Any,
    }
}

fn is_auth(name: &str, message: &str) -> bool {
    match name {
        "sshd" | "sshd-session" | "sshd-auth" | "sudo" | "su" | "login" | "passwd" | "chpasswd"
        | "chage" | "chfn" | "chsh" | "gpasswd" | "useradd" | "userdel" | "usermod"
        | "groupadd" | "groupdel" | "groupmod" | "systemd-logind" | "polkitd" | "pkexec"
        | "unix_chkpwd" | "dropbear" | "doas" => true,
        // PAM's modules log to `authpriv`, whatever program they are in.
        _ => message.strip_prefix("pam_").is_some_and(|module| {
            let name =
                module.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
            name.is_some_and(|end| module.as_bytes()[end] == b'(')
        }),
    }
}
