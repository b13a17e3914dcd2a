//! What an application in a container writes: one JSON object for each request, as structlog's
//! renderer does, or lines of text, which Docker's `json-file` driver wraps.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};
use super::web::{METHODS, STATUSES, target};

const LEVELS: [(u64, &str); 4] = [(80, "info"), (10, "debug"), (6, "warning"), (4, "error")];
const LOGGERS: [&str; 4] = ["shop.orders", "shop.cart", "django.request", "shop.payments"];
const SAID: [&str; 5] = [
    "request finished",
    "order placed, mail to the customer is queued",
    "payment declined by the bank",
    "price list reloaded",
    "stock is below its threshold, supplier informed",
];

/// Appends object `number`.
pub(super) fn object(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, micros) = (clock.date(), clock.time(), draw.between(0, 1_000_000));
    let (level, logger, said) = (draw.weighted(&LEVELS), draw.pick(&LOGGERS), draw.pick(&SAID));
    let (user, a, b) = (draw.between(1, 100_000), draw.word(), draw.word());
    let _ = write!(
        out,
        "{{\"timestamp\": \"{date}T{time}.{micros:06}Z\", \"level\": \"{level}\", \"logger\": \
         \"{logger}\", \"event\": \"{said}\", \"user_id\": {user}, \"request_id\": \
         \"{a:016x}{b:016x}\", \"method\": \"{}\", \"path\": \"",
        draw.weighted(&METHODS)
    );
    target(draw, out);
    let (status, took) = (draw.weighted(&STATUSES), draw.between(1, 9_000));
    let _ =
        writeln!(out, "\", \"status\": {status}, \"duration_ms\": {}.{}}}", took / 10, took % 10);
}

/// Appends line `number` as Docker keeps it.
pub(super) fn container(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, nanos) = (clock.date(), clock.time(), draw.between(0, 1_000_000_000));
    let (millis, level) = (nanos / 1_000_000, draw.weighted(&LEVELS).to_uppercase());
    let (logger, said) = (draw.pick(&LOGGERS), draw.pick(&SAID));
    let (order, took) = (draw.between(1, 1_000_000), draw.between(1, 900));
    let _ = writeln!(
        out,
        "{{\"log\":\"{date} {time},{millis:03} {level} {logger}: {said} order={order} took {took} \
         ms\\n\",\"stream\":\"stdout\",\"time\":\"{date}T{time}.{nanos:09}Z\"}}"
    );
}
