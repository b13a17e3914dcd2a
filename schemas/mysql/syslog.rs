//! Lines that came through syslog. RFC 3339's stamp, which newer systems write to their files,
//! is also the one of MySQL itself, so host and program must follow it.

use crate::datasets::system_syslog::envelope;
use crate::time;

/// Bytes of a host's name.
const HOST_BYTES_MAX: usize = 255;

/// Whether a line begins as syslog's do.
pub(crate) fn is_stamped(line: &[u8]) -> bool {
    if line.first().is_some_and(u8::is_ascii_digit) {
        program_and_message(line).is_some_and(|(program, _)| is_server(program))
    } else {
        envelope::is_stamped(line)
    }
}

/// Whether a program is the server or one of its plugins, by the names that they have by default.
pub(crate) fn is_server(program: &[u8]) -> bool {
    program.starts_with(b"mysql") || program.starts_with(b"mariadb")
}

/// Of `2026-11-21T09:00:00.123456+01:00 db-1 mariadbd[914]: …` the program's name and what follows
/// its colon.
pub(crate) fn program_and_message(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, length) = time::parse_iso(line).filter(|_| line.get(10) == Some(&b'T'))?;
    let rest = line[length..].strip_prefix(b" ")?;
    let end = memchr::memchr(b' ', &rest[..rest.len().min(HOST_BYTES_MAX + 1)])?;
    let (host, rest) = (&rest[..end], &rest[end + 1..]);
    let program = &rest[..memchr::memchr2(b'[', b':', rest)?];
    if program.contains(&b' ') || host.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let after = match rest[program.len()..].strip_prefix(b"[") {
        Some(pid) => &pid[pid.iter().take_while(|byte| byte.is_ascii_digit()).count()..],
        None => &rest[program.len()..],
    };
    let after = after.strip_prefix(b"]").unwrap_or(after);
    Some((program, after.strip_prefix(b": ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_server_itself_has_no_host() {
        let stamp = "2026-11-21T09:00:00.123456Z";
        for rest in ["db-1 mariadbd[914]: x", "db-1 mysql-server_auditing: x"] {
            assert!(is_stamped(format!("{stamp} {rest}").as_bytes()), "{rest}");
        }
        for rest in [
            "0 [Note] mysqld: ready",
            "0 mysqld: ready",
            "mysqld_safe mysqld from pid file: ended",
            "UTC - mysqld got signal 11 ;",
            "db-1 sshd[7]: x",
            "",
        ] {
            assert!(!is_stamped(format!("{stamp} {rest}").as_bytes()), "{rest}");
        }
    }
}
