//! Prefixes that are known without a setting: those of distributions, services and log analysers,
//! tried in this order. A line that fits none of them is taken apart by what its pieces look like.

use std::cell::RefCell;
use std::sync::LazyLock;

use super::doubt::{
    holds_another, is_address, is_doubtful, is_virtual_transaction, without_doubtful,
};
use super::level::Label;
use super::prefix::{Fit, HEAD_BYTES_MAX, Kind, LinePrefix, session, sql_state};
use super::stamp;
use crate::find::find_iter;

/// The text of settings, the most frequent first. What could be another's beginning comes after it.
const SETTINGS: [&str; 53] = [
    // PostgreSQL 10 and later; Debian and Ubuntu; both with the line's number, as of 9.x.
    "%m [%p] %q%u@%d ",
    "%m [%p-%l] %q%u@%d ",
    "%t [%p] %q%u@%d ",
    "%t [%p-%l] %q%u@%d ",
    // Amazon RDS and Aurora, Azure, Google Cloud SQL, Heroku, Aiven, Supabase.
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%m:%r:%u@%d:[%p]:",
    "%t-%c-",
    "%m-%c-",
    "%m [%p]: [%l-1] db=%d,user=%u ",
    "[%p]: [%l-1] db=%d,user=%u ",
    " sql_error_code = %e time_ms = \"%m\" pid=\"%p\" proc_start_time=\"%s\" session_id=\"%c\" \
     vtid=\"%v\" tid=\"%x\" log_line=\"%l\" %qdatabase=\"%d\" connection_source=\"%r\" \
     user=\"%u\" application_name=\"%a\" ",
    " sql_error_code = %e ",
    "pid=%p,user=%u,db=%d,app=%a,client=%h ",
    "%h %m [%p] %q%u@%d ",
    // Timescale's chart for Kubernetes.
    "%t [%p]: [%c-%l] %u@%d,app=%a [%e] ",
    "%m [%p]: [%c-%l] %u@%d,app=%a [%e] ",
    // pgBadger's documentation.
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%m [%p] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p] user=%u,db=%d ",
    "%t [%p]: [%l-1] user=%u,db=%d ",
    "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "user=%u,db=%d,app=%a,client=%h ",
    "user=%u,db=%d ",
    "db=%d,user=%u ",
    // Other log analysers and collections.
    "%m [%p] %q[user=%u,db=%d,app=%a,host=%h] ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%m [%p][%b][%v][%x] %q[user=%u,db=%d,app=%a] ",
    "%m [%p][%v] : [%l-1] %q[app=%a] ",
    "%m [%p] : [%l-1] %q[app=%a] ",
    "%t [%p]: [%l-1] user=%u,db=%d - PG-%e ",
    "%t [%p]: [%l-1] [trx_id=%x] user=%u,db=%d ",
    "%m [%p] [queryid=%Q] %q%u@%d ",
    "%m [%p] %h %u@%d ",
    "%m %r %u %a [%c] [%p] ",
    "%p-%s-%c-%l-%h-%u-%d-%m ",
    "%m [%p] %q%u@%d %h ",
    "%m [%p] %q%u@%d/%a ",
    "%m [%p] %q%u@%d %h %a ",
    "%m [%p] %q%u@%d %a %h ",
    "%m [%p] %q%u@%d %a ",
    "%m [%p] [%c] %q%u@%d ",
    "%m [%p] %e %q%u@%d ",
    "%m [%p] %b %q%u@%d ",
    "%n [%p] %q%u@%d ",
    "< %m > ",
    "<%m >",
];

struct Known {
    with_time_first: Vec<LinePrefix>,
    others: Vec<LinePrefix>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let compiled = SETTINGS.iter().map(|setting| {
        LinePrefix::compile(setting).expect("the settings of the list have known escapes only")
    });
    let (with_time_first, others) = compiled.partition(LinePrefix::begins_with_time);
    Known { with_time_first, others }
});

/// Lines that were asked for last. Each is asked for when the record before it ends, when it is
/// cut, when its time is carried and when it is parsed.
const REMEMBERED: usize = 2;

/// What the beginning of a line was found to be.
#[derive(Default)]
struct Asked {
    line: Vec<u8>,
    clock: Option<usize>,
    bare: bool,
    fit: Option<Fit>,
}

thread_local! {
    /// Memory only: what is in it is what would be found again.
    static ASKED: RefCell<[Asked; REMEMBERED]> = RefCell::default();
}

/// Reads the beginning of a line; `clock` is the length of the stamp at its start, if there is one.
/// Without a time in it, only a line that something else begins for (`bare`: a syslog header, a
/// JSON object) may have pieces that no setting of the list names.
pub(super) fn fit(line: &[u8], clock: Option<usize>, bare: bool) -> Option<Fit> {
    let line = &line[..line.len().min(HEAD_BYTES_MAX)];
    ASKED.with_borrow_mut(|asked| {
        let is_known = |one: &Asked| one.line == line && (one.clock, one.bare) == (clock, bare);
        if let Some(known) = asked.iter().find(|one| is_known(one)) {
            return known.fit.clone();
        }
        asked.rotate_right(1);
        let one = &mut asked[0];
        one.line.clear();
        one.line.extend_from_slice(line);
        (one.clock, one.bare) = (clock, bare);
        one.fit = fit_anew(line, clock, bare);
        one.fit.clone()
    })
}

fn fit_anew(line: &[u8], clock: Option<usize>, bare: bool) -> Option<Fit> {
    // The empty prefix, PostgreSQL's default until 9.6: the severity is all there is.
    if let Some((label, length)) = Label::at(line) {
        return (bare || line[..length].ends_with(b":  ")).then(|| Fit::blank(label, 0, length));
    }
    let list = if clock.is_some() { &KNOWN.with_time_first } else { &KNOWN.others };
    let mut fits = list.iter().filter_map(|prefix| prefix.fit(line, clock));
    let Some(first) = fits.next() else { return by_pieces(line, bare) };
    if !is_doubtful(&first, line) {
        return Some(first);
    }
    let better = |fit: &Fit| fit.range(Kind::User).is_some() && !is_doubtful(fit, line);
    if let Some(other) = fits.find(better) {
        return Some(other);
    }
    if holds_another(&first, line) {
        return by_pieces(line, bare).or_else(|| Some(without_doubtful(first, line)));
    }
    // A name may well have a space, but hardly what assigns another value.
    let names = [Kind::User, Kind::Database, Kind::Application];
    let assigns = |kind| first.bytes(kind, line).is_some_and(|value| value.contains(&b'='));
    let pieces = names.into_iter().any(assigns).then(|| by_pieces(line, bare)).flatten();
    Some(pieces.filter(better).unwrap_or(first))
}

/// The same for a line whose beginning nobody has looked at.
pub(super) fn fit_unseen(line: &[u8], bare: bool) -> Option<Fit> {
    fit(line, stamp::parse(line).map(|written| written.length), bare)
}

/// Finds the severity, and takes what is before it apart.
fn by_pieces(line: &[u8], bare: bool) -> Option<Fit> {
    let mut fit = labels(line).next()?;
    let prefix = &line[..fit.label_at];
    let mut at = 0;
    while at < prefix.len() {
        let starts = at == 0 || !prefix[at - 1].is_ascii_alphanumeric();
        at += if starts { piece(prefix, at, &mut fit) } else { 1 };
    }
    let timed = fit.range(Kind::Time).is_some() || fit.range(Kind::Epoch).is_some();
    (timed || bare).then_some(fit)
}

/// Whether a severity or the name of a note stands in a text.
pub(super) fn is_labelled(text: &[u8]) -> bool {
    labels(text).next().is_some()
}

/// Places at which a severity stands as a word of its own, with a colon and two spaces.
fn labels(line: &[u8]) -> impl Iterator<Item = Fit> {
    find_iter(line, b":  ").filter_map(|colon| {
        let word = line[..colon].iter().rev();
        let length = word.take_while(|byte| byte.is_ascii_alphanumeric() || **byte >= 0x80).count();
        let from = colon - length;
        let (label, used) = Label::at(&line[from..])?;
        Some(Fit::blank(label, from, from + used))
    })
}

/// Places what begins at `at`; gives its length, at least 1.
fn piece(prefix: &[u8], at: usize, fit: &mut Fit) -> usize {
    let rest = &prefix[at..];
    match rest[0] {
        b'0'..=b'9' => {
            if let Some(written) = stamp::parse(rest) {
                let known = fit.range(Kind::Time).is_some();
                let kind = if known { Kind::SessionStart } else { Kind::Time };
                return place(kind, at, written.length, fit);
            }
            if let Some((_, length)) = stamp::epoch(rest)
                && fit.range(Kind::Time).is_none()
            {
                return place(Kind::Epoch, at, length, fit);
            }
        }
        b'[' => {
            if let Some(length) = bracketed(rest, at, fit) {
                return length;
            }
        }
        b'a'..=b'z' | b'A'..=b'Z' => {
            if let Some(length) = assigned(rest, at, fit) {
                return length;
            }
        }
        _ => {}
    }
    word(rest, at, fit)
}

fn place(kind: Kind, at: usize, length: usize, fit: &mut Fit) -> usize {
    if fit.range(kind).is_none() {
        fit.set(kind, at..at + length);
    }
    length.max(1)
}

/// `[123]` is the process, and another such the line; `[123-4]` both; `[local]` the client;
/// `[5ff2.22-4]` the session with its line; `[42601]` after a line the error's code, which alone may
/// begin with a zero.
fn bracketed(rest: &[u8], at: usize, fit: &mut Fit) -> Option<usize> {
    let close = memchr::memchr(b']', rest)?;
    let inside = &rest[1..close];
    if inside == b"local" {
        return Some(place(Kind::RemoteWithPort, at, close + 1, fit));
    }
    if let Some(length) = session(inside) {
        let line = inside[length..].strip_prefix(b"-").unwrap_or_default();
        if line.iter().all(u8::is_ascii_digit) {
            place(Kind::Session, at + 1, length, fit);
            place(Kind::Line, at + 2 + length, line.len(), fit);
            return Some(close + 1);
        }
    }
    let is_code = fit.range(Kind::Line).is_some() || inside.starts_with(b"0");
    if fit.range(Kind::Pid).is_some() && inside.len() == 5 && is_code && sql_state(inside) {
        return Some(place(Kind::SqlState, at + 1, 5, fit) + 2);
    }
    let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let second = inside.get(digits + 1..).filter(|second| {
        inside[digits] == b'-' && !second.is_empty() && second.iter().all(u8::is_ascii_digit)
    });
    match (fit.range(Kind::Pid).is_some(), second) {
        (false, Some(second)) => {
            place(Kind::Pid, at + 1, digits, fit);
            place(Kind::Line, at + 2 + digits, second.len(), fit);
        }
        (false, None) if digits == inside.len() => {
            place(Kind::Pid, at + 1, digits, fit);
        }
        (true, _) if digits == inside.len() || second.is_some() => {
            place(Kind::Line, at + 1, digits, fit);
        }
        _ => return None,
    }
    Some(close + 1)
}

/// `user=anna`, `db="shop"`, `pid = 4711`.
fn assigned(rest: &[u8], at: usize, fit: &mut Fit) -> Option<usize> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let name = rest.iter().take_while(is_name).count();
    let spaces = |text: &[u8]| text.iter().take_while(|byte| **byte == b' ').count();
    let equals = name + spaces(&rest[name..]);
    if rest.get(equals) != Some(&b'=') {
        return None;
    }
    let mut from = equals + 1;
    from += if equals > name { spaces(&rest[from..]) } else { 0 };
    let quoted = rest.get(from) == Some(&b'"');
    from += usize::from(quoted);
    let value = &rest[from..];
    let ends = |byte: &u8| match byte {
        b'"' => quoted,
        b',' | b' ' | b';' | b'|' | b')' => !quoted,
        _ => false,
    };
    let kind = kind_named(&rest[..name]);
    let mut length = match kind {
        Some(Kind::Application) if !quoted => application(value),
        _ => None,
    }
    .unwrap_or_else(|| value.iter().position(ends).unwrap_or(value.len()));
    if value[..length].ends_with(b"]") && !value.starts_with(b"[") {
        length -= 1;
    }
    if let Some(kind) = kind {
        place(kind, at + from, length, fit);
    }
    Some(from + length.max(1))
}

/// The length of an application's name with spaces in it, if a sign ends it before the next value.
fn application(value: &[u8]) -> Option<usize> {
    let end = value.iter().position(|byte| b",;|)=[\"".contains(byte))?;
    matches!(value[end], b',' | b';' | b'|').then_some(end)
}

/// What a value is by the name that a prefix gives it.
fn kind_named(name: &[u8]) -> Option<Kind> {
    Some(match name {
        b"user" | b"usr" | b"u" => Kind::User,
        b"db" | b"database" | b"dbname" | b"d" => Kind::Database,
        b"app" | b"application" | b"application_name" | b"appname" | b"a" => Kind::Application,
        b"client" | b"host" | b"remote" | b"remote_host" | b"rhost" | b"connection_source" => {
            Kind::RemoteWithPort
        }
        b"pid" | b"p" => Kind::Pid,
        b"line" | b"l" | b"log_line" | b"session_line" => Kind::Line,
        b"session" | b"session_id" | b"sess" | b"sid" | b"c" => Kind::Session,
        b"xid" | b"tid" | b"trx_id" | b"txid" | b"x" => Kind::Transaction,
        b"vxid" | b"vtid" | b"vx" | b"v" => Kind::Virtual,
        b"state" | b"sqlstate" | b"sql_error_code" | b"e" => Kind::SqlState,
        b"queryid" | b"query_id" | b"qid" => Kind::QueryId,
        b"cmd" | b"tag" | b"command_tag" | b"command" => Kind::CommandTag,
        b"backend" | b"backend_type" | b"btype" => Kind::BackendType,
        _ => return None,
    })
}

/// A word between spaces or brackets: a session, `user@database`, an address, an error's code.
fn word(rest: &[u8], at: usize, fit: &mut Fit) -> usize {
    let length = rest.iter().position(|byte| b" []{}<>|;,".contains(byte)).unwrap_or(rest.len());
    let word = rest[..length].strip_suffix(b":").unwrap_or(&rest[..length]);
    if session(word) == Some(word.len()) && word.iter().any(u8::is_ascii_alphabetic) {
        return place(Kind::Session, at, word.len(), fit);
    }
    if let Some(sign) = memchr::memchr(b'@', word)
        && sign > 0
    {
        place(Kind::User, at, sign, fit);
        place(Kind::Database, at + sign + 1, word.len() - sign - 1, fit);
        return length;
    }
    if is_address(word) {
        return place(Kind::RemoteWithPort, at, word.len(), fit);
    }
    if is_virtual_transaction(word) {
        return place(Kind::Virtual, at, word.len(), fit);
    }
    let digits = (1..=7).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    if digits && fit.range(Kind::Pid).is_none() {
        return place(Kind::Pid, at, word.len(), fit);
    }
    if word.len() == 5 && sql_state(word) && word[0].is_ascii_digit() {
        return place(Kind::SqlState, at, word.len(), fit);
    }
    length.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<(Kind, &str)> {
        let clock = stamp::parse(line.as_bytes()).map(|written| written.length);
        let fit = fit(line.as_bytes(), clock, false).expect("the line has a prefix");
        assert_eq!(fit.label, Label::Level("log"));
        assert_eq!(&line[fit.text_at..], "x");
        let kinds = [
            Kind::Pid,
            Kind::Line,
            Kind::User,
            Kind::Database,
            Kind::Application,
            Kind::RemoteWithPort,
            Kind::Remote,
            Kind::Session,
            Kind::Transaction,
            Kind::SqlState,
        ];
        kinds.into_iter().filter_map(|kind| Some((kind, &line[fit.range(kind)?]))).collect()
    }

    #[test]
    fn prefixes_of_the_list_fit_whole() {
        let stamp = "2026-11-21 09:00:00.123 UTC";
        for (line, expected) in [
            (format!("{stamp} [7] LOG:  x"), vec![(Kind::Pid, "7")]),
            (
                format!("{stamp} [7] a b@c d LOG:  x"),
                vec![(Kind::Pid, "7"), (Kind::User, "a b"), (Kind::Database, "c d")],
            ),
            (format!("{stamp}::@:[7]:LOG:  x"), vec![(Kind::Pid, "7")]),
            (
                format!("{stamp} [7] [user=u,db=d,app=puma: 1 [a] 2: x] LOG:  x"),
                vec![
                    (Kind::Pid, "7"),
                    (Kind::User, "u"),
                    (Kind::Database, "d"),
                    (Kind::Application, "puma: 1 [a] 2: x"),
                ],
            ),
        ] {
            assert_eq!(values(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_prefix_that_is_not_in_the_list_is_taken_apart() {
        let line = "1795251600.123 host=db-1;[4711] {anna@shop} xid=9 (10.0.0.7) 5ff2.22 LOG:  x";
        let expected = [
            (Kind::Pid, "4711"),
            (Kind::User, "anna"),
            (Kind::Database, "shop"),
            (Kind::RemoteWithPort, "db-1"),
            (Kind::Session, "5ff2.22"),
            (Kind::Transaction, "9"),
        ];
        assert_eq!(values(line), expected);
        let line = "2026-11-21 09:00:00 UTC|7|anna|10.0.0.7(33)|LOG:  x";
        let expected = [(Kind::Pid, "7"), (Kind::RemoteWithPort, "10.0.0.7(33)")];
        assert_eq!(values(line), expected);
        let line = "2026-11-21 09:00:00 UTC [7] app=psql,user=me@corp,db=d LOG:  x";
        let expected = [
            (Kind::Pid, "7"),
            (Kind::User, "me@corp"),
            (Kind::Database, "d"),
            (Kind::Application, "psql"),
        ];
        assert_eq!(values(line), expected);
        let line = "2026-11-21 09:00:00 UTC [7]: [5ff2.22-3] anna@shop [23505] LOG:  x";
        let expected = [
            (Kind::Pid, "7"),
            (Kind::Line, "3"),
            (Kind::User, "anna"),
            (Kind::Database, "shop"),
            (Kind::Session, "5ff2.22"),
            (Kind::SqlState, "23505"),
        ];
        assert_eq!(values(line), expected);
    }

    #[test]
    fn no_line_prolongs_the_search_for_the_ends_of_its_names() {
        let line = format!("2026-11-21 09:00:00 UTC [7] {}", "@ ,=:[]-a".repeat(1 << 10));
        assert!(fit(line.as_bytes(), Some(23), true).is_none());
    }
}
