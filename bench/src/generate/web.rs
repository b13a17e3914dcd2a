//! Access logs in the format `combined`, which nginx and Apache write alike, byte for byte.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};

pub(super) const METHODS: [(u64, &str); 4] = [(80, "GET"), (12, "POST"), (5, "PUT"), (3, "DELETE")];
pub(super) const STATUSES: [(u64, u16); 6] =
    [(80, 200), (6, 304), (4, 302), (6, 404), (2, 422), (2, 500)];
const REFERRERS: [(u64, &str); 3] =
    [(6, "-"), (3, "https://shop.example.com/"), (1, "https://www.example.org/search?q=boots")];
pub(super) const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
     Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "okhttp/4.12.0",
    "curl/8.5.0",
];

/// What is asked for.
pub(super) fn target(draw: &mut Draw, out: &mut String) {
    let id = draw.between(1, 100_000);
    let _ = match draw.between(0, 6) {
        0 => write!(out, "/assets/app-{:08x}.js", draw.word() >> 32),
        1 => write!(out, "/search?q=boots&page={}", id % 50),
        2 => write!(out, "/products/{id}/reviews"),
        3 => write!(out, "/"),
        _ => write!(out, "/api/v1/orders/{id}"),
    };
}

/// Appends request `number`.
pub(super) fn combined(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (day, month, time) = (clock.day, clock.month_name(), clock.time());
    let _ = write!(out, "{} - - [{day:02}/{month}/2026:{time} +0100] \"", draw.address());
    let _ = write!(out, "{} ", draw.weighted(&METHODS));
    target(draw, out);
    let (status, bytes) = (draw.weighted(&STATUSES), draw.between(150, 90_000));
    let (referrer, agent) = (draw.weighted(&REFERRERS), draw.pick(&AGENTS));
    let _ = writeln!(out, " HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{agent}\"");
}
