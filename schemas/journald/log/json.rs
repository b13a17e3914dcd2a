//! One object a line, alone, after `data: ` or after a record separator: values are texts; lists of numbers where they are not UTF-8 or not printable,
//! lists of both where a field occurs several times, and `null` where journalctl found them too
//! long.

use serde_json::Value;
use tahoe_seams::Rejection;

use super::entry::Named;
use crate::find::find;
use crate::{Event, Transformation, fields};

/// Every entry has it, and hardly anything else.
const MARK: &[u8] = b"\"__REALTIME_TIMESTAMP\"";

pub(super) fn is_entry(bytes: &[u8]) -> bool {
    object(bytes).starts_with(b"{") && find(bytes, MARK).is_some()
}

/// The object of a line of `json`, `json-sse` or `json-seq`.
fn object(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"data: ").unwrap_or(line);
    line.strip_prefix(b"\x1e").unwrap_or(line)
}

/// Gives the fields of an entry.
pub(super) fn fields<'a>(
    bytes: &'a [u8],
    event: &mut Event<'a>,
    mut visit: impl FnMut(Named<'a>),
) -> Result<(), Rejection> {
    let text = event.text(object(bytes));
    let read: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    for (name, value) in &read {
        let name = event.alloc_str(name);
        if let Some(value) = one(value, event) {
            visit(Named { name, value });
            continue;
        }
        match value {
            Value::Null if name == "MESSAGE" => event.null_removed(fields::MESSAGE),
            Value::Null => event.transformation_of(Transformation::NullRemoved, name),
            Value::Array(several) => {
                for value in several {
                    let value = one(value, event).filter(|_| !value.is_number());
                    let value = value.ok_or_else(|| {
                        malformed(format!("{name} is a list of neither texts nor bytes"))
                    })?;
                    visit(Named { name, value });
                }
            }
            _ => return Err(malformed(format!("{name} is neither text nor list"))),
        }
    }
    Ok(())
}

fn malformed(reason: String) -> Rejection {
    Rejection::whole("malformed_entry", reason)
}

/// One value: a text, the bytes of one, or a number that another program left bare.
fn one<'a>(value: &Value, event: &Event<'a>) -> Option<&'a [u8]> {
    match value {
        Value::String(text) => Some(event.alloc_bytes(text.as_bytes())),
        Value::Number(number) => Some(event.alloc_bytes(number.to_string().as_bytes())),
        Value::Array(bytes) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            bytes.map(|bytes| event.alloc_bytes(&bytes))
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}
