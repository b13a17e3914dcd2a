//! Audit logs of Kubernetes, as EKS sends them: one object for each stage of a request to its API
//! (<https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>).

use crate::object::{parts, scalar, set_each};
use crate::scan::Entry;
use crate::time;
use crate::{Event, clf, fields, peer, url};

/// Says whether the object is one. Its `level` is how much of the request was logged.
pub(super) fn set<'a>(keys: &[Entry<'a>], event: &mut Event<'a>) -> bool {
    let version = keys.iter().find(|entry| entry.key == b"apiVersion");
    if !version.is_some_and(|entry| entry.value.starts_with(b"\"audit.k8s.io/")) {
        return false;
    }
    event.set(fields::event::CATEGORY, "api");
    event.set(fields::event::TYPE, "info");
    set_each(keys, fields::aws::FIELDS, set_key, event);
    true
}

/// Says whether all of the key is in fields now.
fn set_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    match entry.key {
        b"user" => {
            for part in parts(entry.value) {
                let field = match part.key {
                    b"username" => fields::user::NAME,
                    b"uid" => fields::user::ID,
                    _ => continue,
                };
                if let Some(text) = scalar(part.value, event) {
                    event.set(field, text);
                }
            }
            if let Some(user) = event.get_str(fields::user::NAME) {
                event.set(fields::related::USER, user);
            }
            return false;
        }
        // Who asked, and the proxies behind.
        b"sourceIPs" => {
            let addresses = parts(entry.value);
            let first = addresses.first().and_then(|first| scalar(first.value, event));
            let is_set = first.is_some_and(|first| peer::SOURCE.set_address(first, event));
            return is_set && addresses.len() == 1;
        }
        b"responseStatus" => {
            let of = |key: &[u8]| parts(entry.value).iter().find(|e| e.key == key).map(|e| e.value);
            let code = of(b"code").and_then(|code| scalar(code, event)?.parse::<u64>().ok());
            if let Some(code @ 100..600) = code {
                event.set(fields::http::response::STATUS_CODE, code);
                clf::set_outcome(code, event);
            }
            return false;
        }
        _ => {}
    }
    let Some(text) = scalar(entry.value, event) else { return false };
    match entry.key {
        b"auditID" => event.set(fields::event::ID, text),
        b"verb" => {
            event.set(fields::event::ACTION, text);
            event.set(fields::event::TYPE, kind_of(text));
        }
        b"requestURI" => url::set_target(text, event),
        b"userAgent" => event.set(fields::user_agent::ORIGINAL, text),
        b"requestReceivedTimestamp" => match time::parse_iso(text.as_bytes()) {
            Some((stamp, _)) => event.set_time(fields::event::START, stamp),
            None => return false,
        },
        _ => return false,
    }
    true
}

fn kind_of(verb: &str) -> &'static str {
    match verb {
        "get" | "list" | "watch" => "access",
        "create" => "creation",
        "update" | "patch" => "change",
        "delete" | "deletecollection" => "deletion",
        _ => "info",
    }
}
