//! `/metrics` in Prometheus' text format, `/healthz` while the process lives, `/readyz` while what it
//! depends on answers, and `POST /poll`, which has polled tables read now.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::Args;
use serde_json::{Map, Value};

use super::Measure;

/// What a service shows of itself.
pub trait Health: Send + Sync + 'static {
    /// Appends metrics in Prometheus' text format.
    fn metrics(&self, out: &mut String);
    /// Why it is not ready, if it is not. May block while it asks what it depends on.
    fn not_ready(&self) -> Option<String>;
    /// What it measures for CloudWatch, by the names of the metrics there.
    fn measures(&self) -> Vec<(&'static str, Measure)> {
        Vec::new()
    }
    /// What it says of its parts in the log: fields of `tahoe.service`, counts as totals since the
    /// start.
    fn measured(&self) -> Vec<Map<String, Value>> {
        Vec::new()
    }
    /// The same of what it depends on. May block while it asks it.
    fn measured_around(&self) -> Vec<Map<String, Value>> {
        Vec::new()
    }
    /// Asks for polled tables to be read now; false if there are none.
    fn poll(&self) -> bool {
        false
    }
}

/// Whether a service can be asked how it is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Process")]
pub struct ServeArgs {
    /// Serve /metrics, /healthz and /readyz here; not served unless set
    #[arg(long, env = "TAHOE_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
}

impl ServeArgs {
    /// Takes the address, if there is one, for [`serve`].
    ///
    /// # Errors
    /// Names `--metrics` when the address cannot be had.
    pub fn listen(&self) -> Result<Option<TcpListener>, String> {
        let Some(address) = self.metrics else { return Ok(None) };
        let listener = TcpListener::bind(address);
        listener.map(Some).map_err(|error| format!("--metrics {address}: {error}"))
    }
}

/// Serves on `listener` until the runtime ends. Must be called on a runtime.
///
/// # Errors
/// Names `--metrics` when the system refuses what serving needs.
pub fn serve(listener: &TcpListener, health: Arc<dyn Health>) -> Result<(), String> {
    let listener = listener.try_clone().and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    });
    let listener = listener.map_err(|error| format!("--metrics: {error}"))?;
    let (metrics, ready, polled) = (Arc::clone(&health), Arc::clone(&health), health);
    let app = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route(
            "/metrics",
            get(move || {
                let mut out = String::new();
                metrics.metrics(&mut out);
                async move { ([("content-type", "text/plain; version=0.0.4")], out) }
            }),
        )
        .route(
            "/poll",
            post(move || {
                let asked = polled.poll();
                async move {
                    match asked {
                        true => (StatusCode::ACCEPTED, "asked for\n"),
                        false => (StatusCode::NOT_FOUND, "nothing is polled here\n"),
                    }
                }
            }),
        )
        .route(
            "/readyz",
            get(move || {
                let ready = Arc::clone(&ready);
                async move {
                    // It may have to ask a server first.
                    let why = tokio::task::spawn_blocking(move || ready.not_ready()).await;
                    match why.unwrap_or_else(|defect| Some(defect.to_string())) {
                        None => (StatusCode::OK, "ready\n".to_owned()),
                        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
                    }
                }
            }),
        );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(())
}

/// Appends one metric with its type and help.
pub fn metric<V: std::fmt::Display>(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: &[(String, V)],
) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in values {
        let _ = writeln!(out, "{name}{{{labels}}} {value}");
    }
}

/// Asks `http://ADDRESS/PATH` and says whether the answer was 200: a health check without curl.
///
/// # Errors
/// A sentence with the answer, or why there was none.
pub fn probe(url: &str) -> Result<(), String> {
    let fail = |what: String| format!("--probe {url}: {what}");
    let rest = url.strip_prefix("http://").ok_or_else(|| fail("not an http:// address".into()))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let io = |error: std::io::Error| fail(error.to_string());
    let mut stream = TcpStream::connect(host).map_err(io)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(io)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
        .map_err(io)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(io)?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(fail(answer.lines().last().unwrap_or("no answer").to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unready;

    impl Health for Unready {
        fn metrics(&self, out: &mut String) {
            metric(out, "tahoe_records_read_total", "counter", "Read.", &[("a=\"b\"".into(), 7)]);
        }
        fn not_ready(&self) -> Option<String> {
            Some("kafka does not answer".into())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_probe_tells_ready_from_not_ready_by_the_same_server() {
        let listen =
            |port| ServeArgs { metrics: Some(SocketAddr::from(([127, 0, 0, 1], port))) }.listen();
        let listener = listen(0).expect("a free port").expect("it is set");
        let address = listener.local_addr().expect("bound");
        let taken = listen(address.port()).expect_err("it is taken");
        assert!(taken.starts_with(&format!("--metrics {address}: ")), "{taken}");
        serve(&listener, Arc::new(Unready)).expect("served");
        let ask = |path: &'static str| {
            tokio::task::spawn_blocking(move || probe(&format!("http://{address}/{path}")))
        };
        assert_eq!(ask("healthz").await.expect("no panic"), Ok(()));
        assert_eq!(ask("metrics").await.expect("no panic"), Ok(()));
        let error = ask("readyz").await.expect("no panic").expect_err("not ready");
        assert!(error.contains("kafka does not answer"), "{error}");
    }
}
