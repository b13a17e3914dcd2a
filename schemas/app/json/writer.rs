//! What wrote an object, where its keys say it: they mean something only together.

use super::keys::{MILLISECONDS, Role, SECONDS};
use crate::fields;
use crate::rules::Unit;
use crate::scan::Entry;

/// Keys that say it, each a bit.
mod key {
    pub const TEXT: u32 = 1;
    pub const RECORD: u32 = 1 << 1;
    pub const TARGET: u32 = 1 << 2;
    pub const FIELDS: u32 = 1 << 3;
    pub const L: u32 = 1 << 4;
    pub const T: u32 = 1 << 5;
    pub const M: u32 = 1 << 6;
    pub const LOG_LEVEL: u32 = 1 << 7;
    pub const EVENT_ID: u32 = 1 << 8;
    pub const REMOTE_ADDR: u32 = 1 << 9;
    /// Another of nginx's variables.
    pub const VARIABLE: u32 = 1 << 10;
    pub const REQUEST: u32 = 1 << 11;
    /// Of Caddy: headers of a response, or where it failed.
    pub const ANSWER: u32 = 1 << 12;
    pub const REQUEST_METHOD: u32 = 1 << 13;
    pub const DOWNSTREAM_STATUS: u32 = 1 << 14;
    pub const LEVELNAME: u32 = 1 << 15;
    pub const HOSTNAME: u32 = 1 << 16;
    pub const PID: u32 = 1 << 17;
    pub const CLEF_TIME: u32 = 1 << 18;
    pub const ECS: u32 = 1 << 19;
    pub const FORMATTED_MESSAGE: u32 = 1 << 20;
    pub const SPANS: u32 = 1 << 21;
    pub const CHANNEL: u32 = 1 << 22;
    pub const LEVEL_NAME: u32 = 1 << 23;
    pub const CONTEXT: u32 = 1 << 24;
    pub const RESPONSE_CODE: u32 = 1 << 25;
    pub const RESPONSE_FLAGS: u32 = 1 << 26;
    pub const START_TIME: u32 = 1 << 27;
    pub const TIMESTAMP_SECONDS: u32 = 1 << 28;
    pub const REMOTE_IP: u32 = 1 << 29;
    pub const USER_AGENT: u32 = 1 << 30;

    pub fn of(key: &[u8]) -> u32 {
        match key {
            b"text" => TEXT,
            b"record" => RECORD,
            b"target" => TARGET,
            b"fields" => FIELDS,
            b"L" => L,
            b"T" => T,
            b"M" => M,
            b"LogLevel" => LOG_LEVEL,
            b"EventId" => EVENT_ID,
            b"remote_addr" => REMOTE_ADDR,
            b"time_local" | b"time_iso8601" | b"msec" | b"body_bytes_sent" | b"bytes_sent"
            | b"http_user_agent" => VARIABLE,
            b"remoteIP" => REMOTE_IP,
            b"userAgent" => USER_AGENT,
            b"request" => REQUEST,
            b"resp_headers" | b"err_trace" => ANSWER,
            b"RequestMethod" => REQUEST_METHOD,
            b"DownstreamStatus" => DOWNSTREAM_STATUS,
            b"levelname" => LEVELNAME,
            b"hostname" => HOSTNAME,
            b"pid" => PID,
            b"@t" => CLEF_TIME,
            b"ecs.version" | b"ecs" => ECS,
            b"formattedMessage" => FORMATTED_MESSAGE,
            b"spans" | b"span" => SPANS,
            b"channel" => CHANNEL,
            b"level_name" => LEVEL_NAME,
            b"context" => CONTEXT,
            b"response_code" => RESPONSE_CODE,
            b"response_flags" => RESPONSE_FLAGS,
            b"start_time" => START_TIME,
            b"timestampSeconds" => TIMESTAMP_SECONDS,
            _ => 0,
        }
    }
}

/// Who wrote it, where its keys have roles that others' do not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Python's: a text and a `record`.
    Loguru,
    /// Rust's.
    Tracing,
    /// Go's, as it is set up for development.
    Zap,
    /// .NET's console.
    DotNet,
    /// PHP's.
    Monolog,
    /// One whose keys are mostly named as its variables.
    WebServer,
    /// Of a request that it answered or failed to.
    Caddy,
    /// Of a request.
    Traefik,
    /// Of a request or a connection; Istio's too.
    Envoy,
}

/// Keys that only they write together.
const KINDS: [(u32, Kind); 13] = [
    (key::TEXT | key::RECORD, Kind::Loguru),
    (key::TARGET | key::FIELDS, Kind::Tracing),
    (key::TARGET | key::SPANS, Kind::Tracing),
    (key::L | key::T | key::M, Kind::Zap),
    (key::LOG_LEVEL | key::EVENT_ID, Kind::DotNet),
    (key::CHANNEL | key::LEVEL_NAME | key::CONTEXT, Kind::Monolog),
    (key::REMOTE_ADDR | key::VARIABLE, Kind::WebServer),
    // As formats for Apache that many copied have it.
    (key::REMOTE_IP | key::USER_AGENT, Kind::WebServer),
    (key::REQUEST | key::ANSWER, Kind::Caddy),
    (key::REQUEST_METHOD | key::DOWNSTREAM_STATUS, Kind::Traefik),
    (key::RESPONSE_CODE | key::RESPONSE_FLAGS, Kind::Envoy),
    (key::RESPONSE_CODE | key::START_TIME, Kind::Envoy),
    (key::RESPONSE_FLAGS | key::START_TIME, Kind::Envoy),
];

/// The keys that an object has, as far as they say who wrote it.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    keys: u32,
    kind: Option<Kind>,
}

impl Writer {
    pub fn of(object: &[Entry<'_>]) -> Self {
        let keys = object.iter().fold(0, |all, entry| all | key::of(entry.key));
        let kind = KINDS.iter().find(|(needed, _)| keys & needed == *needed);
        Self { keys, kind: kind.map(|(_, kind)| *kind) }
    }

    /// The same where it is known to be a web server.
    pub fn of_web_server(object: &[Entry<'_>]) -> Self {
        let found = Self::of(object);
        Self { kind: found.kind.or(Some(Kind::WebServer)), ..found }
    }

    fn has(self, keys: u32) -> bool {
        self.keys & keys == keys
    }

    /// ecs-logging, whose keys are fields.
    pub fn is_ecs(self) -> bool {
        self.has(key::ECS)
    }

    /// Serilog's CLEF.
    pub fn is_clef(self) -> bool {
        self.has(key::CLEF_TIME)
    }

    /// logback, whose other message is the pattern that this one was made of.
    pub fn is_logback(self) -> bool {
        self.has(key::FORMATTED_MESSAGE)
    }

    /// bunyan, pino or Python, where `name` is the logger's.
    pub fn names_logger(self) -> bool {
        self.has(key::LEVELNAME) || self.has(key::HOSTNAME | key::PID)
    }

    /// Google Cloud's agent, of which a time may be two keys.
    pub fn splits_time(self) -> bool {
        self.has(key::TIMESTAMP_SECONDS)
    }

    /// Whether it is a web server that tells of a request.
    pub fn is_server(self) -> bool {
        use Kind::{Caddy, Envoy, Traefik, WebServer};
        matches!(self.kind, Some(WebServer | Caddy | Traefik | Envoy))
    }

    pub fn is_envoy(self) -> bool {
        self.kind == Some(Kind::Envoy)
    }

    /// The role of a key, which is known only because of the others.
    pub fn role(self, key: &[u8]) -> Option<Role> {
        let logger = Role::Text(fields::log::LOGGER);
        Some(match (self.kind?, key) {
            (Kind::Loguru, b"record") => Role::Inside("record"),
            (Kind::Tracing, b"fields") => Role::Inside("fields"),
            (Kind::Tracing, b"target") => logger,
            (Kind::Tracing, b"line_number") => Role::Number(fields::log::origin::file::LINE),
            // Its `id` is a field of the span's own.
            (Kind::Tracing, b"span") => Role::Own,
            (Kind::Zap, b"L") => Role::Level,
            (Kind::Zap, b"T") => Role::Time,
            (Kind::Zap, b"M") => Role::Message,
            (Kind::Zap, b"N") => logger,
            (Kind::Zap, b"C") => Role::Caller,
            (Kind::Zap, b"S") => Role::Stack,
            (Kind::DotNet, b"Category") => logger,
            (Kind::Monolog, b"context") => Role::Inside("context"),
            (Kind::WebServer, key) => return of_web_server(key),
            (Kind::Caddy, key) => return of_caddy(key),
            (Kind::Traefik, key) => return of_traefik(key),
            (Kind::Envoy, key) => return of_envoy(key),
            _ => return None,
        })
    }
}

fn of_web_server(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"request" => Role::Request,
        b"request_time" => SECONDS,
        b"request_length" => Role::Number(fields::http::request::BYTES),
        b"body_bytes_sent" => Role::Number(fields::http::response::body::BYTES),
        b"bytes_sent" => Role::Number(fields::http::response::BYTES),
        b"http_referrer" => Role::Text(fields::http::request::REFERRER),
        b"remote_user" => Role::Text(fields::user::NAME),
        b"http_host" | b"host" => Role::Host,
        b"msec" => Role::Time,
        b"remoteIP" | b"clientip" => Role::Client,
        b"server_addr" => Role::Server,
        b"server_port" => Role::Number(fields::destination::PORT),
        b"server_protocol" => Role::Protocol,
        b"scheme" => Role::Text(fields::url::SCHEME),
        b"http_x_forwarded_for" | b"x_forwarded_for" | b"xff" => Role::ForwardedFor,
        b"referer" | b"referrer" => Role::Text(fields::http::request::REFERRER),
        b"agent" => Role::Text(fields::user_agent::ORIGINAL),
        _ => return None,
    })
}

/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>,
/// <https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format>
fn of_envoy(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"start_time" => Role::Time,
        b"response_code" => Role::Status,
        b"authority" => Role::Host,
        b"protocol" => Role::Protocol,
        b"bytes_received" => Role::Number(fields::http::request::body::BYTES),
        b"bytes_sent" => Role::Number(fields::http::response::body::BYTES),
        b"duration" => MILLISECONDS,
        b"downstream_remote_address" => Role::Client,
        b"downstream_local_address" => Role::Server,
        b"requested_server_name" => Role::Text(fields::tls::client::SERVER_NAME),
        b"x_forwarded_for" => Role::ForwardedFor,
        _ => return None,
    })
}

/// <https://caddyserver.com/docs/caddyfile/directives/log>
fn of_caddy(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"request" => Role::Inside("request"),
        b"bytes_read" => Role::Number(fields::http::request::body::BYTES),
        b"size" => Role::Number(fields::http::response::body::BYTES),
        b"duration" => SECONDS,
        _ => return None,
    })
}

/// <https://doc.traefik.io/traefik/observability/access-logs/>
fn of_traefik(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"StartUTC" => Role::Time,
        b"ClientHost" => Role::Client,
        b"ClientPort" => Role::Number(fields::source::PORT),
        b"ClientUsername" => Role::Text(fields::user::NAME),
        b"RequestMethod" => Role::Method,
        b"RequestScheme" => Role::Text(fields::url::SCHEME),
        b"RequestHost" => Role::Host,
        b"RequestPath" => Role::Url,
        b"RequestProtocol" => Role::Protocol,
        b"RequestContentSize" => Role::Number(fields::http::request::body::BYTES),
        b"DownstreamStatus" => Role::Status,
        b"DownstreamContentSize" => Role::Number(fields::http::response::body::BYTES),
        b"Duration" => Role::Duration(Unit::Nanoseconds(1)),
        b"request_User-Agent" => Role::Text(fields::user_agent::ORIGINAL),
        b"request_Referer" => Role::Text(fields::http::request::REFERRER),
        _ => return None,
    })
}
