//! `related.*`: all addresses, users, hosts and hashes that an event has, each once, so that one
//! search finds them wherever they stand. What a parser gathered comes first.

use std::net::IpAddr;
use std::sync::LazyLock;

use bumpalo::collections::Vec as ArenaVec;

use super::Filling;
use crate::index::FieldSet;
use crate::rules::MASK;
use crate::{Field, Value, fields};

/// Which fields are gathered where.
struct Places {
    ip: FieldSet,
    user: FieldSet,
    hosts: FieldSet,
    hash: FieldSet,
    /// Numbers of users, each with the name in place of which it counts.
    user_ids: Vec<(Field, Field)>,
}

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let those = |is_one: fn(Field) -> bool| FieldSet::of(Field::all().filter(|one| is_one(*one)));
    Places {
        ip: those(is_address),
        user: those(is_user),
        hosts: those(is_host),
        hash: those(|field| field.kind() == "keyword" && field.path().contains(".hash.")),
        user_ids: Field::all().filter_map(|id| Some((id, name_beside(id)?))).collect(),
    }
});

fn is_address(field: Field) -> bool {
    field.kind() == "ip" && field != fields::related::IP
}

/// The object whose field this is, if it is a user.
fn user_of(path: &str) -> Option<&str> {
    let (object, _) = path.rsplit_once('.')?;
    let last = object.rsplit('.').next()?;
    let is_part = matches!(last, "effective" | "target" | "changes") && object.contains("user.");
    (is_part || matches!(last, "user" | "real_user" | "saved_user")).then_some(object)
}

fn is_user(field: Field) -> bool {
    let path = field.path();
    (path.ends_with(".name") || path.ends_with(".email")) && user_of(path).is_some()
}

fn name_beside(id: Field) -> Option<Field> {
    let path = id.path().strip_suffix(".id").filter(|_| user_of(id.path()).is_some())?;
    Field::named(&format!("{path}.name"))
}

fn is_host(field: Field) -> bool {
    match field.path() {
        "host.name"
        | "host.hostname"
        | "log.syslog.hostname"
        | "observer.hostname"
        | "dns.question.name" => true,
        path => {
            let object = path.strip_suffix(".domain");
            object.is_some_and(|object| {
                object != "group" && !object.ends_with(".group") && user_of(path).is_none()
            })
        }
    }
}

pub(super) fn fill(filling: &mut Filling<'_, '_>) {
    let places = &*PLACES;
    let mut addresses = gathered(&places.ip, fields::related::IP, filling);
    let mut hosts = gathered(&places.hosts, fields::related::HOSTS, filling);
    hosts.retain(|host| {
        let is_address = host.parse::<IpAddr>().is_ok();
        if is_address {
            add(host, &mut addresses);
        }
        !is_address
    });
    let mut users = gathered(&places.user, fields::related::USER, filling);
    for (id, name) in &places.user_ids {
        if let Some(id) = filling.event.get_str(*id).filter(|_| !filling.event.has(*name)) {
            add(id, &mut users);
        }
    }
    let hashes = gathered(&places.hash, fields::related::HASH, filling);
    put(fields::related::IP, addresses, filling);
    put(fields::related::HOSTS, hosts, filling);
    put(fields::related::USER, users, filling);
    put(fields::related::HASH, hashes, filling);
}

/// What the list has, and what those fields have besides.
fn gathered<'a>(from: &FieldSet, list: Field, filling: &Filling<'_, 'a>) -> ArenaVec<'a, &'a str> {
    let mut all = filling.event.list();
    let fields = filling.event.fields_in(from);
    for field in std::iter::once(list).chain(fields) {
        match filling.event.get(field) {
            Some(Value::Str(text)) => add(text, &mut all),
            Some(Value::List(texts)) => texts.iter().for_each(|text| add(text, &mut all)),
            _ => {}
        }
    }
    all
}

fn add<'a>(text: &'a str, all: &mut ArenaVec<'a, &'a str>) {
    if text != MASK && !all.contains(&text) {
        all.push(text);
    }
}

/// A list that the policy names stays as it is.
fn put<'a>(list: Field, all: ArenaVec<'a, &'a str>, filling: &mut Filling<'_, 'a>) {
    if !all.is_empty() && !filling.privacy.names(filling.event.dataset(), list) {
        filling.event.set(list, all.into_bump_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_gathered_by_what_they_hold() {
        let named = |path| Field::named(path).expect(path);
        for path in ["source.ip", "client.nat.ip", "host.ip", "network.forwarded_ip"] {
            assert!(is_address(named(path)), "{path}");
        }
        for path in ["user.name", "user.email", "user.target.name", "process.real_user.name"] {
            assert!(is_user(named(path)), "{path}");
        }
        for path in ["user.full_name", "process.name", "file.name", "user.group.name"] {
            assert!(!is_user(named(path)), "{path}");
        }
        for path in ["host.name", "url.domain", "destination.domain", "dns.question.name"] {
            assert!(is_host(named(path)), "{path}");
        }
        for path in ["user.domain", "client.user.domain", "url.registered_domain", "group.domain"] {
            assert!(!is_host(named(path)), "{path}");
        }
        assert_eq!(name_beside(named("user.id")), Some(fields::user::NAME));
        assert_eq!(name_beside(named("event.id")), None);
    }
}
