//! One message with its columns, whichever form it came in, and the fields that they become.

use super::level::{Label, Note};
use super::{audit, server, session, stamp, statement};
use crate::enrich::Quoting;
use crate::find::Find;
use crate::time::{Stamp, Time};
use crate::{Event, fields, peer};

/// What a message says of itself, as it is written; empty values are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<'a> {
    pub time: Option<&'a str>,
    pub user: Option<&'a str>,
    pub database: Option<&'a str>,
    pub pid: Option<&'a str>,
    /// `10.0.0.7:5000`, `10.0.0.7(5000)`, `10.0.0.7`, `[local]`.
    pub remote: Option<&'a str>,
    pub remote_port: Option<&'a str>,
    pub local: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub session_line: Option<&'a str>,
    pub sequence: Option<&'a str>,
    pub session_start: Option<&'a str>,
    pub command_tag: Option<&'a str>,
    pub virtual_transaction: Option<&'a str>,
    pub transaction: Option<&'a str>,
    pub severity: Option<&'a str>,
    pub sql_state: Option<&'a str>,
    pub message: Option<&'a str>,
    pub detail: Option<&'a str>,
    pub hint: Option<&'a str>,
    pub internal_query: Option<&'a str>,
    pub internal_position: Option<&'a str>,
    pub context: Option<&'a str>,
    pub statement: Option<&'a str>,
    pub position: Option<&'a str>,
    /// `function, file.c:12`, or `file.c:12`.
    pub location: Option<&'a str>,
    pub function: Option<&'a str>,
    pub file: Option<&'a str>,
    pub file_line: Option<&'a str>,
    pub backtrace: Option<&'a str>,
    pub application: Option<&'a str>,
    pub backend_type: Option<&'a str>,
    pub leader_pid: Option<&'a str>,
    pub query_id: Option<&'a str>,
    /// The message stands in a column of its own. Of a logged statement it is then the statement,
    /// as in Elastic's integration, since all that precedes it has a field.
    pub in_columns: bool,
    /// The lines that the message stands in, with their prefix, if they are a file's own. Of a
    /// logged statement or duration they are the message, as in Elastic's integration.
    pub lines: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Where the text of a note goes.
    pub(super) fn note(&mut self, note: Note) -> &mut Option<&'a str> {
        match note {
            Note::Detail => &mut self.detail,
            Note::Hint => &mut self.hint,
            Note::Query => &mut self.internal_query,
            Note::Context => &mut self.context,
            Note::Location => &mut self.location,
            Note::Backtrace => &mut self.backtrace,
            Note::Statement => &mut self.statement,
        }
    }

    /// Sets the fields. Says whether a time was among them.
    pub(super) fn finish(&self, source_zone: &str, event: &mut Event<'a>) -> bool {
        let timed = self.times(source_zone, event);
        self.level(event);
        self.who(event);
        self.numbers(event);
        self.texts(event);
        self.origin(event);
        let Some(message) = self.message else { return timed };
        event.set(fields::MESSAGE, message);
        self.position_in(message, event);
        event.is_statement(fields::postgresql::log::QUERY, Quoting::Standard);
        if audit::read(message, event) {
            return timed;
        }
        if self.in_columns
            && let Some(call) = statement::fast_path(message, event)
        {
            event.set(fields::MESSAGE, call);
            return timed;
        }
        let logged = statement::read(message, event);
        let is_timed = logged.is_some() || event.has(fields::event::DURATION);
        match (logged, self.lines) {
            (Some(query), _) if self.in_columns => event.set(fields::MESSAGE, query),
            (_, Some(lines)) if is_timed && !self.in_columns => event.set(fields::MESSAGE, lines),
            _ => {}
        }
        if logged.is_none() {
            session::read(message, event);
            server::read(message, event);
        }
        timed
    }

    fn times(&self, source_zone: &str, event: &mut Event<'a>) -> bool {
        let read = |text: &str, event: &mut Event<'a>| -> Option<Stamp> {
            match stamp::parse(text.as_bytes()) {
                Some(written) => Some(written.resolved(source_zone, event)),
                None => stamp::epoch(text.as_bytes()).map(|(stamp, _)| stamp),
            }
        };
        if let Some(stamp) = self.session_start.and_then(|text| read(text, event)) {
            event.set_time(fields::postgresql::log::SESSION_START_TIME, stamp);
        }
        let Some(text) = self.time else { return false };
        let Some(stamp) = read(text, event) else { return false };
        event.time(stamp);
        event.set(fields::postgresql::log::TIMESTAMP, text);
        true
    }

    fn level(&self, event: &mut Event<'a>) {
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let Some(severity) = self.severity else { return };
        let level = match Label::named(severity.as_bytes()) {
            Some(Label::Level(level)) => level,
            Some(Label::Note(note)) => note.name(),
            None => event.lower_case(severity),
        };
        event.set_level(severity, level);
        let failed = matches!(level, "error" | "fatal" | "panic");
        // Classes 00 to 02 are of success, warning and no data.
        let is_error = |state: &str| !matches!(state.as_bytes(), [b'0', b'0'..=b'2', ..]);
        if failed || self.sql_state.is_some_and(is_error) {
            event.set(fields::event::TYPE, "error");
        }
        if failed {
            event.set(fields::event::OUTCOME, "failure");
        }
        if let Some(state) = self.sql_state {
            event.set(fields::postgresql::log::SQL_STATE_CODE, state);
            if failed {
                event.set(fields::error::CODE, state);
            }
        }
    }

    fn who(&self, event: &mut Event<'a>) {
        if let Some(user) = self.user {
            set_user(self.name(user), event);
        }
        for (field, text) in [
            (fields::postgresql::log::DATABASE, self.database),
            (fields::postgresql::log::APPLICATION_NAME, self.application),
        ] {
            if let Some(text) = text {
                event.set_clean(field, self.name(text));
            }
        }
        if let Some(remote) = self.remote {
            // A row of CSV has both in one column, jsonlog has two.
            let in_one = self.in_columns && self.remote_port.is_none();
            let (host, port) = if in_one { host_colon_port(remote) } else { host_and_port(remote) };
            set_client(host, port.or(self.remote_port), event);
        }
        if let Some(local) = self.local {
            peer::SERVER.set(local, None, event);
        }
    }

    /// `anna` of `[anna]`, as some prefixes have it; `[unknown]` is the server's own.
    fn name(&self, text: &'a str) -> &'a str {
        let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let plain = |inside: &&str| *inside != "unknown" && !inside.contains(['[', ']']);
        inside.filter(plain).filter(|_| !self.in_columns).unwrap_or(text)
    }

    fn numbers(&self, event: &mut Event<'a>) {
        let numbers = [
            (fields::process::PID, self.pid),
            (fields::postgresql::log::SESSION_LINE_NUMBER, self.session_line),
            (fields::postgresql::log::SEQUENCE_NUMBER, self.sequence),
            (fields::postgresql::log::TRANSACTION_ID, self.transaction),
            (fields::postgresql::log::INTERNAL_QUERY_POS, self.internal_position),
            (fields::postgresql::log::QUERY_POS, self.position),
            (fields::postgresql::log::LEADER_PID, self.leader_pid),
            (fields::postgresql::log::QUERY_ID, self.query_id),
        ];
        for (field, text) in numbers {
            if let Some(number) = text.and_then(|text| text.parse::<i64>().ok()) {
                event.set(field, number);
            }
        }
        self.session_parts(event);
        // Not computed.
        if self.query_id == Some("0") {
            event.remove(fields::postgresql::log::QUERY_ID);
            event.null_removed(fields::postgresql::log::QUERY_ID);
        }
    }

    /// A session's identifier is its first second and its process, in hexadecimal digits.
    fn session_parts(&self, event: &mut Event<'a>) {
        let Some((began, pid)) = self.session_id.and_then(|id| id.split_on_byte(b'.')) else {
            return;
        };
        if let Ok(pid) = u32::from_str_radix(pid, 16) {
            event.set_if_absent(fields::process::PID, pid);
        }
        if let Ok(began) = u32::from_str_radix(began, 16) {
            let began = Time::new(i64::from(began), 0, 0);
            event.set_if_absent(fields::postgresql::log::SESSION_START_TIME, began);
        }
    }

    fn texts(&self, event: &mut Event<'a>) {
        let texts = [
            (fields::postgresql::log::SESSION_ID, self.session_id),
            (fields::postgresql::log::COMMAND_TAG, self.command_tag),
            (fields::postgresql::log::VIRTUAL_TRANSACTION_ID, self.virtual_transaction),
            (fields::postgresql::log::DETAIL, self.detail),
            (fields::postgresql::log::HINT, self.hint),
            (fields::postgresql::log::INTERNAL_QUERY, self.internal_query),
            (fields::postgresql::log::CONTEXT, self.context),
            (fields::postgresql::log::QUERY, self.statement),
            (fields::postgresql::log::BACKEND_TYPE, self.backend_type),
            (fields::error::STACK_TRACE, self.backtrace),
        ];
        for (field, text) in texts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                event.set(field, text);
            }
        }
    }

    /// The place in the server's source.
    fn origin(&self, event: &mut Event<'a>) {
        let (mut function, mut file, mut line) = (self.function, self.file, self.file_line);
        if let Some(location) = self.location {
            event.set(fields::postgresql::log::LOCATION, location);
            let (before, place) = location.rsplit_on(", ").unwrap_or(("", location));
            function = Some(before).filter(|before| !before.is_empty());
            (file, line) = match place.rsplit_once(':') {
                Some((file, line)) => (Some(file), Some(line)),
                None => (None, None),
            };
        }
        if let Some(function) = function {
            event.set(fields::log::origin::FUNCTION, function);
        }
        if let Some(file) = file {
            event.set(fields::log::origin::file::NAME, file);
        }
        if let Some(line) = line.and_then(|line| line.parse::<u32>().ok()) {
            event.set(fields::log::origin::file::LINE, line);
        }
    }

    /// `… at character 15`, where no column says it.
    fn position_in(&self, message: &'a str, event: &mut Event<'a>) {
        if let Some((_, place)) = message.rsplit_on(" at character ")
            && let Ok(place) = place.parse::<u32>()
        {
            // It counts in the statement that a function ran, if there is one.
            let field = match self.internal_query {
                Some(_) => fields::postgresql::log::INTERNAL_QUERY_POS,
                None => fields::postgresql::log::QUERY_POS,
            };
            event.set_if_absent(field, place);
        }
    }
}

/// The user, unless the name stands for none.
pub(super) fn set_user<'a>(user: &'a str, event: &mut Event<'a>) {
    if event.set_clean(fields::user::NAME, user) {
        event.set(fields::related::USER, user);
    }
}

/// `10.0.0.7(5000)`, as a prefix has it.
fn host_and_port(remote: &str) -> (&str, Option<&str>) {
    let parts = remote.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    match parts {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, Some(port)),
        _ => (remote, None),
    }
}

/// `10.0.0.7:5000`, `::1:5000`, `[::1]:5000`, where a port always follows an address.
pub(super) fn host_colon_port(remote: &str) -> (&str, Option<&str>) {
    match remote.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            (host.trim_start_matches('[').trim_end_matches(']'), Some(port))
        }
        _ => (remote, None),
    }
}

/// The client's address: `[local]` is a socket of the machine.
pub(super) fn set_client<'a>(host: &'a str, port: Option<&'a str>, event: &mut Event<'a>) {
    if !event.set_clean(fields::postgresql::log::CLIENT_ADDR, host) {
        return;
    }
    if host != "[local]" {
        peer::SOURCE.set(host, None, event);
        if !event.has(fields::source::IP) {
            event.set(fields::related::HOSTS, host);
        }
    }
    if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        event.set(fields::postgresql::log::CLIENT_PORT, port);
        event.set(fields::source::PORT, port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address() {
        assert_eq!(host_and_port("10.0.0.7(5000)"), ("10.0.0.7", Some("5000")));
        assert_eq!(host_and_port("2001:db8::24"), ("2001:db8::24", None));
        assert_eq!(host_and_port("2001:db8::24(5000)"), ("2001:db8::24", Some("5000")));
        assert_eq!(host_colon_port("10.0.0.7:5000"), ("10.0.0.7", Some("5000")));
        assert_eq!(host_colon_port("::1:16790"), ("::1", Some("16790")));
        assert_eq!(host_colon_port("[::1]:5000"), ("::1", Some("5000")));
        assert_eq!(host_colon_port("[local]"), ("[local]", None));
    }
}
