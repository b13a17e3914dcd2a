//! Logs of databases: PostgreSQL's with Debian's `log_line_prefix` and every statement's duration,
//! MySQL's slow and general logs, MariaDB's audit log, and MongoDB's slow queries and connections.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};

/// A statement of an application.
fn statement(draw: &mut Draw, out: &mut String) {
    let id = draw.between(1, 1_000_000);
    let _ = match draw.between(0, 5) {
        0 => write!(
            out,
            "select id, name, price from products where category_id = {} order by price limit 20",
            id % 400
        ),
        1 => write!(out, "update orders set status = 'paid', paid_at = now() where id = {id}"),
        2 => write!(
            out,
            "insert into events (user_id, kind, payload) values ({id}, 'click', '{{\"x\":{}}}')",
            id % 999
        ),
        3 => write!(
            out,
            "select count(*) from carts c join items i on i.cart_id = c.id where c.user_id = {id}"
        ),
        _ => write!(out, "select * from customers where email = 'user{id}@example.org'"),
    };
}

/// Appends record `number` of PostgreSQL.
pub(super) fn postgresql(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, millis) = (clock.date(), clock.time(), draw.between(0, 1000));
    let pid = draw.between(300, 32_768);
    let _ = write!(out, "{date} {time}.{millis:03} CET [{pid}] app@shop LOG:  ");
    match draw.between(0, 10) {
        0 => out.push_str(
            "connection authorized: user=app database=shop application_name=web SSL enabled \
             (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)",
        ),
        1 => {
            let _ = write!(
                out,
                "disconnection: session time: 0:00:{:02}.{millis:03} user=app database=shop \
                 host={} port={}",
                pid % 60,
                draw.address(),
                draw.between(1024, 65_536)
            );
        }
        _ => {
            let (ms, micros) = (draw.between(0, 400), draw.between(0, 1000));
            let _ = write!(out, "duration: {ms}.{micros:03} ms  statement: ");
            statement(draw, out);
        }
    }
    out.push('\n');
}

/// Appends record `number` of MySQL 8.
pub(super) fn slow_log(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, micros) = (clock.date(), clock.time(), draw.between(0, 1_000_000));
    let (id, address) = (draw.between(8, 9_999), draw.address());
    let (seconds, sent, examined) =
        (draw.between(1, 9), draw.between(0, 100), draw.between(100, 1_000_000));
    let _ = write!(
        out,
        "# Time: {date}T{time}.{micros:06}Z\n# User@Host: app[app] @ web-1 [{address}]  Id: \
         {id:5}\n# Query_time: {seconds}.{micros:06}  Lock_time: 0.000012 Rows_sent: {sent}  \
         Rows_examined: {examined}\nSET timestamp={};\n",
        1_772_616_425 + number
    );
    statement(draw, out);
    out.push_str(";\n");
}

/// Appends record `number` of MySQL 8's general log.
pub(super) fn general_log(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, micros) = (clock.date(), clock.time(), draw.between(0, 1_000_000));
    let id = draw.between(8, 9_999);
    let _ = write!(out, "{date}T{time}.{micros:06}Z\t{id:5} ");
    match draw.between(0, 12) {
        0 => out.push_str("Connect\tapp@web-1.example.com on shop using SSL/TLS"),
        1 => out.push_str("Quit\t"),
        _ => {
            out.push_str("Query\t");
            statement(draw, out);
        }
    }
    out.push('\n');
}

/// Appends record `number` of MariaDB's plugin `server_audit`.
pub(super) fn audit_log(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time) = (clock.date().replace('-', ""), clock.time());
    let (connection, address) = (draw.between(8, 9_999), draw.address());
    let _ = write!(out, "{date} {time},db-1,app,{address},{connection},");
    let kind = draw.between(0, 12);
    if kind < 2 {
        let name = if kind == 0 { "CONNECT" } else { "DISCONNECT" };
        let _ = writeln!(out, "0,{name},shop,,0");
        return;
    }
    let (mut text, query) = (String::new(), draw.between(1, 9_999_999));
    statement(draw, &mut text);
    let _ = writeln!(out, "{query},QUERY,shop,'{}',0", text.replace('\'', "\\'"));
}

/// Appends record `number` of MongoDB 4.4 and later.
pub(super) fn mongodb(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (date, time, millis) = (clock.date(), clock.time(), draw.between(0, 1000));
    let (connection, address) = (draw.between(1, 9_999), draw.address());
    let (port, uuid) = (draw.between(1024, 65_536), Uuid(draw.word(), draw.word()));
    let _ = write!(out, "{{\"t\":{{\"$date\":\"{date}T{time}.{millis:03}+01:00\"}},\"s\":\"I\",");
    if draw.between(0, 3) == 0 {
        let _ = writeln!(
            out,
            "\"c\":\"NETWORK\",\"id\":22943,\"ctx\":\"listener\",\"msg\":\"Connection accepted\",\
             \"attr\":{{\"remote\":\"{address}:{port}\",\"uuid\":{{\"uuid\":{{\"$uuid\":\"{uuid}\"\
             }}}},\"connectionId\":{connection},\"connectionCount\":{}}}}}",
            connection % 90
        );
        return;
    }
    let (customer, examined, took) =
        (draw.between(1, 100_000), draw.between(20, 90_000), draw.between(100, 900));
    let _ = writeln!(
        out,
        "\"c\":\"COMMAND\",\"id\":51803,\"ctx\":\"conn{connection}\",\"msg\":\"Slow query\",\
         \"attr\":{{\"type\":\"command\",\"ns\":\"shop.orders\",\"command\":{{\"find\":\"orders\",\
         \"filter\":{{\"customer\":{customer},\"status\":\"open\"}},\"sort\":{{\"at\":-1}},\
         \"limit\":20,\"lsid\":{{\"id\":{{\"$uuid\":\"{uuid}\"}}}},\"$db\":\"shop\"}},\
         \"planSummary\":\"IXSCAN {{ customer: 1 }}\",\"keysExamined\":{examined},\
         \"docsExamined\":{examined},\"nreturned\":20,\"queryHash\":\"5F5FC979\",\"reslen\":{},\
         \"locks\":{{\"Global\":{{\"acquireCount\":{{\"r\":2}}}}}},\"remote\":\"{address}:{port}\",\
         \"protocol\":\"op_msg\",\"durationMillis\":{took}}}}}",
        examined % 9_000
    );
}

/// A random one, version 4.
struct Uuid(u64, u64);

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (a, b) = (self.0 >> 32, self.0 >> 16 & 0xffff);
        let (c, d, e) = (self.0 & 0xfff, self.1 >> 48 & 0x3fff, self.1 & 0xffff_ffff_ffff);
        write!(f, "{a:08x}-{b:04x}-4{c:03x}-{:04x}-{e:012x}", 0x8000 | d)
    }
}
