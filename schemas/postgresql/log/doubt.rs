//! A prefix of the list may fit a line that another wrote. Then a name has a space or a sign in it,
//! a host is none, a kind of process is one that no server has.

use std::net::IpAddr;

use super::prefix::{Fit, Kind, session, sql_state};

/// Kinds whose values have an end only by what follows them.
const FREE: [Kind; 6] = [
    Kind::User,
    Kind::Database,
    Kind::Application,
    Kind::RemoteWithPort,
    Kind::Remote,
    Kind::BackendType,
];

/// Processes whose names are a word of their own.
const PROCESSES: [&[u8]; 10] = [
    b"archiver",
    b"checkpointer",
    b"logger",
    b"not initialized",
    b"postmaster",
    b"startup",
    b"walreceiver",
    b"walsender",
    b"walsummarizer",
    b"walwriter",
];
/// What the names of others have in them, those of extensions too.
const PARTS: [&[u8]; 10] = [
    b"backend",
    b"collector",
    b"daemon",
    b"launcher",
    b"leader",
    b"process",
    b"scheduler",
    b"supervisor",
    b"worker",
    b"writer",
];

/// Whether one of the values is more likely to be something else that the prefix has there.
pub(super) fn is_doubtful(fit: &Fit, line: &[u8]) -> bool {
    FREE.iter().any(|kind| doubts(fit, *kind, line))
}

/// The same fit without the values that are doubtful.
pub(super) fn without_doubtful(mut fit: Fit, line: &[u8]) -> Fit {
    for kind in FREE {
        if doubts(&fit, kind, line) {
            fit.set(kind, 0..0);
        }
    }
    fit
}

/// Whether what is doubtful can be no name at all: then nothing else of the fit is certain either.
pub(super) fn holds_another(fit: &Fit, line: &[u8]) -> bool {
    FREE.iter().filter(|kind| doubts(fit, **kind, line)).any(|kind| match kind {
        Kind::User | Kind::Database => {
            let Some((value, false)) = value(fit, *kind, line) else { return false };
            value.split(|byte| *byte == b' ').any(is_of_another)
        }
        kind => *kind != Kind::Application,
    })
}

/// A value, and whether the prefix says with a sign what it is.
fn value<'l>(fit: &Fit, kind: Kind, line: &'l [u8]) -> Option<(&'l [u8], bool)> {
    let range = fit.range(kind)?;
    let assigned = range.start > 0 && line[range.start - 1] == b'=';
    Some((line.get(range)?, assigned))
}

fn doubts(fit: &Fit, kind: Kind, line: &[u8]) -> bool {
    let Some((value, assigned)) = value(fit, kind, line) else { return false };
    let has = |signs: &[u8]| value.iter().any(|byte| signs.contains(byte));
    match kind {
        Kind::User | Kind::Database | Kind::RemoteWithPort => has(b" =,"),
        Kind::Application => has(b"=") && has(b",") || !assigned && is_of_another(value),
        Kind::Remote if assigned => has(b" =,"),
        Kind::Remote => !is_host(value),
        Kind::BackendType => !is_backend_type(value),
        _ => false,
    }
}

/// Whether a word is what the server writes for another escape: a number, a session, a virtual
/// transaction, an address, an error's code.
fn is_of_another(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(word);
    is_number(word)
        || word == b"local"
        || word.len() == 5 && sql_state(word)
        || session(word) == Some(word.len())
        || is_virtual_transaction(word)
        || is_address(word)
}

fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// `3/12`
pub(super) fn is_virtual_transaction(word: &[u8]) -> bool {
    memchr::memchr(b'/', word)
        .is_some_and(|at| is_number(&word[..at]) && is_number(&word[at + 1..]))
}

/// Whether the word is an address, perhaps with a port in round brackets.
pub(super) fn is_address(word: &[u8]) -> bool {
    let port = |open: usize| word[open + 1..].strip_suffix(b")").is_some_and(is_number);
    let open = memchr::memchr(b'(', word).filter(|open| port(*open));
    let address = &word[..open.unwrap_or(word.len())];
    // An address of a link has its interface behind it.
    let address = &address[..memchr::memchr(b'%', address).unwrap_or(address.len())];
    std::str::from_utf8(address).is_ok_and(|address| address.parse::<IpAddr>().is_ok())
}

/// An address, or a name with a point; a name's last part is no number, as a version's may be.
fn is_host(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    let is_name = || {
        let Some(point) = memchr::memrchr(b'.', value) else { return false };
        let last = &value[point + 1..];
        value.iter().all(is_part) && last.iter().any(u8::is_ascii_alphabetic)
    };
    value == b"[local]" || is_address(value) || is_name()
}

/// Whether a process is called so: `client backend`, `autovacuum worker`, `checkpointer`.
pub(super) fn is_backend_type(value: &[u8]) -> bool {
    let mut words = value.split(|byte| matches!(byte, b' ' | b':'));
    PROCESSES.contains(&value)
        || words.any(|word| PARTS.iter().any(|part| part.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_has_a_point() {
        for host in ["192.0.2.5", "2001:db8::5", "fe80::1%eth0", "192.0.2.5(5000)", "[local]"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        assert!(is_host(b"db-1.example"));
        for other in ["psql", "v0.45.1", "192.0.2.5(50) psql", "[65c0b0a1.82]", "puma:", "10:12.5"]
        {
            assert!(!is_host(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_word_of_another_escape_is_told_from_a_name() {
        for word in ["3/12", "0", "42P01", "P0001", "[65c0b0a1.82]", "192.0.2.5", "[local]"] {
            assert!(is_of_another(word.as_bytes()), "{word}");
        }
        for word in ["a", "psql", "dead", "v15.4", "me@corp", ""] {
            assert!(!is_of_another(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_process_has_a_name_of_the_server_or_says_what_it_is() {
        for name in ["checkpointer", "client backend", "Citus Maintenance Daemon: 16385/10"] {
            assert!(is_backend_type(name.as_bytes()), "{name}");
        }
        assert!(!is_backend_type(b"app shop"));
        assert!(!is_backend_type(b"client"));
    }
}
