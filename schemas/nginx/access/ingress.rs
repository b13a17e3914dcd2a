//! What Kubernetes' ingress-nginx writes behind the user agent: `$request_length $request_time
//! [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
//! $upstream_response_length $upstream_response_time $upstream_status $req_id`
//! (<https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format/>). The
//! fields are those of Elastic's module for it.

use smallvec::SmallVec;

use crate::clf;
use crate::duration::{SECONDS, nanoseconds};
use crate::fields::nginx::ingress_controller as ingress;
use crate::find::Find;
use crate::{Event, Field, fields, peer, url};

/// One value for each server that was asked; with its own, no list is on the heap.
type List<'a> = SmallVec<[&'a str; 4]>;

struct Columns<'a> {
    length: u64,
    time: u64,
    name: &'a str,
    alternative: &'a str,
    addresses: List<'a>,
    lengths: List<'a>,
    times: List<'a>,
    statuses: List<'a>,
    id: &'a str,
    /// What a format of one's own has behind them.
    rest: &'a str,
}

/// Sets what the columns say. Says whether the text is such.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(columns) = Columns::parse(text) else { return false };
    columns.set(event);
    true
}

impl<'a> Columns<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (length, rest) = clf::word(text);
        let (time, rest) = clf::word(rest);
        let (length, time) = (length.parse().ok()?, nanoseconds(time, SECONDS)?);
        let (name, rest) = rest.strip_prefix('[')?.split_on("] [")?;
        let (alternative, rest) = rest.split_on("] ")?;
        let (addresses, rest) = list(rest);
        let (lengths, rest) = list(rest);
        let (times, rest) = list(rest);
        let (statuses, rest) = list(rest);
        let (id, rest) = clf::word(rest);
        Some(Self {
            length,
            time,
            name,
            alternative,
            addresses,
            lengths,
            times,
            statuses,
            id,
            rest: rest.trim(),
        })
    }

    fn set(self, event: &mut Event<'a>) {
        event.set(fields::event::TYPE, "info");
        event.set(ingress::http::request::LENGTH, self.length);
        event.set(ingress::http::request::TIME, seconds(self.time));
        event.set(fields::event::DURATION, self.time);
        event.set_clean(ingress::upstream::NAME, self.name);
        event.set_clean(ingress::upstream::ALTERNATIVE_NAME, self.alternative);
        if event.set_clean(ingress::http::request::ID, self.id) {
            event.set(fields::http::request::ID, self.id);
        }
        if !self.rest.is_empty() {
            event.set(fields::MESSAGE, self.rest);
        }
        if let Some(clients) = event.get(fields::nginx::access::REMOTE_IP_LIST) {
            event.set(ingress::REMOTE_IP_LIST, clients);
        }
        // Of several servers the last one answered.
        use ingress::upstream::response;
        let number = |list: &List<'a>| list.last().and_then(|text| text.parse::<u64>().ok());
        if let Some(length) = number(&self.lengths) {
            event.set(response::LENGTH, length);
        }
        if let Some(status) = number(&self.statuses) {
            event.set(response::STATUS_CODE, status);
        }
        let times = self.times.iter().map(|text| nanoseconds(text, SECONDS));
        if let Some(sum) = times.sum::<Option<u64>>().filter(|_| !self.times.is_empty()) {
            event.set(response::TIME, seconds(sum));
        }
        if let Some(last) = self.addresses.last() {
            let (host, port) = url::split_port(last);
            if let Some(ip) = peer::ip(host) {
                event.set(ingress::upstream::IP, ip);
            }
            if let Some(port) = port {
                event.set(ingress::upstream::PORT, port);
            }
        }
        set_list(ingress::UPSTREAM_ADDRESS_LIST, self.addresses, event);
        set_list(response::LENGTH_LIST, self.lengths, event);
        set_list(response::TIME_LIST, self.times, event);
        set_list(response::STATUS_CODE_LIST, self.statuses, event);
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn set_list<'a>(field: Field, list: List<'a>, event: &mut Event<'a>) {
    let mut texts = event.list::<&'a str>();
    texts.extend_from_slice(&list);
    match texts.is_empty() {
        true => event.null_removed(field),
        false => event.set(field, texts.into_bump_slice()),
    }
}

/// `a`, `a, b`, or `a : b` where another group of servers was asked after the first, without the
/// dashes of those that were not; and what follows it.
fn list(text: &str) -> (List<'_>, &str) {
    let (mut list, mut rest) = (List::new(), text);
    loop {
        let (word, after) = clf::word(rest);
        let value = word.trim_end_matches(',');
        if !matches!(value, "" | "-") {
            list.push(value);
        }
        let (next, behind) = clf::word(after);
        rest = match next {
            ":" => behind,
            _ if word.ends_with(',') => after,
            _ => return (list, after),
        };
    }
}
