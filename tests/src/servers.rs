//! The real servers that tests share, and names that no other test uses, so that tests can run side
//! by side and again on the same data.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below the range that the kernel gives to clients, above those of tests/all.
const PORTS: std::ops::Range<u16> = 26_000..32_000;

/// A setting that tests/all makes; without it a test is skipped, unless all are to run.
///
/// # Panics
/// When `TAHOE_TEST_REQUIRED` is 1 and it is not there.
pub fn setting(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let required = std::env::var("TAHOE_TEST_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!required, "{name} is not set, and TAHOE_TEST_REQUIRED=1 asks for it");
        eprintln!("skipped: {name} is not set (tests/all sets it)");
    }
    value
}

/// A name for topics, groups and namespaces that neither another test nor an earlier run uses.
pub fn unique(test: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("e2e_{test}_{}", now.as_nanos())
}

/// A port on 127.0.0.1 that is free for UDP and TCP.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests in other processes begin elsewhere.
    let count = PORTS.end - PORTS.start;
    let first = u16::try_from(std::process::id() * 37 % u32::from(count)).expect("below count");
    loop {
        let port = PORTS.start + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        {
            return port;
        }
    }
}

/// The body of a page that answers with 200; else an error with what it said instead.
///
/// # Errors
/// As curl puts it, with the body if there is one.
pub fn http_get(url: &str) -> Result<String, String> {
    http("GET", url)
}

/// The same of a request that has something done.
///
/// # Errors
/// As [`http_get`].
pub fn http_post(url: &str) -> Result<String, String> {
    http("POST", url)
}

fn http(method: &str, url: &str) -> Result<String, String> {
    let answer = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "10"])
        .args(["--request", method, url])
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    if answer.status.success() {
        return Ok(text);
    }
    Err(text + &String::from_utf8_lossy(&answer.stderr))
}

/// Runs `tests/services` on the servers of this run; only where no other test uses them.
///
/// # Panics
/// When it fails.
pub fn services(arguments: &[&str]) {
    ask_services(arguments);
}

/// What `tests/services` prints.
///
/// # Panics
/// When it fails.
pub fn ask_services(arguments: &[&str]) -> String {
    services_with(arguments, &[])
}

/// The same with further settings.
///
/// # Panics
/// When it fails.
pub fn services_with(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let script = crate::program::repository().join("tests/services");
    let mut command = std::process::Command::new(script);
    let done = command.args(arguments).envs(settings.iter().copied()).output().expect("it runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
