//! csvlog: a row of 22 to 26 columns, whose quoted fields may hold line ends and doubled quotes.
//! The columns are those of PostgreSQL 9.0 (23), 13 (24), 14 (26); a row that a crash cut off ends
//! where the next one can be told from a statement's text, in which every quote is doubled.
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG>

use memchr::{memchr, memchr_iter, memchr2};
use tahoe_seams::{Beginning, Cut};

use super::entry::Entry;
use super::{recognised, stamp};
use crate::Event;

/// Columns of PostgreSQL 8.3, the first to write CSV, up to the one of the location.
const COLUMNS_MIN: usize = 14;
/// Columns before that of the severity.
const COLUMNS_BEFORE_SEVERITY: usize = 11;

/// Whether a row begins here: a stamp and a comma.
pub(super) fn begins(line: &[u8]) -> bool {
    stamp::parse(line).is_some_and(|written| line.get(written.length) == Some(&b','))
}

/// Whether a line is the beginning of a row and not one whose prefix has commas. The server puts
/// names into quotes; a row without them is its own, which breaks off nowhere before the severity,
/// and has no label with a colon before it.
pub(super) fn is_row(line: &[u8], clock: usize) -> bool {
    let Some(rest) = line.get(clock..).and_then(|rest| rest.strip_prefix(b",")) else {
        return false;
    };
    rest.starts_with(b"\"")
        || memchr_iter(b',', rest)
            .nth(COLUMNS_BEFORE_SEVERITY - 2)
            .is_some_and(|at| !recognised::is_labelled(&rest[..at]))
}

/// The row at the start of `bytes`, of which the first `scanned` were seen without an end in them.
pub(super) fn cut(bytes: &[u8], scanned: usize, ended: bool) -> Cut {
    let end = match end_of(bytes, scanned.min(bytes.len())) {
        End::At(end) => end,
        End::Unseen | End::Inside if !ended => return Cut::Partial,
        End::Unseen => bytes.len(),
        End::Inside => next_row(bytes, bytes.len()).unwrap_or(bytes.len()),
    };
    let next = bytes.len().min(end + 1);
    let text = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]).len();
    Cut::Record { text, end: next, head: Beginning::Own }
}

enum End {
    /// Where the line end after the row is.
    At(usize),
    Unseen,
    /// The bytes end inside of a field.
    Inside,
}

/// Quotes come in pairs, so their number says whether what follows the bytes seen before is
/// inside of a field.
fn end_of(bytes: &[u8], scanned: usize) -> End {
    let mut inside = memchr_iter(b'"', &bytes[..scanned]).count() % 2 == 1;
    let mut at = scanned;
    // The byte after a quote may have been missing.
    let mut closed = !inside && bytes[..at].ends_with(b"\"");
    loop {
        if closed && let Some(end) = broken(bytes, at) {
            return End::At(end);
        }
        let rest = &bytes[at..];
        let found = if inside { memchr(b'"', rest) } else { memchr2(b'"', b'\n', rest) };
        let Some(found) = found else { return if inside { End::Inside } else { End::Unseen } };
        at += found;
        if bytes[at] == b'\n' {
            return End::At(at);
        }
        at += 1;
        closed = inside;
        inside = !inside;
    }
}

/// After the quote before `at` neither a field nor the row can end, and a row began after the
/// first line: then the end of the line before that row.
fn broken(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at) {
        None | Some(b'"' | b',' | b'\n' | b'\r') => None,
        Some(_) => next_row(bytes, at),
    }
}

/// The end of the last line before `until` after which a row begins.
fn next_row(bytes: &[u8], until: usize) -> Option<usize> {
    memchr::memrchr_iter(b'\n', &bytes[..until]).find(|at| begins(&bytes[at + 1..until]))
}

/// The stamp's text, for the framer to carry.
pub(super) fn stamp_of(record: &[u8]) -> Option<&[u8]> {
    Some(&record[..stamp::parse(record)?.length])
}

/// Puts the columns of a row into `entry`. One that ends before its message is all message.
pub(super) fn read<'a>(row: &'a str, entry: &mut Entry<'a>, event: &Event<'a>) {
    let mut at = 0;
    let mut column = 0;
    while at <= row.len() {
        let (value, end) = field(row, at, event);
        if !value.is_empty() {
            set(column, value, entry);
        }
        column += 1;
        at = end + 1;
    }
    if column < COLUMNS_MIN {
        entry.message = Some(row);
    }
}

/// The field at `at` without its quotes, and where the comma after it is.
pub(super) fn field<'a>(row: &'a str, at: usize, event: &Event<'a>) -> (&'a str, usize) {
    let bytes = row.as_bytes();
    if bytes.get(at) != Some(&b'"') {
        let end = memchr(b',', &bytes[at..]).map_or(row.len(), |length| at + length);
        return (&row[at..end], end);
    }
    let from = at + 1;
    let (mut close, mut doubled) = (from, false);
    loop {
        close = match memchr(b'"', &bytes[close..]) {
            Some(length) => close + length,
            None => row.len(),
        };
        if bytes.get(close + 1) != Some(&b'"') {
            break;
        }
        doubled = true;
        close += 2;
    }
    let inside = &row[from..close];
    let rest = bytes.get(close..).unwrap_or_default();
    let end = memchr(b',', rest).map_or(row.len(), |length| close + length);
    (if doubled { single(inside, event) } else { inside }, end)
}

/// With every doubled quote once.
fn single<'a>(inside: &str, event: &Event<'a>) -> &'a str {
    let mut out = event.string(inside.len());
    for (index, part) in inside.split("\"\"").enumerate() {
        if index > 0 {
            out.push('"');
        }
        out.push_str(part);
    }
    out.into_bump_str()
}

fn set<'a>(column: usize, value: &'a str, entry: &mut Entry<'a>) {
    let place = match column {
        0 => &mut entry.time,
        1 => &mut entry.user,
        2 => &mut entry.database,
        3 => &mut entry.pid,
        4 => &mut entry.remote,
        5 => &mut entry.session_id,
        6 => &mut entry.session_line,
        7 => &mut entry.command_tag,
        8 => &mut entry.session_start,
        9 => &mut entry.virtual_transaction,
        10 => &mut entry.transaction,
        11 => &mut entry.severity,
        12 => &mut entry.sql_state,
        13 => &mut entry.message,
        14 => &mut entry.detail,
        15 => &mut entry.hint,
        16 => &mut entry.internal_query,
        17 => &mut entry.internal_position,
        18 => &mut entry.context,
        19 => &mut entry.statement,
        20 => &mut entry.position,
        21 => &mut entry.location,
        22 => &mut entry.application,
        23 => &mut entry.backend_type,
        24 => &mut entry.leader_pid,
        25 => &mut entry.query_id,
        _ => return,
    };
    *place = Some(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "2026-11-21 09:00:00.123 UTC,\"u\",\"d\",7,\"[local]\"";

    fn length(text: &str, ended: bool) -> Option<usize> {
        match cut(text.as_bytes(), 0, ended) {
            Cut::Record { text, .. } => Some(text),
            _ => None,
        }
    }

    #[test]
    fn a_row_ends_at_the_first_line_end_outside_of_quotes() {
        let row = format!("{HEAD},\"a \"\"b\"\"\n{},\"\"u\"\",\",\"x\"", &HEAD[..27]);
        assert_eq!(length(&format!("{row}\r\n{HEAD}"), false), Some(row.len()));
        assert_eq!(length(&row, false), None);
        assert_eq!(length(&row, true), Some(row.len()));
    }

    #[test]
    fn a_row_that_a_crash_cut_off_ends_before_the_next() {
        let cut_off = format!("{HEAD},\"select\n1");
        assert_eq!(length(&format!("{cut_off}\n{HEAD}\n"), false), Some(cut_off.len()));
        assert_eq!(
            length(&format!("{cut_off}\n{},,,7,,\n", &HEAD[..27]), true),
            Some(cut_off.len())
        );
    }

    #[test]
    fn a_line_whose_prefix_has_commas_is_no_row() {
        let is_row = |rest: &str| is_row(format!("{}{rest}", &HEAD[..27]).as_bytes(), 27);
        assert!(is_row(",\"u\",\"d\",7"));
        assert!(is_row(",,,7,,6b015d97.7,1,,2026-11-21 09:00:03 CET,,0,LOG,00000,\"LOG:  x\""));
        assert!(!is_row(",u,d,7,192.0.2.5 LOG:  select 1,2,3,4,5,6,7,8,9,10,11,12,13"));
        assert!(!is_row(",,,7, LOG:  select 1,2,3,4,5,6,7,8,9,10,11,12,13"));
        assert!(!is_row(",,,7"));
        assert!(!is_row(" [7] LOG:  x"));
    }

    #[test]
    fn a_quote_inside_of_a_field_ends_no_row() {
        let row = format!("{HEAD},\"a\"b,c");
        assert_eq!(length(&format!("{row}\nx"), false), Some(row.len()));
    }
}
