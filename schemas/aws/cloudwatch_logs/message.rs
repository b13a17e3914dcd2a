//! What the message of a log event is.

use super::flow::Column;
use super::{apigateway, audit, flow, lambda, platform, route53};
use crate::datasets::app_json;
use crate::find::Find;
use crate::object::scalar;
use crate::scan::Entry;
use crate::{Event, fields, time};

/// Keys without which an object is no log message, but data that one may search as text.
const MARKS: [&[u8]; 9] =
    [b"message", b"msg", b"level", b"log.level", b"levelname", b"severity", b"@m", b"@mt", b"@t"];

/// Sets message and what it says. `columns` are those of the header of VPC flow logs, if there was
/// one.
pub(super) fn set<'a>(text: &'a str, columns: &[Column], event: &mut Event<'a>) {
    let trimmed = text.trim();
    if let Some(inside) = wrapped(trimmed, event) {
        set(inside, columns, event);
    } else if trimmed.starts_with('{') && object(trimmed, event) {
        event.set_if_absent(fields::MESSAGE, text);
    } else if flow::set(trimmed, columns, event) {
        // All of it is in fields.
    } else {
        event.set(fields::MESSAGE, text);
        let is_known = lambda::set(text, event)
            || route53::set_line(trimmed, event)
            || apigateway::set_line(trimmed, event);
        if !is_known {
            syslog(text, event);
        }
    }
}

/// The line in `{"message":"…"}`, as some who carry logs write it.
fn wrapped<'a>(text: &'a str, event: &Event<'a>) -> Option<&'a str> {
    let body = text.strip_prefix("{\"message\":\"")?;
    let entries = crate::object::whole(text.as_bytes())?;
    // An object in an object would be taken apart for ever.
    let is_line = entries.len() == 1 && !body.starts_with('{');
    scalar(entries[0].value, event).filter(|_| is_line)
}

/// Says whether it is an object that was taken apart.
fn object<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(entries) = crate::object::whole(text.as_bytes()) else { return false };
    let of_service = [platform::set, audit::set, apigateway::set, route53::set];
    if of_service.iter().any(|set| set(&entries, event)) {
        return true;
    }
    let is_message = |entry: &Entry<'_>| MARKS.contains(&entry.key);
    if !entries.iter().any(is_message) {
        return false;
    }
    of_function(&entries, event);
    app_json::set(text, fields::aws::FIELDS, event)
}

/// What Lambda's runtimes and Powertools say of the function beside the message. It is kept too.
fn of_function<'a>(entries: &[Entry<'a>], event: &mut Event<'a>) {
    let has = |key: &[u8]| entries.iter().any(|entry| entry.key == key);
    // Elsewhere a function may be one of the program.
    let is_powertools = has(b"function_request_id");
    for entry in entries {
        let field = match entry.key {
            b"requestId" | b"AWSRequestId" | b"function_request_id" => fields::faas::EXECUTION,
            b"xray_trace_id" => fields::trace::ID,
            b"function_name" if is_powertools => fields::faas::NAME,
            b"function_arn" if is_powertools => fields::faas::ID,
            b"cold_start" if is_powertools && matches!(entry.value, b"true" | b"false") => {
                event.set(fields::faas::COLDSTART, entry.value == b"true");
                continue;
            }
            _ => continue,
        };
        if let Some(text) = scalar(entry.value, event) {
            event.set_if_absent(field, text);
        }
    }
}

/// `Mmm dd hh:mm:ss host program[pid]: …`, as the agent takes it from `/var/log`. The message stays
/// whole, as in Elastic's integration.
fn syslog<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some((stamp, used)) = time::parse_rfc3164(text.as_bytes(), event.read_at_ms()) else {
        return;
    };
    let mut words = text[used..].trim_start().splitn(3, ' ');
    let (Some(host), Some(tag), Some(_)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    let Some(tag) = tag.strip_suffix(':') else { return };
    if !event.has(fields::TIMESTAMP) {
        event.time(stamp);
    }
    event.set(fields::host::HOSTNAME, host);
    if host.starts_with("ip-") {
        event.set(fields::aws::ec2::IP_ADDRESS, host);
    }
    let (name, pid) = tag.split_on_byte(b'[').unwrap_or((tag, ""));
    event.set(fields::process::NAME, name);
    if let Some(Ok(pid)) = pid.strip_suffix(']').map(str::parse::<u64>) {
        event.set(fields::process::PID, pid);
    }
}
