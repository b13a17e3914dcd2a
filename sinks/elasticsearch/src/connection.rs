//! One request and its answer: which failures mean "again", and which need a person.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{MultiNodeConnectionPool, Transport, TransportBuilder};
use serde::Deserialize;
use tahoe_seams::SinkError;
use tracing::debug;

use crate::{AccessArgs, Address};

/// Longest reason of the server's that is passed on: it quotes field values, which may be long.
const REASON_CHARS_MAX: usize = 500;

/// Between two looks whether the server is busy no more.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The cluster's nodes, taken in turn.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    timeout: Duration,
    nodes: usize,
    setting: &'static str,
    /// Addresses as messages name them, without user and password.
    pub(crate) names: String,
}

/// What the server answered, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Connection {
    /// `setting` names the addresses in messages.
    pub(crate) fn new(
        addresses: &[Address],
        args: &AccessArgs,
        setting: &'static str,
    ) -> Result<Self, SinkError> {
        let refused = |text| SinkError::Refused(text, None);
        if addresses.is_empty() {
            return Err(refused("no address: set --elasticsearch or ELASTICSEARCH_URL".to_owned()));
        }
        let urls = addresses.iter().map(crate::Address::bare).collect();
        let pool = MultiNodeConnectionPool::round_robin(urls, None);
        let mut builder = TransportBuilder::new(pool).enable_meta_header(false);
        if let Some(credentials) = args.credentials(addresses).map_err(refused)? {
            builder = builder.auth(credentials);
        }
        if let Some(path) = &args.elastic_ca_file {
            let name = path.display();
            let unreadable = |error| {
                SinkError::Refused(
                    format!("--elastic-ca-file: cannot read {name}"),
                    Some(Box::new(error)),
                )
            };
            let pem = std::fs::read(path).map_err(unreadable)?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| {
                let text = format!("--elastic-ca-file: {name} holds no PEM certificate");
                SinkError::Refused(text, Some(Box::new(error)))
            })?;
            builder = builder.cert_validation(CertificateValidation::Full(certificate));
        }
        let transport = builder.build().map_err(|error| {
            SinkError::Refused(format!("{setting}: no client"), Some(Box::new(error)))
        })?;
        let names: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let nodes = names.len();
        let (timeout, names) = (args.timeout(), names.join(","));
        Ok(Self { transport, timeout, nodes, setting, names })
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends JSON, or lines of it. `path` has its query in it.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        let mut headers = HeaderMap::new();
        if path.starts_with("_bulk") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        }
        self.send_as(method, path, headers, body).await
    }

    /// The same, again while the server answers 503: shards of a data stream that was made just now
    /// are missing for some tens of milliseconds, and a master with much to do takes no task. Only
    /// for what may be asked twice.
    pub(crate) async fn send_within(
        &self,
        within: Duration,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.send(method, path, body.clone()).await?;
            if answer.status != 503 || Instant::now() >= deadline {
                return Ok(answer);
            }
            debug!(path, reason = answer.reason(), "the server is busy, it is asked again");
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }

    /// The same as [`Connection::send`] with headers of the request's own.
    pub(crate) async fn send_as(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        // Compressed answers would cost both sides more than they save: a bulk answer is filtered.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut attempts_left = self.nodes;
        loop {
            attempts_left -= 1;
            match self.send_once(method, path, headers.clone(), body.clone()).await {
                Ok(answer) => return Ok(answer),
                // Nothing was sent, so the next node may be asked without doubt.
                Err(error) if attempts_left > 0 && is_unsent(&error) => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, elasticsearch::Error> {
        // The typed calls of `elasticsearch` 9 are not used: its `Bulk` copies the body line by
        // line, and its answers parse into a `Value`. Transport takes a body as it is.
        let query = None::<&()>;
        let timeout = Some(self.timeout);
        let response = self.transport.send(method, path, headers, query, body, timeout).await?;
        let status = response.status_code().as_u16();
        Ok(Answer { status, body: response.bytes().await? })
    }

    fn failure(&self, error: elasticsearch::Error) -> SinkError {
        let names = &self.names;
        let causes = causes(&error);
        // rustls says so for every certificate that it does not trust, and only there.
        if causes.contains("invalid peer certificate") {
            let text = format!(
                "the certificate of {names} is not trusted: name its authority with \
                 --elastic-ca-file, or renew it ({causes})"
            );
            return SinkError::Refused(text, None);
        }
        let text = if error.is_timeout() {
            let seconds = self.timeout.as_secs();
            format!("no answer from {names} within {seconds} s (--elastic-timeout-seconds)")
        } else {
            format!("no answer from {names} ({}): {causes}", self.setting)
        };
        // Its causes have been said.
        SinkError::Unavailable(text, None)
    }

    /// Sends JSON, and takes nothing but success for an answer. `doing` names what is asked for.
    pub(crate) async fn ask(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        let answer = self.send(method, path, body).await?;
        self.succeeded(doing, answer)
    }

    /// The answer, if it is success.
    pub(crate) fn succeeded(&self, doing: &str, answer: Answer) -> Result<Answer, SinkError> {
        match answer.is_success() {
            true => Ok(answer),
            false => Err(self.refusal(doing, &answer)),
        }
    }

    /// The error that an answer other than success is.
    pub(crate) fn refusal(&self, doing: &str, answer: &Answer) -> SinkError {
        let names = &self.names;
        let status = answer.status;
        let reason = answer.reason();
        match status {
            401 => SinkError::Refused(
                format!(
                    "{names} refused the login while {doing}: check ELASTIC_PASSWORD with \
                     --elastic-username, or ELASTIC_API_KEY"
                ),
                None,
            ),
            403 if reason.contains("blocked by: [") => SinkError::Refused(
                format!(
                    "{names}: {doing}: {reason}: lift the block (cluster.blocks, index.blocks)"
                ),
                None,
            ),
            403 => SinkError::Refused(
                format!(
                    "{names} did not allow {doing}: give the user of ELASTIC_PASSWORD or \
                     ELASTIC_API_KEY the privilege ({reason})"
                ),
                None,
            ),
            408 | 429 | 500.. => {
                SinkError::Unavailable(format!("{names}: {doing}: {status} {reason}"), None)
            }
            _ => SinkError::Refused(
                format!("{names}: {doing}: {status} {reason}: is {} right?", self.setting),
                None,
            ),
        }
    }
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON. Another body with a good status means that this is no Elasticsearch, or
    /// that the connection was cut: the fate of the request is unknown.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SinkError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            SinkError::Unavailable(
                format!("the answer is not Elasticsearch's ({error}): is --elasticsearch right?"),
                None,
            )
        })
    }

    /// The error's types and reasons, outermost first, on one line and not too long.
    pub(crate) fn reason(&self) -> String {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(&self.body) else {
            return clipped(&String::from_utf8_lossy(&self.body));
        };
        let mut reasons: Vec<&str> = Vec::new();
        let mut error = &body["error"];
        if let Some(text) = error.as_str() {
            reasons.push(text);
        }
        while error.is_object() {
            for text in [&error["type"], &error["reason"]] {
                reasons.extend(text.as_str().filter(|text| !reasons.contains(text)));
            }
            // A failed search hides the cause in its first shard.
            let nested = &error["failed_shards"][0]["reason"];
            error = if nested.is_object() { nested } else { &error["caused_by"] };
        }
        clipped(&reasons.join(": "))
    }
}

/// At most [`REASON_CHARS_MAX`] characters of `text`, with control characters made visible spaces.
pub(crate) fn clipped(text: &str) -> String {
    let visible = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = visible.take(REASON_CHARS_MAX).collect();
    if text.trim().chars().nth(REASON_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The connection was never made. Only what the system says itself counts.
fn is_unsent(error: &elasticsearch::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The innermost causes say what happened; the outer ones only that something did.
fn causes(error: &elasticsearch::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        source = cause.source();
    }
    let from = texts.len().saturating_sub(2);
    clipped(&texts[from..].join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_every_cause_once_and_stays_short() {
        let body = r#"{"error":{"type":"a","reason":"b","caused_by":{"type":"c","reason":"b"}}}"#;
        let answer = Answer { status: 400, body: Bytes::from(body) };
        assert_eq!(answer.reason(), "a: b: c");
        let page =
            Answer { status: 502, body: Bytes::from(format!("<html>\n{}", "x".repeat(900))) };
        assert_eq!(page.reason().chars().count(), REASON_CHARS_MAX + 1);
    }
}
