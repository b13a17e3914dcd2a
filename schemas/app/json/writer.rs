//! What wrote an object, where its keys say it: they mean something only together.

use super::keys::{Role, SECONDS};
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
            _ => 0,
        }
    }
}

/// The keys that an object has, as far as they say who wrote it.
#[derive(Clone, Copy)]
pub(super) struct Writer(u32);

impl Writer {
    pub fn of(object: &[Entry<'_>]) -> Self {
        Self(object.iter().fold(0, |all, entry| all | key::of(entry.key)))
    }

    fn has(self, keys: u32) -> bool {
        self.0 & keys == keys
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

    /// Python's loguru: a text and a `record`.
    fn is_loguru(self) -> bool {
        self.has(key::TEXT | key::RECORD)
    }

    /// Rust's tracing: `fields` and `target`.
    fn is_tracing(self) -> bool {
        self.has(key::TARGET | key::FIELDS)
    }

    /// Go's zap as it is set up for development.
    fn is_zap(self) -> bool {
        self.has(key::L | key::T | key::M)
    }

    /// .NET's console.
    fn is_dotnet(self) -> bool {
        self.has(key::LOG_LEVEL | key::EVENT_ID)
    }

    /// A web server that writes JSON, whose keys are mostly named as its variables.
    fn is_web_server(self) -> bool {
        self.has(key::REMOTE_ADDR | key::VARIABLE)
    }

    /// Caddy, of a request that it answered or failed to.
    fn is_caddy(self) -> bool {
        self.has(key::REQUEST | key::ANSWER)
    }

    /// Traefik, of a request.
    fn is_traefik(self) -> bool {
        self.has(key::REQUEST_METHOD | key::DOWNSTREAM_STATUS)
    }

    /// Whether it is a web server that tells of a request.
    pub fn is_server(self) -> bool {
        self.is_web_server() || self.is_caddy() || self.is_traefik()
    }

    /// The role of a key, which is known only because of the others.
    pub fn role(self, key: &[u8]) -> Option<Role> {
        let logger = Role::Text(fields::log::LOGGER);
        Some(match key {
            b"record" if self.is_loguru() => Role::Inside("record"),
            b"fields" if self.is_tracing() => Role::Inside("fields"),
            b"target" if self.is_tracing() => logger,
            b"L" if self.is_zap() => Role::Level,
            b"T" if self.is_zap() => Role::Time,
            b"M" if self.is_zap() => Role::Message,
            b"N" if self.is_zap() => logger,
            b"C" if self.is_zap() => Role::Caller,
            b"S" if self.is_zap() => Role::Stack,
            b"Category" if self.is_dotnet() => logger,
            key if self.is_web_server() => return of_web_server(key),
            key if self.is_caddy() => return of_caddy(key),
            key if self.is_traefik() => return of_traefik(key),
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
        b"http_host" => Role::Host,
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
