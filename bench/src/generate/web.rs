//! Access logs: nginx's format `combined`, and a load balancer's (ALB) entries.

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

/// Appends record `number` of nginx.
pub(super) fn nginx(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (day, month, time) = (clock.day, clock.month_name(), clock.time());
    let _ = write!(out, "{} - - [{day:02}/{month}/2026:{time} +0100] \"", draw.address());
    let _ = write!(out, "{} ", draw.weighted(&METHODS));
    target(draw, out);
    let (status, bytes) = (draw.weighted(&STATUSES), draw.between(150, 90_000));
    let (referrer, agent) = (draw.weighted(&REFERRERS), draw.pick(&AGENTS));
    let _ = writeln!(out, " HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{agent}\"");
}

/// Appends entry `number` of an application load balancer.
pub(super) fn balancer(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (micros, address) = (draw.between(0, 1_000_000), draw.address());
    let stamp = format!("{}T{}.{micros:06}Z", clock.date(), clock.time());
    let (port, host) = (draw.between(1024, 65_536), draw.between(4, 250));
    let (took, status) = (draw.between(1, 900), draw.weighted(&STATUSES));
    let (received, sent) = (draw.between(80, 2_000), draw.between(150, 90_000));
    let _ = write!(
        out,
        "https {stamp} app/shop/50dc6c495c0c9188 {address}:{port} 10.0.0.{host}:80 0.000 \
         0.{took:03} 0.000 {status} {status} {received} {sent} \"{} https://shop.example.com:443",
        draw.weighted(&METHODS)
    );
    target(draw, out);
    let _ = writeln!(
        out,
        " HTTP/2.0\" \"{}\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 \
         arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2d6bc24d8a067 \
         \"Root=1-{:08x}-{:016x}{:08x}\" \"shop.example.com\" \
         \"arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012\" 1 \
         {stamp} \"forward\" \"-\" \"-\" \"10.0.0.{host}:80\" \"{status}\" \"-\" \"-\"",
        draw.pick(&AGENTS),
        draw.word() >> 32,
        draw.word(),
        draw.word() >> 32,
    );
}
