//! Lambda's lines as text: those of the platform, and those that its runtimes put before a message.

use crate::datasets::app_json;
use crate::find::Find;
use crate::object::{parts, scalar};
use crate::{Event, Field, fields, time};

/// Nanoseconds in a millisecond.
const NANOS_PER_MS: f64 = 1e6;

/// Sets what a line says; the message is set already. Says whether Lambda wrote it.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let kind = match word {
        "START" => "start",
        "END" => "end",
        "REPORT" => "report",
        "INIT_START" => "init_start",
        "INIT_REPORT" => "init_report",
        "RESTORE_START" => "restore_start",
        "RESTORE_REPORT" => "restore_report",
        _ => return logged(text, event),
    };
    let is_platform = rest.starts_with("RequestId: ")
        || rest.starts_with("Init Duration: ")
        || rest.starts_with("Restore Duration: ")
        || rest.starts_with("Runtime Version: ");
    if !is_platform {
        return false;
    }
    set_kind(kind, event);
    for part in rest.split(['\t', '\n']) {
        if let Some((name, value)) = part.trim().split_on(": ") {
            set_part(name, value.trim(), event);
        }
    }
    set_outcome(kind, event);
    true
}

/// Sets which event of the platform it is.
pub(super) fn set_kind<'a>(kind: &'a str, event: &mut Event<'a>) {
    event.set(fields::aws::lambda::EVENT_TYPE, kind);
    event.set(fields::event::ACTION, event.format(format_args!("lambda-{kind}")));
    let class = match kind {
        "start" | "init_start" | "restore_start" => "start",
        "end" => "end",
        _ => "info",
    };
    event.set(fields::event::TYPE, class);
}

/// Sets how it ended, and of a whole invocation, which says a status only if it failed, whether an
/// environment was made for it, or restored.
pub(super) fn set_outcome(kind: &str, event: &mut Event<'_>) {
    let is_whole = kind == "report";
    let status = event.get_str(fields::aws::lambda::STATUS);
    if let Some(status) = status.or(is_whole.then_some("success")) {
        let result = if status == "success" { "success" } else { "failure" };
        event.set(fields::event::OUTCOME, result);
    }
    if is_whole {
        let cold = event.has(fields::aws::lambda::init_duration::MS)
            || event.has(fields::aws::lambda::restore_duration::MS);
        event.set(fields::faas::COLDSTART, cold);
    }
}

fn set_part<'a>(name: &str, value: &'a str, event: &mut Event<'a>) {
    match name {
        "RequestId" => {
            let (id, rest) = value.split_on_byte(b' ').unwrap_or((value, ""));
            event.set(fields::faas::EXECUTION, id);
            if let Some(version) = rest.strip_prefix("Version: ") {
                event.set(fields::faas::VERSION, version);
            }
        }
        "Duration" => {
            if let Some(ms) = amount(value, " ms") {
                set_duration(ms, event);
            }
        }
        "Billed Duration" => set_ms(fields::aws::lambda::billed_duration::MS, value, event),
        "Init Duration" => set_ms(fields::aws::lambda::init_duration::MS, value, event),
        "Restore Duration" => set_ms(fields::aws::lambda::restore_duration::MS, value, event),
        "Memory Size" => set_mb(fields::aws::lambda::memory_size::MB, value, event),
        "Max Memory Used" => set_mb(fields::aws::lambda::memory_used::MB, value, event),
        "Phase" => event.set(fields::aws::lambda::PHASE, value),
        "Status" => event.set(fields::aws::lambda::STATUS, value),
        "Error Type" => event.set(fields::error::TYPE, value),
        "Runtime Version" => event.set(fields::aws::lambda::RUNTIME_VERSION, value),
        "XRAY TraceId" => event.set(fields::trace::ID, value),
        "SegmentId" => event.set(fields::span::ID, value),
        _ => {}
    }
}

/// Sets how long an invocation took.
pub(super) fn set_duration(ms: f64, event: &mut Event<'_>) {
    event.set(fields::event::DURATION, (ms * NANOS_PER_MS).round() as u64);
}

fn set_ms(field: Field, text: &str, event: &mut Event<'_>) {
    if let Some(ms) = amount(text, " ms") {
        event.set(field, ms);
    }
}

fn set_mb(field: Field, text: &str, event: &mut Event<'_>) {
    if let Some(mb) = amount(text, " MB") {
        event.set(field, mb.round() as u64);
    }
}

fn amount(text: &str, unit: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    (number >= 0.0 && number.is_finite()).then_some(number)
}

/// `<time>\t<request>\t<LEVEL>\t<message>` of Node.js, `[LEVEL]\t<time>\t<request>\t<message>` of
/// Python, in which the request is `undefined` or empty before the first one, `[ERROR] type: message`
/// with a traceback of what Python did not catch, `<time> <request> Task timed out after 3.00 seconds`
/// and `RequestId: <request> Error: …` of the platform.
fn logged<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    if let Some(rest) = text.strip_prefix("RequestId: ") {
        return ended(rest, event);
    }
    if let Some((level, rest)) = text.strip_prefix('[').and_then(|text| text.split_on("] "))
        && level.bytes().all(|byte| byte.is_ascii_uppercase())
        && let Some((head, below)) = rest.split_once(['\n', '\r'])
        && below.starts_with("Traceback (most recent call last):")
        && app_json::set_level(level, event)
    {
        let (kind, message) = head.split_on(": ").unwrap_or((head, ""));
        event.set(fields::error::TYPE, kind);
        event.set_clean(fields::error::MESSAGE, message);
        event.set(fields::error::STACK_TRACE, rest);
        return true;
    }
    let mut parts = text.splitn(4, '\t');
    if let (Some(first), Some(second), Some(third), Some(message)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    {
        let bracketed = first.strip_prefix('[').and_then(|level| level.strip_suffix(']'));
        let (level, time, request) = match bracketed {
            Some(level) => (level, second, third),
            None => (third, first, second),
        };
        let is_outside =
            matches!(request, "" | "undefined") && time::parse_iso(time.as_bytes()).is_some();
        if (is_request(request) || is_outside) && app_json::set_level(level, event) {
            event.set(fields::faas::EXECUTION, request);
            event.set(fields::MESSAGE, message);
            failure(message, event);
            return true;
        }
    }
    let mut words = text.splitn(3, ' ');
    let (_, request, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
    let Some(request) = request.filter(|request| is_request(request)) else { return false };
    if rest.starts_with("Task timed out after ") {
        event.set(fields::aws::lambda::STATUS, "timeout");
        event.set(fields::event::OUTCOME, "failure");
        event.set(fields::event::TYPE, "error");
        event.set(fields::error::MESSAGE, rest.trim_end());
    }
    event.set(fields::faas::EXECUTION, request);
    true
}

/// `<request> Error: Runtime exited with error: signal: killed`, and the error's type below it.
fn ended<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some((request, said)) = text.split_on_byte(b' ').filter(|(id, _)| is_request(id)) else {
        return false;
    };
    event.set(fields::faas::EXECUTION, request);
    if let Some(error) = said.strip_prefix("Error: ") {
        let (message, kind) = crate::lines::split_first(error);
        event.set(fields::event::OUTCOME, "failure");
        event.set(fields::event::TYPE, "error");
        event.set(fields::error::MESSAGE, message);
        event.set_clean(fields::error::TYPE, kind.trim());
    }
    true
}

/// A UUID, as every request has.
fn is_request(text: &str) -> bool {
    let Ok(text) = <&[u8; 36]>::try_from(text.as_bytes()) else { return false };
    let others = text.iter().fold(0, |count, byte| count + u8::from(!byte.is_ascii_hexdigit()));
    others == 4 && [8, 13, 18, 23].iter().all(|at| text[*at] == b'-')
}

/// `Invoke Error \t{"errorType":…,"errorMessage":…,"stack":[…]}`, `Uncaught Exception \t{…}`
fn failure<'a>(message: &'a str, event: &mut Event<'a>) {
    let Some((_, object)) = message.split_on_byte(b'\t') else { return };
    for entry in crate::object::whole(object.trim().as_bytes()).unwrap_or_default() {
        let field = match entry.key {
            b"errorType" => fields::error::TYPE,
            b"errorMessage" => fields::error::MESSAGE,
            b"stack" => {
                let mut lines = event.list::<&str>();
                lines.extend(parts(entry.value).iter().filter_map(|l| scalar(l.value, event)));
                event.set(fields::error::STACK_TRACE, event.alloc_str(&lines.join("\n")));
                continue;
            }
            _ => continue,
        };
        if let Some(text) = scalar(entry.value, event) {
            event.set(field, text);
        }
    }
}
