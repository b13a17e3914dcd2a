//! From an object to fields, each key by its role.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::keys::{self, Role};
use super::level::{self, Numbers};
use super::writer::Writer;
use super::{error, mapped, moment, stamp};
use crate::find::Find;
use crate::object::{entries, flattened, object_parts, scalar, whole};
use crate::peer::{self, Peer};
use crate::rules::{AppFields, Unit};
use crate::scan::Entry;
use crate::url::{set_host, set_target, split_port};
use crate::{Event, Field, clf, fields};

/// Objects in objects whose keys have roles.
const DEPTH_MAX: u32 = 4;

/// Longer paths are not on the stack.
const PATH_BYTES_USUAL: usize = 64;

/// Sets the fields of the object that fills `text`, the keys without a role as `others`. Says
/// whether it is one.
pub(crate) fn set<'a>(text: &'a str, others: Field, event: &mut Event<'a>) -> bool {
    set_of(text, others, Writer::of, event)
}

/// The same of a line in the access log of a web server.
pub(crate) fn set_access<'a>(text: &'a str, others: Field, event: &mut Event<'a>) -> bool {
    if !set_of(text.trim_end(), others, Writer::of_web_server, event) {
        return false;
    }
    event.set(fields::event::TYPE, "access");
    if !event.has(fields::TIMESTAMP) {
        event.time_assumed(None);
    }
    true
}

fn set_of<'a>(
    text: &'a str,
    others: Field,
    writer_of: fn(&[Entry<'_>]) -> Writer,
    event: &mut Event<'a>,
) -> bool {
    let object = text.starts_with('{').then(|| whole(text.as_bytes())).flatten();
    let Some(mut keys) = object else { return false };
    let mut taken = mapped::Taken::new();
    if let Some(named) = event.rules().map(|rules| &rules.app_fields).filter(|n| !n.is_empty()) {
        keys = mapped::take(keys, named, &mut taken, event);
    }
    let mut writer = writer_of(&keys);
    if writer.is_ecs() {
        keys.retain(|entry| entry.key != b"ecs.version");
        keys = mapped::take(keys, AppFields::of_ecs(), &mut taken, event);
        writer = writer_of(&keys);
    }
    if writer.splits_time() {
        moment::take_split(&mut keys, event);
    }
    if writer.is_logback()
        && let Some(at) = keys.iter().position(|entry| entry.key == b"formattedMessage")
    {
        keys[..=at].rotate_right(1);
    }
    keys.retain(|entry| match writer.role(entry.key).or_else(|| keys::role(entry.key)) {
        Some(role) => !take(role, entry.value, 0, event),
        None => true,
    });
    keys.retain(|entry| match keys::common_word(entry.key) {
        Some(role) => !take(role, entry.value, 0, event),
        None if entry.key == b"name" && writer.names_logger() => {
            !take(Role::Text(fields::log::LOGGER), entry.value, 0, event)
        }
        None => true,
    });
    if writer.is_server() {
        clf::set_answered(event);
    }
    if writer.is_envoy() && !event.has(fields::http::request::METHOD) {
        set_transferred(event);
    }
    if writer.is_clef() && !event.has(fields::log::LEVEL) {
        // CLEF leaves the usual level out.
        level::set("info", Numbers::Usual, event);
    }
    if let Some(value) = flattened(&keys, others, event) {
        event.set(others, value);
    }
    true
}

/// What a proxy of TCP counted is of no request.
fn set_transferred(event: &mut Event<'_>) {
    for (body, all) in [
        (fields::http::request::body::BYTES, fields::source::BYTES),
        (fields::http::response::body::BYTES, fields::destination::BYTES),
    ] {
        if let Some(bytes) = event.get(body) {
            event.remove(body);
            event.set(all, bytes);
        }
    }
}

/// Sets level and kind of event from a level's name. Says whether it is one.
pub(crate) fn set_level<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    level::set(text, Numbers::Usual, event)
}

/// Says whether all of the value is in fields now.
fn take<'a>(role: Role, value: &'a [u8], depth: u32, event: &mut Event<'a>) -> bool {
    let text = || scalar(value, event);
    match role {
        Role::Inside(name) => inside(name, value, depth, event),
        Role::Own => false,
        Role::Time if value.starts_with(b"{") => moment::set(value, event),
        Role::Thread if value.starts_with(b"\"") => {
            take(Role::Text(fields::process::thread::NAME), value, depth, event)
        }
        Role::Thread => take(Role::Number(fields::process::thread::ID), value, depth, event),
        Role::Error if value.starts_with(b"{") => inside("error", value, depth, event),
        Role::Error if value.starts_with(b"[") => {
            error::list(value, event);
            false
        }
        Role::Stack if value.starts_with(b"[") => error::frames(value, event),
        // A header that came once.
        Role::Text(_) if value.starts_with(b"[") => match whole(value).as_deref() {
            Some([one]) if !one.value.starts_with(b"[") => take(role, one.value, depth, event),
            _ => false,
        },
        // Lambda's log of an invocation that failed.
        Role::Message if error::is_failure(value, event) => {
            let all = inside("error", value, depth, event);
            if let Some(said) = event.get_str(fields::error::MESSAGE) {
                event.set_if_absent(fields::MESSAGE, said);
            }
            all
        }
        // OpenTelemetry's.
        Role::Message if value.starts_with(b"{") => match object_parts(value).as_slice() {
            [one] if one.key == b"stringValue" => take(role, one.value, depth, event),
            _ => false,
        },
        _ => match text() {
            Some("") => {
                removed(role, event);
                field_of(role).is_some()
            }
            Some(text) => take_text(role, text, value, event),
            None => false,
        },
    }
}

fn take_text<'a>(role: Role, text: &'a str, value: &[u8], event: &mut Event<'a>) -> bool {
    if let Some(field) = field_of(role).filter(|field| event.has(*field)) {
        // Twice the same is once too often.
        let same = match role {
            Role::Level => level::name(text, Numbers::Usual, event),
            Role::PythonLevel => level::name(text, Numbers::Python, event),
            Role::TelemetryLevel => level::name(text, Numbers::Telemetry, event),
            Role::Trace => Some(trace_of(text)),
            Role::Protocol => text.strip_prefix("HTTP/"),
            _ => Some(text),
        };
        return same.is_some() && event.get_str(field) == same;
    }
    let is_text = value.starts_with(b"\"");
    match role {
        Role::Time => match stamp::parse(text) {
            Some(stamp) => event.time(stamp),
            None => return false,
        },
        Role::Level => return level::set(text, Numbers::Usual, event),
        Role::PythonLevel => return level::set(text, Numbers::Python, event),
        Role::TelemetryLevel => return level::set(text, Numbers::Telemetry, event),
        Role::Trace => event.set(fields::trace::ID, trace_of(text)),
        Role::Message if is_text => event.set(fields::MESSAGE, text),
        Role::Error if is_text => error::text(text, event),
        Role::Stack if is_text => error::stack(text, event),
        Role::Caller if is_text => caller(text, event),
        Role::Text(field) => event.set(field, text),
        Role::Number(field) => match text.parse::<u64>() {
            Ok(number) => event.set(field, number),
            Err(_) => return false,
        },
        Role::Duration(unit) => match text.parse() {
            Ok(number) => return set_duration(mapped::scaled(number, unit), event),
            Err(_) => return false,
        },
        Role::Elapsed if is_text && text.parse::<f64>().is_err() => {
            return set_duration(mapped::nanoseconds(text, Unit::None), event);
        }
        _ => return request(role, text, event),
    }
    true
}

/// `projects/shop/traces/0af7651916cd43dd8448eb211c80319c`
fn trace_of(text: &str) -> &str {
    text.rsplit_on("/traces/").map_or(text, |(_, id)| id)
}

/// Says whether there is one.
fn set_duration(nanoseconds: Option<u64>, event: &mut Event<'_>) -> bool {
    if let Some(nanoseconds) = nanoseconds {
        event.set(fields::event::DURATION, nanoseconds);
    }
    nanoseconds.is_some()
}

/// What a request's keys say. Says whether the value fits.
fn request<'a>(role: Role, text: &'a str, event: &mut Event<'a>) -> bool {
    match role {
        Role::Url if text.starts_with('/') || text.has("://") => set_target(text, event),
        Role::Host => set_host(text, event),
        Role::Client => return set_peer(peer::SOURCE, fields::source::PORT, text, event),
        Role::Server => {
            return set_peer(peer::DESTINATION, fields::destination::PORT, text, event);
        }
        Role::Status => match text.parse::<u16>() {
            Ok(status @ 100..600) => event.set(fields::http::response::STATUS_CODE, status),
            _ => return false,
        },
        Role::Method if text.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            event.set(fields::http::request::METHOD, text);
        }
        Role::Request if text.starts_with('/') => set_target(text, event),
        Role::Request => return clf::set_request(text, event),
        Role::Protocol => match text.strip_prefix("HTTP/") {
            Some(version) => event.set(fields::http::VERSION, version),
            None => return false,
        },
        Role::Forwarded => match peer::ip(text) {
            Some(ip) if event.get_str(fields::source::IP) == Some(ip) => {}
            Some(ip) => event.set(fields::network::FORWARDED_IP, ip),
            None => return false,
        },
        Role::ForwardedFor => {
            let forwarded = clf::Forwarded::parse(text);
            forwarded.addresses.iter().for_each(|ip| peer::relate(ip, event));
            match forwarded.addresses.first() {
                Some(first) => event.set(fields::network::FORWARDED_IP, *first),
                None if forwarded.all_known => event.null_removed(fields::network::FORWARDED_IP),
                None => return false,
            }
            return forwarded.all_known && forwarded.addresses.len() < 2;
        }
        _ => return false,
    }
    true
}

/// An address with or without a port, as IPv6 has it for IPv4 too. Says whether it was one.
fn set_peer<'a>(peer: Peer, port_field: Field, text: &'a str, event: &mut Event<'a>) -> bool {
    let (address, port) = match text.parse::<IpAddr>() {
        Ok(_) => (text, None),
        Err(_) => split_port(text),
    };
    if peer::ip(address).is_none() {
        return false;
    }
    peer.set(address, None, event);
    if let Some(port) = port {
        event.set_if_absent(port_field, port);
    }
    true
}

/// The field that a role's text is in.
fn field_of(role: Role) -> Option<Field> {
    Some(match role {
        Role::Time => fields::TIMESTAMP,
        Role::Level | Role::PythonLevel | Role::TelemetryLevel => fields::log::LEVEL,
        Role::Message => fields::MESSAGE,
        Role::Stack => fields::error::STACK_TRACE,
        Role::Error => fields::error::MESSAGE,
        Role::Caller => fields::log::origin::file::NAME,
        Role::Text(field) | Role::Number(field) => field,
        Role::Duration(_) | Role::Elapsed => fields::event::DURATION,
        Role::Url => fields::url::ORIGINAL,
        Role::Host => fields::url::DOMAIN,
        Role::Client => fields::source::ADDRESS,
        Role::Server => fields::destination::ADDRESS,
        Role::Status => fields::http::response::STATUS_CODE,
        Role::Method => fields::http::request::METHOD,
        Role::Request => fields::url::ORIGINAL,
        Role::Protocol => fields::http::VERSION,
        Role::Forwarded | Role::ForwardedFor => fields::network::FORWARDED_IP,
        Role::Trace => fields::trace::ID,
        Role::Inside(_) | Role::Thread | Role::Own => return None,
    })
}

fn removed(role: Role, event: &mut Event<'_>) {
    if let Some(field) = field_of(role) {
        event.null_removed(field);
    }
}

/// Keys of an object as if they stood outside with its name before theirs. If one of them has no
/// role, the object is kept as well.
fn inside<'a>(name: &str, value: &'a [u8], depth: u32, event: &mut Event<'a>) -> bool {
    if depth == DEPTH_MAX || !value.starts_with(b"{") {
        return false;
    }
    let Some(keys) = entries(value, event) else { return false };
    let (mut all, mut path) = (true, SmallVec::<[u8; PATH_BYTES_USUAL]>::new());
    for Entry { key, value } in keys {
        path.clear();
        [name.as_bytes(), b".", key].into_iter().for_each(|part| path.extend_from_slice(part));
        all &= keys::role(&path).is_some_and(|role| take(role, value, depth + 1, event));
    }
    all
}

/// `path/file.go:12`, or a path alone.
fn caller<'a>(text: &'a str, event: &mut Event<'a>) {
    let numbered = text.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
    let (file, line): (&str, Option<u64>) =
        numbered.map_or((text, None), |(file, line)| (file, Some(line)));
    event.set(fields::log::origin::file::NAME, file);
    if let Some(line) = line {
        event.set_if_absent(fields::log::origin::file::LINE, line);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tahoe_seams::Origin;

    fn document(line: &str) -> Value {
        crate::testing::document(&super::super::DATASET, line.as_bytes(), &Origin::default())
    }

    #[test]
    fn a_request_to_traefik_is_read_by_the_names_of_its_documentation() {
        let found = document(
            &json!({
                "StartUTC": "2026-03-04T09:27:05.123456789Z", "time": "2026-03-04T09:27:05Z",
                "ClientHost": "192.0.2.7", "ClientPort": "52342", "ClientUsername": "-",
                "RequestMethod": "GET", "RequestScheme": "https", "RequestHost": "shop.example",
                "RequestPath": "/x?y=1", "RequestProtocol": "HTTP/1.1", "RequestContentSize": 0,
                "DownstreamStatus": 404, "DownstreamContentSize": 19, "Duration": 203_000,
                "request_User-Agent": "curl/8", "RouterName": "web@docker", "level": "info",
            })
            .to_string(),
        );
        assert_eq!(found["@timestamp"], "2026-03-04T09:27:05.123456789Z");
        assert_eq!(
            (&found["source"]["ip"], &found["source"]["port"]),
            (&"192.0.2.7".into(), &52342.into())
        );
        assert_eq!((&found["event"]["duration"], &found["user"]), (&203_000.into(), &Value::Null));
        let url = json!({"domain": "shop.example", "original": "/x?y=1", "path": "/x",
            "query": "y=1", "scheme": "https"});
        assert_eq!(found["url"], url);
        let http = json!({"request": {"body": {"bytes": 0}, "method": "GET"},
            "response": {"body": {"bytes": 19}, "status_code": 404}, "version": "1.1"});
        assert_eq!(found["http"], http);
        let event = &found["event"];
        let said = [&event["category"], &event["type"], &event["outcome"]];
        assert_eq!(said, [&json!(["web"]), &json!(["access"]), &json!("failure")]);
        let others = json!({"RouterName": "web@docker", "time": "2026-03-04T09:27:05Z"});
        assert_eq!(found["app"]["fields"], others);
    }

    #[test]
    fn the_client_that_caddy_believes_a_proxy_is_told_where_it_is_another() {
        let asked = |client: &str| {
            // In this order Caddy writes them.
            document(&format!(
                r#"{{"ts":1.5,"request":{{"remote_ip":"192.0.2.7","client_ip":"{client}",
                "headers":{{"User-Agent":["curl/8"],"Referer":["/a","/b"]}}}},"resp_headers":{{}}}}"#
            ))
        };
        let found = asked("203.0.113.9");
        assert_eq!(found["source"]["ip"], "192.0.2.7");
        assert_eq!(found["network"]["forwarded_ip"], "203.0.113.9");
        assert_eq!(found["user_agent"]["original"], "curl/8");
        assert_eq!(found["http"]["request"]["referrer"], Value::Null, "one of several");
        assert_eq!(asked("192.0.2.7")["network"], Value::Null);
    }
}
