//! What the server says of its own work: checkpoints, vacuum, temporary files, locks, start, end.

use crate::duration::{MILLISECONDS, SECONDS, nanoseconds};
use crate::find::Find;
use crate::{Event, Field, fields};

use fields::postgresql::{autovacuum, checkpoint, lock, temporary_file};

/// Sets what such a message says.
pub(super) fn read<'a>(message: &'a str, event: &mut Event<'a>) {
    let (word, rest) = message.split_on_byte(b' ').unwrap_or((message, ""));
    match word {
        "checkpoint" | "restartpoint" => point(word, rest, event),
        "automatic" => automatic(rest, event),
        "temporary" => temporary(rest, event),
        "process" => waiting(rest, event),
        "deadlock" if rest == "detected" => event.set(fields::event::ACTION, "deadlock-detected"),
        "starting" => {
            if let Some(version) = rest.strip_prefix("PostgreSQL ") {
                event.set(fields::event::ACTION, "server-starting");
                let end = version.find([' ', ',']).unwrap_or(version.len());
                event.set(fields::service::VERSION, &version[..end]);
            }
        }
        "database" => match rest {
            "system is ready to accept connections"
            | "system is ready to accept read-only connections"
            | "system is ready to accept read only connections" => {
                event.set(fields::event::ACTION, "server-ready");
            }
            "system is shut down" => event.set(fields::event::ACTION, "server-stopped"),
            _ => {}
        },
        "received" if rest.ends_with(" shutdown request") => {
            event.set(fields::event::ACTION, "server-stopping");
        }
        _ => {}
    }
}

/// The digits, with a point perhaps, after `key`.
fn number<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let (_, rest) = text.split_on(key)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.')).filter(|number| !number.is_empty())
}

/// The whole number that stands before `word`.
fn before(text: &str, word: &str) -> Option<u64> {
    let (rest, _) = text.split_on(word)?;
    rest.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// `starting: time`, `complete: wrote 3 buffers (0.0%); …; write=0.102 s, …; distance=1 kB, …`
fn point<'a>(kind: &'a str, text: &'a str, event: &mut Event<'a>) {
    if let Some(reasons) = text.strip_prefix("starting: ") {
        let action = if kind == "checkpoint" { "checkpoint-start" } else { "restartpoint-start" };
        event.set(fields::event::ACTION, action);
        let mut all = event.list::<&'a str>();
        all.extend(reasons.split_ascii_whitespace());
        let all: &[&str] = all.into_bump_slice();
        event.set(checkpoint::REASON, all);
        return;
    }
    let Some(text) = text.strip_prefix("complete: ") else { return };
    let action = if kind == "checkpoint" { "checkpoint-complete" } else { "restartpoint-complete" };
    event.set(fields::event::ACTION, action);
    let counts = [
        (checkpoint::BUFFERS_WRITTEN, before(text, " buffers (")),
        (
            checkpoint::FILES_ADDED,
            before(text, " WAL file(s) added")
                .or_else(|| before(text, " transaction log file(s) added")),
        ),
        (checkpoint::FILES_REMOVED, before(text, " removed, ")),
        (checkpoint::FILES_RECYCLED, before(text, " recycled")),
    ];
    for (field, count) in counts {
        set(field, count, event);
    }
    let seconds = [
        (checkpoint::WRITE_NS, "write="),
        (checkpoint::SYNC_NS, "sync="),
        (checkpoint::LONGEST_NS, "longest="),
        (checkpoint::AVERAGE_NS, "average="),
        (fields::event::DURATION, "total="),
    ];
    for (field, key) in seconds {
        set(field, number(text, key).and_then(|text| nanoseconds(text, SECONDS)), event);
    }
    for (field, key) in [
        (checkpoint::SYNC_FILES, "sync files="),
        (checkpoint::DISTANCE_KB, "distance="),
        (checkpoint::ESTIMATE_KB, "estimate="),
    ] {
        set(field, number(text, key).and_then(|text| text.parse().ok()), event);
    }
}

fn set(field: Field, value: Option<u64>, event: &mut Event<'_>) {
    if let Some(value) = value {
        event.set(field, value);
    }
}

/// `[aggressive ]vacuum of table "shop.public.orders": index scans: 0`, `analyze of table "…"`
fn automatic<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((kind, rest)) = text.split_on(" of table \"") else { return };
    let Some((table, rest)) = rest.split_on_byte(b'"') else { return };
    let vacuum = kind.has("vacuum");
    event.set(fields::event::ACTION, if vacuum { "autovacuum" } else { "autoanalyze" });
    event.set(autovacuum::TABLE, table);
    if let Some((database, _)) = table.split_on_byte(b'.') {
        event.set_if_absent(fields::postgresql::log::DATABASE, database);
    }
    let line =
        |key: &str| rest.lines().map(str::trim_start).find_map(|line| line.strip_prefix(key));
    let parsed = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    set(autovacuum::INDEX_SCANS, parsed(number(rest, "index scans: ")), event);
    if let Some(pages) = line("pages: ") {
        set(autovacuum::PAGES_REMOVED, before(pages, " removed"), event);
        set(autovacuum::PAGES_REMAIN, before(pages, " remain"), event);
    }
    if let Some(tuples) = line("tuples: ") {
        set(autovacuum::TUPLES_REMOVED, before(tuples, " removed"), event);
        set(autovacuum::TUPLES_REMAIN, before(tuples, " remain"), event);
        set(autovacuum::TUPLES_DEAD, before(tuples, " are dead but not yet removable"), event);
    }
    let elapsed = number(rest, "elapsed: ").or_else(|| number(rest, "elapsed "));
    set(fields::event::DURATION, elapsed.and_then(|text| nanoseconds(text, SECONDS)), event);
}

/// `file: path "base/pgsql_tmp/pgsql_tmp1.0", size 123`
fn temporary<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((path, size)) =
        text.strip_prefix("file: path \"").and_then(|text| text.split_on("\", size "))
    else {
        return;
    };
    event.set(fields::event::ACTION, "temporary-file");
    event.set(temporary_file::PATH, path);
    set(temporary_file::SIZE, size.parse().ok(), event);
}

/// `7 still waiting for ShareLock on transaction 815 after 1000.119 ms`, `7 acquired … after …`,
/// `7 detected deadlock while waiting for …`
fn waiting<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((pid, rest)) = text.split_on_byte(b' ') else { return };
    let Ok(pid) = pid.parse::<u32>() else { return };
    let forms = [
        ("still waiting for ", "lock-wait"),
        ("acquired ", "lock-acquired"),
        ("detected deadlock while waiting for ", "deadlock-detected"),
        ("avoided deadlock for ", "deadlock-avoided"),
        ("failed to acquire ", "lock-failed"),
    ];
    let found = forms.iter().find_map(|(form, action)| Some((rest.strip_prefix(form)?, *action)));
    let Some((rest, action)) = found else { return };
    let Some((lock, time)) = rest.rsplit_on(" after ") else { return };
    event.set(fields::event::ACTION, action);
    event.set(lock::PID, pid);
    if let Some((mode, object)) = lock.split_on(" on ") {
        event.set(lock::MODE, mode);
        event.set(lock::OBJECT, object);
    }
    let time = time.strip_suffix(" ms").and_then(|time| nanoseconds(time, MILLISECONDS));
    set(fields::event::DURATION, time, event);
}
