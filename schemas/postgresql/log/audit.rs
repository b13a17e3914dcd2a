//! pgAudit's messages: `AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.orders,"SELECT …",<none>`.
//!
//! <https://github.com/pgaudit/pgaudit#format>

use super::csv;
use crate::object::{entries, scalar};
use crate::{Event, Field, fields};

/// The columns by the names that CloudNativePG gives them; the last with `pgaudit.log_rows` alone.
const COLUMNS: [&str; 10] = [
    "audit_type",
    "statement_id",
    "substatement_id",
    "class",
    "command",
    "object_type",
    "object_name",
    "statement",
    "parameter",
    "rows",
];

/// Sets what such a message says. Says whether it is one.
pub(super) fn read<'a>(message: &'a str, event: &mut Event<'a>) -> bool {
    let Some(row) = message.strip_prefix("AUDIT: ") else { return false };
    if !row.starts_with("SESSION,") && !row.starts_with("OBJECT,") {
        return false;
    }
    let mut at = 0;
    for name in COLUMNS {
        if at > row.len() {
            break;
        }
        let (value, end) = csv::field(row, at, event);
        set(name, value, event);
        at = end + 1;
    }
    event.set(fields::event::ACTION, "statement-audited");
    true
}

/// The same columns in an object; gives the statement, or what else there is in place of a message.
pub(super) fn read_object<'a>(object: &'a [u8], event: &mut Event<'a>) -> Option<&'a str> {
    let (mut statement, mut command) = (None, None);
    for entry in entries(object, event)? {
        let Some(value) = scalar(entry.value, event) else { continue };
        let Some(name) = COLUMNS.iter().find(|name| name.as_bytes() == entry.key) else { continue };
        set(name, value, event);
        match *name {
            "statement" if !is_withheld(value) => statement = Some(value),
            "command" => command = Some(value),
            _ => {}
        }
    }
    event.set(fields::event::ACTION, "statement-audited");
    statement.or(command)
}

fn set<'a>(column: &str, value: &'a str, event: &mut Event<'a>) {
    use fields::postgresql::audit;
    let field = match column {
        "audit_type" => audit::TYPE,
        "statement_id" => return set_number(audit::STATEMENT_ID, value, event),
        "substatement_id" => return set_number(audit::SUBSTATEMENT_ID, value, event),
        "rows" => return set_number(audit::ROWS, value, event),
        "class" => audit::CLASS,
        "command" => audit::COMMAND,
        "object_type" => audit::OBJECT_TYPE,
        "object_name" => audit::OBJECT_NAME,
        "statement" => fields::postgresql::log::QUERY,
        _ => audit::PARAMETERS,
    };
    if !value.is_empty() && !is_withheld(value) {
        event.set(field, value);
    }
}

fn set_number(field: Field, value: &str, event: &mut Event<'_>) {
    if let Ok(number) = value.parse::<u64>() {
        event.set(field, number);
    }
}

/// What the settings keep out of the log, and what was in it before.
fn is_withheld(value: &str) -> bool {
    matches!(value, "<none>" | "<not logged>" | "<previously logged>")
}
