//! Lines of `# Key: value  Key: value`.

use crate::datasets::mysql::stamp;
use crate::duration::{SECONDS, nanoseconds};
use crate::time::Stamp;
use crate::{Event, Field, fields, find, json};

/// Keys without a field that are kept; the lines of the server's own profiler have some dozens.
const OTHERS_MAX: usize = 128;

/// What a value is.
#[derive(Clone, Copy)]
enum Kind {
    Count,
    Number,
    Flag,
    Text,
    /// Seconds, kept as nanoseconds.
    Duration,
    Time,
}

/// Keys and values for which there is no field.
pub(super) type Others<'a> = Vec<(&'a str, &'a str)>;

/// Reads a line without its `#`. Says whether it is one of keys and values.
pub(super) fn set<'a>(line: &'a str, others: &mut Others<'a>, event: &mut Event<'a>) -> bool {
    let Some(mut key) = line.split_ascii_whitespace().next().and_then(key_of) else {
        return false;
    };
    let place = |part: &str| find::place(line.as_bytes(), part.as_bytes());
    let mut from = place(key) + key.len() + 1;
    for word in line[from..].split_ascii_whitespace() {
        let Some(next) = key_of(word) else { continue };
        set_key(key, line[from..place(next)].trim(), others, event);
        key = next;
        from = place(next) + next.len() + 1;
    }
    set_key(key, line[from..].trim(), others, event);
    true
}

/// The server's keys have a capital, digits and underscores, and end with a colon.
fn key_of(word: &str) -> Option<&str> {
    let key = word.strip_suffix(':')?;
    let rest = key.strip_prefix(|first: char| first.is_ascii_uppercase())?;
    rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(key)
}

fn set_key<'a>(key: &'a str, value: &'a str, others: &mut Others<'a>, event: &mut Event<'a>) {
    let known = KEYS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(key));
    if let Some((_, field, kind)) = known
        && (set_value(*field, *kind, value, event) || value.is_empty())
    {
        return;
    }
    add(key, value, others);
}

/// Keeps what has no field; of equal keys the first.
pub(super) fn add<'a>(key: &'a str, value: &'a str, others: &mut Others<'a>) {
    if others.len() < OTHERS_MAX && !others.iter().any(|(other, _)| *other == key) {
        others.push((key, value));
    }
}

/// Sets what was kept.
pub(super) fn set_others<'a>(others: &Others<'a>, event: &mut Event<'a>) {
    if others.is_empty() {
        return;
    }
    let mut object = Vec::with_capacity(256);
    for (key, value) in others {
        object.push(if object.is_empty() { b'{' } else { b',' });
        json::write_str(key, &mut object);
        object.push(b':');
        json::write_str(value, &mut object);
    }
    object.push(b'}');
    let object = event.alloc_bytes(&object);
    event.set(fields::mysql::slowlog::FIELDS, crate::Value::Raw(object));
}

/// Says whether the value was of its kind.
fn set_value<'a>(field: Field, kind: Kind, value: &'a str, event: &mut Event<'a>) -> bool {
    if value.is_empty() {
        event.null_removed(field);
        return false;
    }
    match kind {
        Kind::Text => event.set(field, value),
        Kind::Count => match value.parse::<i64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
        Kind::Number => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => event.set(field, number),
            _ => return false,
        },
        Kind::Flag => match value {
            "Yes" => event.set(field, true),
            "No" => event.set(field, false),
            _ => return false,
        },
        Kind::Duration => match nanoseconds(value, SECONDS) {
            Some(nanos) => event.set(field, nanos),
            None => return false,
        },
        Kind::Time => match time(value) {
            Some(stamp) => event.set_time(field, stamp),
            None => return false,
        },
    }
    true
}

fn time(value: &str) -> Option<Stamp> {
    let (stamp, length) = stamp::parse(value.as_bytes())?;
    (length == value.len()).then_some(stamp)
}

use fields::mysql::slowlog as log;

/// Every key that the three servers document.
static KEYS: [(&str, Field, Kind); 65] = [
    ("Query_time", fields::event::DURATION, Kind::Duration),
    ("Lock_time", log::lock_time::SEC, Kind::Number),
    ("Rows_sent", log::ROWS_SENT, Kind::Count),
    ("Rows_examined", log::ROWS_EXAMINED, Kind::Count),
    ("Rows_affected", log::ROWS_AFFECTED, Kind::Count),
    ("Rows_read", log::ROWS_READ, Kind::Count),
    ("Thread_id", fields::mysql::THREAD_ID, Kind::Count),
    ("Id", fields::mysql::THREAD_ID, Kind::Count),
    ("Schema", log::SCHEMA, Kind::Text),
    ("Last_errno", log::LAST_ERRNO, Kind::Count),
    ("Errno", log::LAST_ERRNO, Kind::Count),
    ("Killed", log::KILLED, Kind::Count),
    ("QC_hit", log::QUERY_CACHE_HIT, Kind::Flag),
    ("Bytes_sent", log::BYTES_SENT, Kind::Count),
    ("Bytes_received", log::BYTES_RECEIVED, Kind::Count),
    ("Tmp_tables", log::TMP_TABLES, Kind::Count),
    ("Created_tmp_tables", log::TMP_TABLES, Kind::Count),
    ("Tmp_disk_tables", log::TMP_DISK_TABLES, Kind::Count),
    ("Created_tmp_disk_tables", log::TMP_DISK_TABLES, Kind::Count),
    ("Tmp_table_sizes", log::TMP_TABLE_SIZES, Kind::Count),
    ("Full_scan", log::FULL_SCAN, Kind::Flag),
    ("Full_join", log::FULL_JOIN, Kind::Flag),
    ("Tmp_table", log::TMP_TABLE, Kind::Flag),
    ("Tmp_table_on_disk", log::TMP_TABLE_ON_DISK, Kind::Flag),
    ("Filesort", log::FILESORT, Kind::Flag),
    ("Filesort_on_disk", log::FILESORT_ON_DISK, Kind::Flag),
    ("Merge_passes", log::MERGE_PASSES, Kind::Count),
    ("Priority_queue", log::PRIORITY_QUEUE, Kind::Flag),
    ("Read_first", log::READ_FIRST, Kind::Count),
    ("Read_last", log::READ_LAST, Kind::Count),
    ("Read_key", log::READ_KEY, Kind::Count),
    ("Read_next", log::READ_NEXT, Kind::Count),
    ("Read_prev", log::READ_PREV, Kind::Count),
    ("Read_rnd", log::READ_RND, Kind::Count),
    ("Read_rnd_next", log::READ_RND_NEXT, Kind::Count),
    ("Sort_merge_passes", log::SORT_MERGE_PASSES, Kind::Count),
    ("Sort_range_count", log::SORT_RANGE_COUNT, Kind::Count),
    ("Sort_rows", log::SORT_ROWS, Kind::Count),
    ("Sort_scan_count", log::SORT_SCAN_COUNT, Kind::Count),
    ("Count_hit_tmp_table_size", log::TMP_TABLE_LIMIT_HITS, Kind::Count),
    ("Start", fields::event::START, Kind::Time),
    ("End", fields::event::END, Kind::Time),
    ("InnoDB_IO_r_ops", log::innodb::IO_R_OPS, Kind::Count),
    ("InnoDB_IO_r_bytes", log::innodb::IO_R_BYTES, Kind::Count),
    ("InnoDB_IO_r_wait", log::innodb::io_r_wait::SEC, Kind::Number),
    ("InnoDB_rec_lock_wait", log::innodb::rec_lock_wait::SEC, Kind::Number),
    ("InnoDB_queue_wait", log::innodb::queue_wait::SEC, Kind::Number),
    ("InnoDB_pages_distinct", log::innodb::PAGES_DISTINCT, Kind::Count),
    ("InnoDB_trx_id", log::innodb::TRX_ID, Kind::Text),
    ("Log_slow_rate_type", log::LOG_SLOW_RATE_TYPE, Kind::Text),
    ("Log_slow_rate_limit", log::LOG_SLOW_RATE_LIMIT, Kind::Count),
    ("Stored_routine", log::STORED_ROUTINE, Kind::Text),
    ("Pages_accessed", log::engine::PAGES_ACCESSED, Kind::Count),
    ("Pages_read", log::engine::PAGES_READ, Kind::Count),
    ("Pages_prefetched", log::engine::PAGES_PREFETCHED, Kind::Count),
    ("Pages_updated", log::engine::PAGES_UPDATED, Kind::Count),
    ("Old_rows_read", log::engine::OLD_ROWS_READ, Kind::Count),
    ("Pages_read_time", log::engine::PAGES_READ_TIME_MS, Kind::Number),
    ("Engine_time", log::engine::TIME_MS, Kind::Number),
    ("Undo_records", log::engine::UNDO_RECORDS, Kind::Count),
    ("Query_cost", log::QUERY_COST, Kind::Number),
    ("Insert_id", log::INSERT_ID, Kind::Count),
    ("Last_insert_id", log::LAST_INSERT_ID, Kind::Count),
    ("Error_code", log::LAST_ERRNO, Kind::Count),
    ("Binlog_bytes_written", log::BINLOG_BYTES_WRITTEN, Kind::Count),
];

/// The keys of the statement `SET`, which are spelt in lower case.
pub(super) fn set_session<'a>(key: &'a str, value: &'a str, event: &mut Event<'a>) -> bool {
    let field = match key {
        "insert_id" => log::INSERT_ID,
        "last_insert_id" => log::LAST_INSERT_ID,
        _ => return false,
    };
    set_value(field, Kind::Count, value, event)
}
