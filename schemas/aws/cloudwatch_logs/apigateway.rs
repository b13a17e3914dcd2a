//! Access logs of API Gateway in the forms that its documentation proposes: as JSON, or like a web
//! server's, in which no space stands before the request
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html>).

use crate::object::{scalar, set_each};
use crate::scan::Entry;
use crate::{Event, Value, clf, fields, peer, time};

/// Names and addresses are no longer than this.
const HEAD_BYTES_MAX: usize = 256;

/// Says whether the object is an entry.
pub(super) fn set<'a>(keys: &[Entry<'a>], event: &mut Event<'a>) -> bool {
    let value = |key: &[u8]| keys.iter().find(|entry| entry.key == key).map(|entry| entry.value);
    let is_stamped = value(b"requestTime")
        .and_then(|time| time.strip_prefix(b"\""))
        .is_some_and(|time| time::parse_clf(time).is_some());
    if !is_stamped || [&b"requestId"[..], b"ip", b"status"].iter().any(|k| value(k).is_none()) {
        return false;
    }
    set_each(keys, fields::aws::FIELDS, set_key, event);
    finish(event);
    true
}

/// Says whether the key became a field.
fn set_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    use fields::aws::apigateway;
    let Some(text) = scalar(entry.value, event) else { return false };
    let field = match entry.key {
        b"ip" => {
            event.set(apigateway::IP_ADDRESS, text);
            peer::SOURCE.set_address(text, event);
            return true;
        }
        b"requestTime" => {
            let Some((stamp, _)) = time::parse_clf(text.as_bytes()) else { return false };
            event.set_time(apigateway::REQUEST_TIME, stamp);
            return true;
        }
        b"status" | b"responseLength" => {
            let is_status = entry.key == b"status";
            let field = if is_status { apigateway::STATUS } else { apigateway::RESPONSE_LENGTH };
            match text.parse::<u64>() {
                Ok(number) => event.set(field, number),
                Err(_) if text == "-" => event.null_removed(field),
                Err(_) => return false,
            }
            return true;
        }
        b"protocol" => {
            event.set(apigateway::PROTOCOL, text);
            if let Some(version) = text.strip_prefix("HTTP/") {
                event.set(fields::http::VERSION, version);
            }
            return true;
        }
        b"httpMethod" => {
            event.set(fields::http::request::METHOD, text);
            apigateway::HTTP_METHOD
        }
        b"requestId" => apigateway::REQUEST_ID,
        b"caller" => apigateway::CALLER,
        b"user" => apigateway::USER,
        b"resourcePath" => apigateway::RESOURCE_PATH,
        b"routeKey" => apigateway::ROUTE_KEY,
        b"eventType" => apigateway::EVENT_TYPE,
        b"connectionId" => apigateway::CONNECTION_ID,
        b"apiId" => apigateway::API_ID,
        b"domainName" => apigateway::DOMAIN_NAME,
        b"stage" => apigateway::STAGE,
        _ => return false,
    };
    event.set(field, text);
    true
}

/// `ip caller user [dd/Mmm/yyyy:hh:mm:ss ±hhmm]"method path protocol" status length request`. Says
/// whether the line is one.
pub(super) fn set_line<'a>(line: &'a str, event: &mut Event<'a>) -> bool {
    use fields::aws::apigateway;
    if !line.as_bytes().first().is_some_and(u8::is_ascii_hexdigit) {
        return false;
    }
    let head = &line.as_bytes()[..line.len().min(HEAD_BYTES_MAX)];
    let begins = memchr::memchr(b']', head).is_some_and(|at| head[at + 1..].starts_with(b"\""));
    let Some(entry) = begins.then(|| clf::Line::parse(line).ok()).flatten() else { return false };
    let mut peers = entry.peers.splitn(3, ' ');
    let (Some(ip), Some(caller), Some(user)) = (peers.next(), peers.next(), peers.next()) else {
        return false;
    };
    if !peer::SOURCE.set_address(ip, event) {
        return false;
    }
    event.set(apigateway::IP_ADDRESS, ip);
    event.set(apigateway::CALLER, caller);
    event.set(apigateway::USER, user);
    event.set_time(apigateway::REQUEST_TIME, entry.stamp);
    event.set(apigateway::REQUEST_ID, entry.rest);
    // The path is that of the resource, in which names stand for parts.
    let mut words = entry.request.splitn(3, ' ');
    if let (Some(method), Some(path), Some(protocol)) = (words.next(), words.next(), words.next()) {
        event.set(apigateway::HTTP_METHOD, method);
        event.set(fields::http::request::METHOD, method);
        event.set(apigateway::RESOURCE_PATH, path);
        event.set(apigateway::PROTOCOL, protocol);
        if let Some(version) = protocol.strip_prefix("HTTP/") {
            event.set(fields::http::VERSION, version);
        }
    }
    // A log event has its own time.
    let time = event.get(fields::TIMESTAMP);
    entry.set(event);
    if let Some(time) = time {
        event.set(fields::TIMESTAMP, time);
    }
    for (field, said) in [
        (apigateway::STATUS, fields::http::response::STATUS_CODE),
        (apigateway::RESPONSE_LENGTH, fields::http::response::body::BYTES),
    ] {
        if let Some(said) = event.get(said) {
            event.set(field, said);
        }
    }
    finish(event);
    true
}

/// Sets what both forms mean.
fn finish(event: &mut Event<'_>) {
    use fields::aws::apigateway;
    event.set(fields::event::CATEGORY, "web");
    event.set(fields::event::TYPE, "access");
    if let Some(Value::U64(status)) = event.get(apigateway::STATUS) {
        event.set(fields::http::response::STATUS_CODE, status);
        clf::set_outcome(status, event);
    }
    if let Some(bytes) = event.get(apigateway::RESPONSE_LENGTH) {
        event.set(fields::http::response::body::BYTES, bytes);
    }
}
