//! What AWS delivers: a load balancer's (ALB) entries, and log events of CloudWatch as the
//! producer passes them on.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};
use super::web::{AGENTS, METHODS, STATUSES, target};

const SAID: [&str; 3] = ["order placed", "mail to the customer is queued", "cache is warm"];

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

/// Appends log event `number` of CloudWatch: of a network interface's flow log, or of a function.
pub(super) fn cloudwatch(number: u64, draw: &mut Draw, out: &mut String) {
    let at = 1_772_616_425 + number / 50;
    let (stream, a, b) = (draw.between(10, 99), draw.word() >> 32, draw.word() >> 16);
    if draw.between(0, 2) == 0 {
        let (address, host) = (draw.address(), draw.between(4, 250));
        let (port, packets) = (draw.between(1024, 65_536), draw.between(1, 900));
        let _ = write!(
            out,
            "{{\"logGroup\":\"/aws/vpc/flow-logs\",\"logStream\":\"eni-0a1b2c3d4e5f607{stream}-all\",\
             \"timestamp\":{at}000,\"message\":\"2 123456789012 eni-0a1b2c3d4e5f607{stream} {address} \
             10.0.0.{host} {port} 443 6 {packets} {} {at} {} ACCEPT OK",
            packets * 840,
            at + 60
        );
    } else {
        let clock = Clock::of(number);
        let stamp = format!("{}T{}.{:03}Z", clock.date(), clock.time(), a % 1000);
        let request = format!("{a:08x}-2222-4333-8444-{b:012x}");
        let _ = write!(
            out,
            "{{\"logGroup\":\"/aws/lambda/pay\",\"logStream\":\"2026/03/04/[$LATEST]0a1b2c3d{stream}\",\
             \"timestamp\":{at}{:03},\"message\":\"",
            a % 1000
        );
        let _ = match draw.between(0, 4) {
            0 => write!(out, "START RequestId: {request} Version: $LATEST\\n"),
            1 => write!(
                out,
                "REPORT RequestId: {request}\\tDuration: {}.{} ms\\tBilled Duration: {} ms\\t\
                 Memory Size: 128 MB\\tMax Memory Used: {} MB\\t\\n",
                b % 900,
                b % 100,
                b % 900 + 1,
                b % 120
            ),
            _ => write!(
                out,
                "{stamp}\\t{request}\\tINFO\\t{} order={}\\n",
                draw.pick(&SAID),
                b % 1_000_000
            ),
        };
    }
    out.push_str("\"}\n");
}
