//! The kinds of entries, column by column; the time and what precedes it were read before.

use super::columns::Columns;
use super::{parser, request};
use crate::find::Find;
use crate::peer::{DESTINATION, SOURCE};
use crate::time::Stamp;
use crate::{Event, Field, clf, fields};

/// Nanoseconds in a second.
const NANOS: f64 = 1e9;

/// `elb client:port backend:port request backend response elb_status backend_status received sent
/// "request" "user_agent" ssl_cipher ssl_protocol`; the last three since 2015.
pub(super) fn classic<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    let spans = head(columns, event)?;
    set_duration(spans, event);
    set_related(event);
    Some(())
}

/// `elb client:port target:port request target response elb_status target_status received sent
/// "request" "user_agent" ssl_cipher ssl_protocol target_group_arn "trace_id" "domain_name"
/// "chosen_cert_arn" matched_rule_priority request_creation_time "actions_executed" "redirect_url"
/// "error_reason" "target:port_list" "target_status_code_list" "classification"
/// "classification_reason" conn_trace_id "transformed_host" "transformed_uri"
/// "request_transform_status"`
pub(super) fn application<'a>(
    end: Stamp,
    columns: &mut Columns<'a>,
    event: &mut Event<'a>,
) -> Option<()> {
    let spans = head(columns, event)?;
    if let Some(arn) = columns.set(fields::aws::elb::target_group::ARN, event) {
        set_cloud(arn, event);
    }
    if let Some(id) = columns.set(fields::aws::elb::TRACE_ID, event) {
        event.set(fields::trace::ID, id);
    }
    set_domain(columns, event);
    columns.set(fields::aws::elb::chosen_cert::ARN, event);
    // -1 says that no rule matched.
    if let Some(rule) = columns.text(fields::aws::elb::MATCHED_RULE_PRIORITY, event)
        && rule != "-1"
    {
        event.set(fields::aws::elb::MATCHED_RULE_PRIORITY, rule);
    }
    let start = set_start(columns, event);
    set_duration(start.map(|start| seconds_between(start, end)).or(spans), event);
    columns.set_list(fields::aws::elb::ACTION_EXECUTED, ",", event);
    columns.set(fields::aws::elb::REDIRECT_URL, event);
    if let Some(reason) = columns.set(fields::aws::elb::error::REASON, event) {
        event.set(fields::error::CODE, reason);
    }
    columns.set_list(fields::aws::elb::TARGET_PORT, " ", event);
    columns.set_list(fields::aws::elb::TARGET_STATUS_CODE, " ", event);
    columns.set(fields::aws::elb::CLASSIFICATION, event);
    columns.set(fields::aws::elb::CLASSIFICATION_REASON, event);
    columns.set(fields::aws::elb::CONN_TRACE_ID, event);
    columns.set(fields::aws::elb::transformed::HOST, event);
    columns.set(fields::aws::elb::transformed::URI, event);
    columns.set(fields::aws::elb::transformed::STATUS, event);
    set_related(event);
    Some(())
}

/// `elb listener client:port destination:port connection_time tls_handshake_time received sent
/// incoming_tls_alert chosen_cert_arn chosen_cert_serial tls_cipher tls_protocol tls_named_group
/// domain_name alpn_fe_protocol alpn_be_protocol "alpn","client","preferences"
/// tls_connection_creation_time`
pub(super) fn network<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    columns.set(fields::aws::elb::NAME, event)?;
    columns.set(fields::aws::elb::LISTENER, event);
    columns.set_peer(SOURCE, event);
    columns.set_peer(DESTINATION, event);
    let span = columns.set_span(fields::aws::elb::connection_time::MS, event);
    columns.set_span(fields::aws::elb::tls_handshake_time::MS, event);
    columns.set_count(fields::source::BYTES, event);
    columns.set_count(fields::destination::BYTES, event);
    set_protocol("tcp", event);
    columns.set(fields::aws::elb::INCOMING_TLS_ALERT, event);
    if let Some(arn) = columns.set(fields::aws::elb::chosen_cert::ARN, event) {
        set_cloud(arn, event);
    }
    columns.set(fields::aws::elb::chosen_cert::SERIAL, event);
    cipher(columns, event);
    tls_version(columns, event);
    columns.set(fields::tls::CURVE, event);
    set_domain(columns, event);
    columns.set(fields::tls::NEXT_PROTOCOL, event);
    columns.set(fields::aws::elb::alpn::BACKEND_PROTOCOL, event);
    columns.set_list(fields::aws::elb::alpn::CLIENT_PREFERENCES, "\",\"", event);
    set_start(columns, event);
    set_duration(span.map(|ms| ms / 1e3), event);
    set_related(event);
    Some(())
}

/// `client_ip client_port listener_port tls_protocol tls_cipher tls_handshake_latency
/// "leaf_client_cert_subject" leaf_client_cert_validity leaf_client_cert_serial_number
/// tls_verify_status conn_trace_id tls_keyexchange`
pub(super) fn connection<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    columns.set_peer(SOURCE, event);
    columns.set_count(fields::source::PORT, event);
    if let Some(port) = columns.set(fields::aws::elb::LISTENER, event)
        && let Ok(port) = port.parse::<u16>()
    {
        event.set(fields::destination::PORT, port);
    }
    set_protocol("tcp", event);
    tls_version(columns, event);
    cipher(columns, event);
    // In seconds, where network load balancers write milliseconds.
    if let Some(seconds) = columns.set_span(fields::aws::elb::tls_handshake_time::MS, event) {
        let micros = (seconds * 1e6).round();
        event.set(fields::aws::elb::tls_handshake_time::MS, micros / 1e3);
    }
    columns.set(fields::tls::client::SUBJECT, event);
    validity(columns, event);
    columns.set(fields::aws::elb::client_cert::SERIAL, event);
    if let Some(status) = columns.set(fields::aws::elb::TLS_VERIFY_STATUS, event) {
        let verified = status == "Success";
        event.set(fields::event::OUTCOME, if verified { "success" } else { "failure" });
        event.set(fields::tls::ESTABLISHED, verified);
        if let Some(reason) = status.strip_prefix("Failed:") {
            event.set(fields::error::CODE, reason);
        }
    }
    columns.set(fields::aws::elb::CONN_TRACE_ID, event);
    columns.set(fields::aws::elb::TLS_KEY_EXCHANGE, event);
    set_related(event);
    Some(())
}

/// Whether an entry is of a health check: its sixth column says how that went.
pub(super) fn is_health(line: &str) -> bool {
    matches!(Columns::new(line).nth(5), Some("PASS" | "FAIL"))
}

/// `latency target_addr target_group_id status status_code reason_code`. The line is kept as
/// message too, since not all of it is in fields.
pub(super) fn health<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    event.set(fields::event::CATEGORY, "network");
    event.set(fields::event::TYPE, "info");
    let span = columns.set_span(fields::aws::elb::backend_processing_time::SEC, event);
    set_duration(span, event);
    columns.set_backend(event);
    columns.next();
    let passed = columns.next()? == "PASS";
    event.set(fields::event::OUTCOME, if passed { "success" } else { "failure" });
    columns.set_count(fields::aws::elb::backend::http::response::STATUS_CODE, event);
    if let Some(reason) = columns.set(fields::aws::elb::error::REASON, event) {
        event.set(fields::error::CODE, reason);
    }
    set_related(event);
    None
}

/// What both begin with, behind the time; the seconds that they took. `None` where the line ends
/// before the request.
fn head<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<Option<f64>> {
    columns.set(fields::aws::elb::NAME, event)?;
    columns.set_peer(SOURCE, event);
    columns.set_backend(event);
    let spans = spans(columns, event);
    exchange(columns, event)?;
    agent_and_tls(columns, event);
    Some(spans)
}

/// The three processing times; their sum in seconds if all were taken.
fn spans<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<f64> {
    let request = columns.set_span(fields::aws::elb::request_processing_time::SEC, event);
    let backend = columns.set_span(fields::aws::elb::backend_processing_time::SEC, event);
    let response = columns.set_span(fields::aws::elb::response_processing_time::SEC, event);
    Some(request? + backend? + response?)
}

/// Statuses, bytes and request. Without a status it is a TCP connection, whose request is dashes.
fn exchange<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<()> {
    let status = columns.set_count(fields::http::response::STATUS_CODE, event);
    columns.set_count(fields::aws::elb::backend::http::response::STATUS_CODE, event);
    let is_http = status.is_some() || event.has(fields::aws::elb::TYPE);
    let (received, sent) = match is_http {
        true => (fields::http::request::body::BYTES, fields::http::response::body::BYTES),
        false => (fields::source::BYTES, fields::destination::BYTES),
    };
    columns.set_count(received, event);
    columns.set_count(sent, event);
    set_protocol(if is_http { "http" } else { "tcp" }, event);
    match status {
        // 000 says that there was no answer.
        Some(0) => {
            event.remove(fields::http::response::STATUS_CODE);
            event.null_removed(fields::http::response::STATUS_CODE);
        }
        Some(status) => clf::set_outcome(status, event),
        None => {}
    }
    request::set(columns.request()?, event);
    Some(())
}

fn agent_and_tls<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) {
    if let Some(agent) = columns.agent() {
        event.set_clean(fields::user_agent::ORIGINAL, agent);
    }
    cipher(columns, event);
    tls_version(columns, event);
}

fn cipher<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) {
    if let Some(cipher) = columns.set(fields::aws::elb::SSL_CIPHER, event) {
        event.set(fields::tls::CIPHER, cipher);
    }
}

/// `TLSv1.2`, or `tlsv12` of a network load balancer.
fn tls_version<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) {
    let Some(text) = columns.set(fields::aws::elb::SSL_PROTOCOL, event) else { return };
    let Some((protocol, version)) = text.split_once(['v', 'V']) else { return };
    if !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return;
    }
    let protocol = event.lower_case(protocol);
    event.set(fields::tls::VERSION_PROTOCOL, protocol);
    let version = match version.as_bytes() {
        [major, minor] => event.format(format_args!("{}.{}", *major as char, *minor as char)),
        [_] => event.format(format_args!("{version}.0")),
        _ => version,
    };
    event.set(fields::tls::VERSION, version);
}

/// The host name that the client asked for while TLS was set up.
fn set_domain<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) {
    if let Some(domain) = columns.set(fields::destination::DOMAIN, event) {
        event.set(fields::tls::client::SERVER_NAME, domain);
        event.set_if_absent(fields::destination::ADDRESS, domain);
    }
}

/// `NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z`
fn validity<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) {
    let Some(text) = columns.text(fields::tls::client::NOT_BEFORE, event) else { return };
    for part in text.split(';') {
        let (field, time) = match part.trim().split_on_byte(b'=') {
            Some(("NotBefore", time)) => (fields::tls::client::NOT_BEFORE, time),
            Some(("NotAfter", time)) => (fields::tls::client::NOT_AFTER, time),
            _ => continue,
        };
        if let Some(stamp) = parser::stamp(time.as_bytes()) {
            event.set_time(field, stamp);
        }
    }
}

fn set_protocol(protocol: &'static str, event: &mut Event<'_>) {
    let is_http = protocol == "http";
    event.set(fields::aws::elb::PROTOCOL, protocol);
    event.set(fields::event::CATEGORY, if is_http { "web" } else { "network" });
    event.set(fields::event::TYPE, if is_http { "access" } else { "connection" });
}

/// Account and region of the load balancer, which its target groups and certificates share:
/// `arn:aws:service:region:account:…`.
fn set_cloud<'a>(arn: &'a str, event: &mut Event<'a>) {
    let mut parts = arn.split(':').skip(3);
    for field in [fields::cloud::REGION, fields::cloud::account::ID] {
        if let Some(part) = parts.next().filter(|part| !part.is_empty()) {
            event.set(field, part);
        }
    }
}

fn set_start<'a>(columns: &mut Columns<'a>, event: &mut Event<'a>) -> Option<Stamp> {
    let text = columns.text(fields::event::START, event)?;
    let stamp = parser::stamp(text.as_bytes())?;
    event.set_time(fields::event::START, stamp);
    Some(stamp)
}

fn seconds_between(start: Stamp, end: Stamp) -> f64 {
    let nanos = f64::from(end.nanos) - f64::from(start.nanos);
    (end.local_s - start.local_s) as f64 + nanos / NANOS
}

fn set_duration(seconds: Option<f64>, event: &mut Event<'_>) {
    if let Some(seconds) = seconds.filter(|seconds| *seconds >= 0.0) {
        event.set(fields::event::DURATION, (seconds * NANOS).round() as u64);
    }
}

fn set_related<'a>(event: &mut Event<'a>) {
    let mut ips = event.list::<&'a str>();
    let ends: [Field; 3] =
        [fields::source::IP, fields::destination::IP, fields::aws::elb::backend::IP];
    ips.extend(ends.into_iter().filter_map(|field| event.get_str(field)));
    if !ips.is_empty() {
        event.set(fields::related::IP, ips.into_bump_slice());
    }
}
