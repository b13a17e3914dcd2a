//! What a key stands for.

use crate::rules::Unit;
use crate::{Field, fields};

pub(super) const MILLISECONDS: Role = Role::Duration(Unit::Nanoseconds(1_000_000));
pub(super) const SECONDS: Role = Role::Duration(Unit::Nanoseconds(1_000_000_000));

/// What is done with a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// As text or number, or as seconds and nanoseconds, or PHP's date and zone, in an object.
    Time,
    Level,
    /// Python's numbers, which differ from those of JavaScript.
    PythonLevel,
    /// OpenTelemetry's numbers, which differ from both.
    TelemetryLevel,
    Message,
    /// Text about what failed, or an object.
    Error,
    /// The error's text with its stack.
    Stack,
    /// `file:line`
    Caller,
    /// Text with a field of its own.
    Text(Field),
    /// A whole number with a field of its own.
    Number(Field),
    /// What it took, as a number of that unit.
    Duration(Unit),
    /// What it took, as a text that names its unit.
    Elapsed,
    /// A path or a whole URL.
    Url,
    /// `host[:port]` that was asked for.
    Host,
    /// Who asked, by address or name.
    Client,
    /// Who was asked, by address.
    Server,
    /// A status of HTTP.
    Status,
    /// A method of HTTP.
    Method,
    /// The first line of a request.
    Request,
    /// `HTTP/1.1`
    Protocol,
    /// Who asked a proxy before this server, as far as the server believes it; behind the client.
    Forwarded,
    /// `X-Forwarded-For`: a list of addresses.
    ForwardedFor,
    /// A thread's name, or its number.
    Thread,
    /// A trace's identifier, perhaps behind its project.
    Trace,
    /// An object whose keys count with this name before them.
    Inside(&'static str),
    /// Its writer's own, though it is called like what others mean.
    Own,
}

/// The role of a key that means one thing only.
pub(super) fn role(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"@timestamp"
        | b"timestamp"
        | b"Timestamp"
        | b"TimeStamp"
        | b"time"
        | b"Time"
        | b"ts"
        | b"datetime"
        | b"@t"
        | b"eventTime"
        | b"event_time"
        | b"timeMillis"
        | b"epochMillis"
        | b"time_iso8601"
        | b"time_local"
        | b"log_time"
        | b"logTime"
        | b"timeUnixNano"
        | b"time_unix_nano"
        | b"instant"
        | b"record.time.timestamp" => Role::Time,
        b"level" | b"Level" | b"log.level" | b"log_level" | b"logLevel" | b"loglevel" | b"lvl"
        | b"levelname" | b"level_name" | b"severity" | b"Severity" | b"severityText"
        | b"SeverityText" | b"severity_text" | b"LogLevel" | b"@l" | b"record.level.name" => {
            Role::Level
        }
        b"message" | b"Message" | b"MESSAGE" | b"msg" | b"@m" | b"short_message"
        | b"RenderedMessage" | b"formattedMessage" | b"fields.message" | b"record.message" => {
            Role::Message
        }
        b"logger"
        | b"Logger"
        | b"logger_name"
        | b"loggerName"
        | b"log.logger"
        | b"channel"
        | b"SourceContext"
        | b"Properties.SourceContext"
        | b"record.name"
        | b"_log_logger" => Role::Text(fields::log::LOGGER),
        b"caller" | b"log.origin.caller" => Role::Caller,
        b"funcName"
        | b"log.origin.function"
        | b"source.function"
        | b"src.func"
        | b"record.function" => Role::Text(fields::log::origin::FUNCTION),
        b"pathname"
        | b"log.origin.file.name"
        | b"source.file"
        | b"src.file"
        | b"record.file.path" => Role::Text(fields::log::origin::file::NAME),
        b"lineno" | b"log.origin.file.line" | b"source.line" | b"src.line" | b"record.line" => {
            Role::Number(fields::log::origin::file::LINE)
        }
        _ => {
            return inside(key)
                .or_else(|| failure(key))
                .or_else(|| place(key))
                .or_else(|| request(key));
        }
    })
}

/// Keys of objects whose keys have roles.
fn inside(key: &[u8]) -> Option<Role> {
    Some(Role::Inside(match key {
        b"log" => "log",
        b"source" => "source",
        b"log.origin" => "log.origin",
        b"log.origin.file" => "log.origin.file",
        b"process" => "process",
        b"process.thread" => "process.thread",
        b"service" => "service",
        b"host" => "host",
        b"trace" => "trace",
        b"span" => "span",
        b"transaction" => "transaction",
        b"req" => "req",
        b"req.headers" => "req.headers",
        b"request.headers" => "request.headers",
        b"res" => "res",
        b"src" => "src",
        b"httpRequest" => "httpRequest",
        // Google Cloud's: file, line and function.
        b"logging.googleapis.com/sourceLocation" | b"sourceLocation" => "source",
        b"Properties" => "Properties",
        b"record.time" => "record.time",
        b"record.level" => "record.level",
        b"record.file" => "record.file",
        b"record.process" => "record.process",
        b"record.thread" => "record.thread",
        _ => return None,
    }))
}

/// Keys that tell of an error.
fn failure(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"error" | b"Error" | b"err" | b"exception" | b"Exception" | b"exc" | b"thrown"
        | b"throwable" | b"record.exception" | b"context.exception" => Role::Error,
        b"exc_info"
        | b"stack"
        | b"stack_trace"
        | b"stacktrace"
        | b"stackTrace"
        | b"traceback"
        | b"@x"
        | b"error.stack_trace"
        | b"error.stack"
        | b"error.stacktrace"
        | b"error.stackTrace"
        | b"error.extendedStackTrace"
        | b"error.trace"
        | b"_error_stack_trace"
        | b"exception.stacktrace" => Role::Stack,
        b"error.file" => Role::Caller,
        b"error.message"
        | b"error.msg"
        | b"error.Message"
        | b"error.value"
        | b"errorMessage"
        | b"error.errorMessage"
        | b"_error_message"
        | b"exception.message" => Role::Text(fields::error::MESSAGE),
        b"error.type"
        | b"error.name"
        | b"error.class"
        | b"error.className"
        | b"error.kind"
        | b"error_type"
        | b"errorType"
        | b"error.errorType"
        | b"exception.type"
        | b"error.exceptionType"
        | b"_error_type" => Role::Text(fields::error::TYPE),
        b"error.code" | b"error_code" => Role::Text(fields::error::CODE),
        _ => return None,
    })
}

/// Keys that tell where it happened, and as part of what.
fn place(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"pid" | b"process_id" | b"processId" | b"process.pid" | b"record.process.id"
        | b"_process_pid" => Role::Number(fields::process::PID),
        b"processName" | b"process_name" | b"process.name" | b"record.process.name" => {
            Role::Text(fields::process::NAME)
        }
        b"thread" => Role::Thread,
        b"thread_name"
        | b"threadName"
        | b"_process_thread_name"
        | b"process.thread.name"
        | b"record.thread.name" => Role::Text(fields::process::thread::NAME),
        b"threadId" | b"thread_id" | b"process.thread.id" | b"record.thread.id" => {
            Role::Number(fields::process::thread::ID)
        }
        b"hostname" | b"hostName" | b"host.hostname" | b"host.name" => {
            Role::Text(fields::host::HOSTNAME)
        }
        b"service_name" | b"service.name" => Role::Text(fields::service::NAME),
        b"service_version" | b"service.version" => Role::Text(fields::service::VERSION),
        b"service.environment" => Role::Text(fields::service::ENVIRONMENT),
        b"trace_id" | b"traceId" | b"TraceId" | b"trace.id" | b"dd.trace_id" | b"@tr" => {
            Role::Text(fields::trace::ID)
        }
        b"logging.googleapis.com/trace" => Role::Trace,
        b"span_id"
        | b"spanId"
        | b"SpanId"
        | b"span.id"
        | b"dd.span_id"
        | b"@sp"
        | b"logging.googleapis.com/spanId" => Role::Text(fields::span::ID),
        b"transaction.id" => Role::Text(fields::transaction::ID),
        _ => return None,
    })
}

/// Keys that tell of a request that was answered, as middleware for pino, bunyan, structlog, zap and
/// Django writes them, and Caddy.
fn request(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"req.method" | b"request.method" | b"request_method" | b"http_method"
        | b"requestMethod" => Role::Method,
        b"req.url" | b"request.uri" | b"request_uri" | b"request_path" | b"requestUrl" => Role::Url,
        b"req.headers.host" | b"request.host" => Role::Host,
        b"req.headers.user-agent"
        | b"request.headers.User-Agent"
        | b"user_agent"
        | b"userAgent"
        | b"http_user_agent" => Role::Text(fields::user_agent::ORIGINAL),
        b"req.headers.referer" | b"request.headers.Referer" | b"http_referer" => {
            Role::Text(fields::http::request::REFERRER)
        }
        b"request.proto" => Role::Protocol,
        b"request.client_ip" => Role::Forwarded,
        b"req.id" | b"req_id" | b"reqId" | b"request_id" | b"requestId" => {
            Role::Text(fields::http::request::ID)
        }
        b"req.remoteAddress" | b"request.remote_ip" | b"remote_addr" | b"remote_ip"
        | b"remoteAddress" | b"remoteIp" | b"remoteAddr" | b"client_ip" | b"clientIp" => {
            Role::Client
        }
        b"req.remotePort" | b"request.remote_port" | b"remotePort" | b"remote_port" => {
            Role::Number(fields::source::PORT)
        }
        b"res.statusCode" | b"status_code" | b"statusCode" => Role::Status,
        b"user_id" | b"userId" => Role::Text(fields::user::ID),
        b"username" => Role::Text(fields::user::NAME),
        b"responseTime" | b"duration_ms" | b"durationMs" | b"elapsed_ms" | b"elapsedMs"
        | b"latency_ms" | b"took_ms" | b"response_time_ms" => MILLISECONDS,
        b"duration_ns" | b"durationNs" | b"elapsed_ns" => Role::Duration(Unit::Nanoseconds(1)),
        b"duration_us" | b"durationUs" | b"elapsed_us" => Role::Duration(Unit::Nanoseconds(1_000)),
        b"duration_s" | b"duration_seconds" | b"elapsed_s" | b"elapsed_seconds" => SECONDS,
        _ => return of_cloud(key.strip_prefix(b"httpRequest.")?),
    })
}

/// Google Cloud's request that an entry is about
/// (<https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest>).
fn of_cloud(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"requestMethod" => Role::Method,
        b"requestUrl" => Role::Url,
        b"requestSize" => Role::Number(fields::http::request::BYTES),
        b"status" => Role::Status,
        b"responseSize" => Role::Number(fields::http::response::BYTES),
        b"userAgent" => Role::Text(fields::user_agent::ORIGINAL),
        b"remoteIp" => Role::Client,
        b"serverIp" => Role::Server,
        b"referer" => Role::Text(fields::http::request::REFERRER),
        b"latency" => Role::Elapsed,
        b"protocol" => Role::Protocol,
        _ => return None,
    })
}

/// The role of a key that is also a common word, where nothing else has it.
pub(super) fn common_word(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"date" | b"created" | b"created_at" | b"asctime" | b"t" => Role::Time,
        b"levelno" => Role::PythonLevel,
        b"severityNumber" | b"SeverityNumber" | b"severity_number" => Role::TelemetryLevel,
        b"event" | b"log" | b"text" | b"body" | b"Body" | b"@mt" | b"MessageTemplate"
        | b"full_message" => Role::Message,
        b"func" | b"function" => Role::Text(fields::log::origin::FUNCTION),
        b"file" | b"filename" => Role::Caller,
        b"process" => Role::Number(fields::process::PID),
        b"service" => Role::Text(fields::service::NAME),
        b"host" => Role::Text(fields::host::HOSTNAME),
        b"method" => Role::Method,
        b"url" | b"uri" | b"path" => Role::Url,
        b"ip" => Role::Client,
        b"status" => Role::Status,
        b"duration" | b"elapsed" | b"latency" | b"took" => Role::Elapsed,
        _ => return None,
    })
}
