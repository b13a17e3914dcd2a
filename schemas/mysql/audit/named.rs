//! Records of names and values, as XML and Percona's JSON and CSV have them: `CONNECTION_ID`, or
//! `connection_id`.

use super::meaning::{self, Happened};
use crate::datasets::mysql::stamp;
use crate::find::Find;
use crate::nothing::is_nothing;
use crate::{Event, Value, fields, json};

/// A name as it is written, and its value.
pub(super) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Sets what they say. Says whether they are a record: it has a name.
pub(super) fn set<'a>(pairs: &Pairs<'a>, event: &mut Event<'a>) -> bool {
    let find = |key: &str| pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    let Some((_, name)) = find("NAME") else { return false };
    let command_class = find("COMMAND_CLASS").map_or("", |(_, value)| value.trim());
    let (class, what) = class_of(name, command_class, event);
    let mut status = None;
    let mut others = Pairs::new();
    for &(key, value) in pairs {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        if key.eq_ignore_ascii_case("STATUS") {
            status = value.parse().ok();
        }
        if !set_key(key, value, class, event) {
            others.push((key, value));
        }
    }
    if class == "general" && command_class != GENERAL {
        event.set(fields::mysqlenterprise::audit::general_data::COMMAND, *name);
    }
    set_others(&others, event);
    let login = event.get_str(fields::mysqlenterprise::audit::login::USER);
    if let Some(user) = login {
        event.set_if_absent(fields::server::user::NAME, user);
    }
    let status = status.filter(|_| what != "disconnect");
    meaning::set(Happened { class, event: what, status }, event);
    true
}

/// What the old form of Percona's filter says of statements in place of their kind.
const GENERAL: &str = "General";

/// Names, and the class and the event that they are in JSON. Percona's filter has most of them.
static NAMES: [(&str, &str, &str); 22] = [
    ("Audit", "audit", "startup"),
    ("Startup", "audit", "startup"),
    ("NoAudit", "audit", "shutdown"),
    ("Connect", "connection", "connect"),
    ("Quit", "connection", "disconnect"),
    ("Change user", "connection", "change_user"),
    ("Pre Authenticate", "connection", "pre_authenticate"),
    ("Auth Flush", "authentication", "auth_flush"),
    ("Auth Authid Create", "authentication", "auth_authid_create"),
    ("Auth Credential Change", "authentication", "auth_credential_change"),
    ("Auth Authid Rename", "authentication", "auth_authid_rename"),
    ("Auth Authid Drop", "authentication", "auth_authid_drop"),
    ("Variable Get", "global_variable", "variable_get"),
    ("Variable Set", "global_variable", "variable_set"),
    ("Command Start", "command", "command_start"),
    ("Command End", "command", "command_end"),
    ("Query Start", "query", "query_start"),
    ("Query Nested Start", "query", "query_nested_start"),
    ("Query Status End", "query", "query_status_end"),
    ("Query Nested Status End", "query", "query_nested_status_end"),
    ("Preparse", "parse", "preparse"),
    ("Postparse", "parse", "postparse"),
];

/// The names of JSON for those of XML.
fn class_of<'a>(
    name: &'a str,
    command_class: &'a str,
    event: &Event<'a>,
) -> (&'static str, &'a str) {
    if let Some((_, class, what)) = NAMES.iter().find(|(known, ..)| *known == name) {
        return (class, what);
    }
    match (name, command_class) {
        // These two are commands of clients, too.
        ("Execute", "Stored Program") => ("stored_program", "execute"),
        (_, GENERAL) => ("general", event.lower_case(name)),
        ("Message", what) if !what.is_empty() => ("message", event.lower_case(what)),
        (_, "Message") => ("message", event.lower_case(name)),
        _ => match name.strip_prefix("Table") {
            Some(access) if access.starts_with(|c: char| c.is_ascii_uppercase()) => {
                ("table_access", event.lower_case(access))
            }
            _ => ("general", "status"),
        },
    }
}

/// Whether a command's class is only the record's, as `Stored Program` is of `stored_program`.
fn repeats(command_class: &str, class: &str) -> bool {
    let letters = command_class.bytes().map(|byte| match byte {
        b' ' => b'_',
        byte => byte.to_ascii_lowercase(),
    });
    letters.eq(class.bytes())
}

/// Says whether there is a field for it.
fn set_key<'a>(key: &'a str, value: &'a str, class: &str, event: &mut Event<'a>) -> bool {
    use fields::mysqlenterprise::audit::{self, connection_data, general_data, table_access_data};
    let number = value.parse::<i64>().ok();
    let tables = class == "table_access";
    let key = event.lower_case(key);
    let field = match (key, number) {
        ("name", _) => return true,
        ("timestamp", _) => match stamp::parse(value.as_bytes()) {
            Some((stamp, length)) if length == value.len() => {
                event.time(stamp);
                return true;
            }
            _ => return false,
        },
        ("connection_id", Some(number)) => {
            event.set(audit::CONNECTION_ID, number);
            return true;
        }
        ("status", Some(number))
            if matches!(class, "general" | "query" | "command" | "authentication") =>
        {
            event.set(general_data::STATUS, number);
            return true;
        }
        ("status", Some(number)) if class == "connection" => {
            event.set(connection_data::STATUS, number);
            return true;
        }
        ("user", _) if class == "authentication" => fields::user::target::NAME,
        ("host", _) if class == "authentication" => fields::user::target::DOMAIN,
        ("user", _) if value.has("] @ ") => {
            meaning::set_account(value, event);
            return true;
        }
        ("host", _) => return meaning::set_host(value, event),
        ("ip", _) => return meaning::set_address(value, event),
        ("startup_options", _) => {
            set_command_line(value, event);
            return true;
        }
        ("record_id" | "record", _) => fields::mysql::audit::RECORD_ID,
        ("user", _) => audit::login::USER,
        ("priv_user", _) => fields::server::user::NAME,
        ("proxy_user", _) => audit::login::PROXY,
        ("os_login" | "os_user", _) => fields::client::user::NAME,
        ("db", _) if class == "connection" => connection_data::DB,
        ("db", _) if tables => table_access_data::DB,
        ("db", _) => fields::mysql::audit::DATABASE,
        ("table", _) => table_access_data::TABLE,
        ("sqltext", _) => {
            event.set(fields::MESSAGE, value);
            if tables { table_access_data::QUERY } else { general_data::QUERY }
        }
        ("message", _) if class == "message" => fields::MESSAGE,
        ("command_class", _) if class == "message" || repeats(value, class) => return true,
        ("command_class", _) if class == "command" => general_data::COMMAND,
        ("command_class", _) if tables => table_access_data::SQL_COMMAND,
        ("command_class", _) => general_data::SQL_COMMAND,
        ("connection_type", _) => connection_data::CONNECTION_TYPE,
        ("server_id", _) => fields::service::ID,
        ("os_version", _) => fields::host::os::FULL,
        ("mysql_version", _) => fields::service::VERSION,
        _ => return false,
    };
    event.set(field, value);
    true
}

/// What the server was started with.
pub(super) fn set_command_line<'a>(text: &'a str, event: &mut Event<'a>) {
    let mut arguments = event.list::<&'a str>();
    arguments.extend(text.split_ascii_whitespace());
    event.set(fields::process::COMMAND_LINE, text);
    set_arguments(arguments.into_bump_slice(), event);
}

/// The same one by one.
pub(super) fn set_arguments<'a>(arguments: &'a [&'a str], event: &mut Event<'a>) {
    let Some(first) = arguments.first() else { return };
    event.set(fields::process::ARGS, arguments);
    event.set(fields::process::ARGS_COUNT, arguments.len());
    if first.starts_with('/') {
        event.set(fields::process::EXECUTABLE, *first);
    }
}

/// Keeps what has no field; of equal names the first.
pub(super) fn set_others(others: &[(&str, &str)], event: &mut Event<'_>) {
    let mut object = Vec::new();
    for (at, (key, value)) in others.iter().enumerate() {
        if others[..at].iter().any(|(other, _)| other == key) || is_nothing(value) {
            continue;
        }
        object.push(if object.is_empty() { b'{' } else { b',' });
        json::write_str(key, &mut object);
        object.push(b':');
        json::write_str(value, &mut object);
    }
    if !object.is_empty() {
        object.push(b'}');
        let object = event.alloc_bytes(&object);
        event.set(fields::mysql::audit::FIELDS, Value::Raw(object));
    }
}
