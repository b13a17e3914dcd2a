//! Columns of an entry, from left to right, and the fields that they become.

use std::net::IpAddr;

use crate::find::find_byte;
use crate::peer::{self, Peer};
use crate::{Event, Field, fields};

/// What is left of an entry.
pub(super) struct Columns<'a> {
    rest: &'a str,
    /// A quoted column does not end.
    broken: bool,
}

impl<'a> Columns<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, broken: false }
    }

    /// Nothing is left over.
    pub fn all_read(&self) -> bool {
        self.rest.is_empty() && !self.broken
    }

    /// The next column as text, or nothing if it is a placeholder or missing. A placeholder that
    /// stood for `field` is recorded.
    pub fn text(&mut self, field: Field, event: &mut Event<'a>) -> Option<&'a str> {
        let text = self.next()?;
        if matches!(text, "" | "-") {
            event.null_removed(field);
            return None;
        }
        Some(text)
    }

    /// Sets `field` to the next column.
    pub fn set(&mut self, field: Field, event: &mut Event<'a>) -> Option<&'a str> {
        let text = self.text(field, event)?;
        event.set(field, text);
        Some(text)
    }

    /// Sets `field` to the next column if it is a whole number.
    pub fn set_count(&mut self, field: Field, event: &mut Event<'a>) -> Option<u64> {
        let text = self.text(field, event)?;
        match text.parse::<u64>() {
            Ok(count) => {
                event.set(field, count);
                Some(count)
            }
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    /// Sets `field` to the next column if it is a time span; -1 says that there was none.
    pub fn set_span(&mut self, field: Field, event: &mut Event<'a>) -> Option<f64> {
        let text = self.text(field, event)?;
        match text.parse::<f64>() {
            Ok(span) if span >= 0.0 => {
                event.set(field, span);
                Some(span)
            }
            Ok(_) => {
                event.null_removed(field);
                None
            }
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    /// Sets `field` to the parts of the next column.
    pub fn set_list(&mut self, field: Field, separator: &str, event: &mut Event<'a>) {
        let Some(text) = self.text(field, event) else { return };
        let mut parts = event.list();
        parts.extend(text.split(separator).filter(|part| !part.is_empty() && *part != "-"));
        match parts.is_empty() {
            true => event.null_removed(field),
            false => event.set(field, parts.into_bump_slice()),
        }
    }

    /// Sets address and port of the next column, `address:port` or an address alone.
    pub fn set_peer(&mut self, peer: Peer, event: &mut Event<'a>) {
        let Some(text) = self.text(peer.address(), event) else { return };
        let (address, port) = address_and_port(text);
        peer.set(address, port, event);
    }

    /// The same for the server behind the load balancer, which is always an address.
    pub fn set_backend(&mut self, event: &mut Event<'a>) {
        use fields::aws::elb::backend;
        let Some(text) = self.text(backend::IP, event) else { return };
        let (address, port) = address_and_port(text);
        match peer::ip(address) {
            Some(ip) => event.set(backend::IP, ip),
            None => self.broken = true,
        }
        if let Some(port) = port {
            event.set(backend::PORT, port);
        }
    }
}

impl<'a> Columns<'a> {
    /// The request. Quotes in it are as the client sent them; another quoted column follows it, or
    /// nothing.
    pub fn request(&mut self) -> Option<&'a str> {
        self.until(|rest| rest.is_empty() || rest.starts_with(" \""))
    }

    /// The user agent, which two columns without quotes follow.
    pub fn agent(&mut self) -> Option<&'a str> {
        self.until(|rest| {
            let mut words = rest.split(' ').skip(1).take(2);
            rest.is_empty() || rest.starts_with(' ') && words.all(|word| !word.contains('"'))
        })
    }

    /// The next column; of a quoted one the quote ends it that is followed by what `ends` knows.
    fn until(&mut self, ends: impl Fn(&str) -> bool) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (text, rest) = match self.rest.strip_prefix('"') {
            Some(body) => match quoted_end(body, ends) {
                Some(end) => (&body[..end], &body[end + 1..]),
                None => {
                    self.broken = true;
                    self.rest = "";
                    return None;
                }
            },
            None => {
                let end = find_byte(self.rest.as_bytes(), b' ').unwrap_or(self.rest.len());
                self.rest.split_at(end)
            }
        };
        self.rest = rest.trim_start_matches(' ');
        Some(text)
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = &'a str;

    /// A quoted column ends at a quote before a space. What is escaped in it stays so.
    fn next(&mut self) -> Option<&'a str> {
        self.until(|rest| rest.is_empty() || rest.starts_with(' '))
    }
}

fn address_and_port(text: &str) -> (&str, Option<u16>) {
    let (address, port) = match text.parse::<IpAddr>() {
        Ok(_) => (text, None),
        Err(_) => text.rsplit_once(':').map_or((text, None), |(a, p)| (a, p.parse().ok())),
    };
    (address.trim_matches(['[', ']']), port)
}

/// Where a quote stands that is not escaped and followed by what `ends` knows.
fn quoted_end(body: &str, ends: impl Fn(&str) -> bool) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.as_bytes().get(at..)?)?;
        match body.as_bytes()[at] {
            b'\\' => at += 2,
            _ if ends(&body[at + 1..]) => return Some(at),
            _ => at += 1,
        }
    }
}
