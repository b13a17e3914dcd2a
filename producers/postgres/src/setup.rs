//! The publication and the slot: made once, before the first start, and taken away in the end. A
//! slot keeps the server's log until it is read, or dropped.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::connection::{Connection, Purpose};
use crate::failure::Failure;
use crate::settings::Settings;

/// Creates what is missing; says what is there.
///
/// # Errors
/// The server's, with the setting to change.
pub fn prepare(settings: &Settings) -> Result<String, String> {
    in_conversation(settings, |connection| {
        let (publication, slot) = (&settings.publication, &settings.slot);
        let mut lines = Vec::new();
        // The stream can be read only from where the publication exists, so it is first.
        let there = format!(
            "SELECT pubname FROM pg_publication WHERE pubname = {}",
            escape_literal(publication)
        );
        if connection.query(&there)?.is_empty() {
            connection.query(&create_publication(settings))?;
            lines.push(format!("publication {publication} created"));
        } else {
            lines.push(format!("publication {publication} is there"));
        }
        let literal = escape_literal(slot);
        let there =
            format!("SELECT slot_name FROM pg_replication_slots WHERE slot_name = {literal}");
        if connection.query(&there)?.is_empty() {
            // It waits for the transactions that are running.
            connection.query("SET statement_timeout = '9s'")?;
            let sql = format!("SELECT pg_create_logical_replication_slot({literal}, 'pgoutput')");
            connection.query(&sql)?;
            lines.push(format!("slot {slot} created: the server keeps its log for it from now on"));
        } else {
            lines.push(format!("slot {slot} is there"));
        }
        Ok(lines.join("\n"))
    })
}

/// Drops the slot, and the publication.
///
/// # Errors
/// The server's: a slot that is in use is not dropped.
pub fn dismantle(settings: &Settings) -> Result<String, String> {
    in_conversation(settings, |connection| {
        let (publication, slot) = (&settings.publication, &settings.slot);
        let literal = escape_literal(slot);
        let sql = format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
             WHERE slot_name = {literal}"
        );
        let dropped = !connection.query(&sql)?.is_empty();
        connection
            .query(&format!("DROP PUBLICATION IF EXISTS {}", escape_identifier(publication)))?;
        let slot_line = match dropped {
            true => format!("slot {slot} dropped"),
            false => format!("slot {slot} was not there"),
        };
        Ok(format!("{slot_line}\npublication {publication} dropped"))
    })
}

/// The statement that makes the publication.
pub fn create_publication(settings: &Settings) -> String {
    let name = escape_identifier(&settings.publication);
    if settings.tables.is_empty() {
        return format!("CREATE PUBLICATION {name} FOR ALL TABLES");
    }
    let table = |table: &String| match table.split_once('.') {
        Some((schema, table)) => {
            format!("{}.{}", escape_identifier(schema), escape_identifier(table))
        }
        None => format!("public.{}", escape_identifier(table)),
    };
    let tables: Vec<_> = settings.tables.iter().map(table).collect();
    format!("CREATE PUBLICATION {name} FOR TABLE {}", tables.join(", "))
}

/// Runs `act` in a conversation of its own; an error names what to change.
///
/// # Errors
/// The server's.
pub fn in_conversation<T>(
    settings: &Settings,
    act: impl FnOnce(&mut Connection) -> Result<T, Failure>,
) -> Result<T, String> {
    let connection = Connection::open(&settings.server, Purpose::Statements);
    let acted = connection.and_then(|mut connection| act(&mut connection));
    acted.map_err(|failure| {
        let advice = match failure.code() {
            "57014" => ": a transaction that is open for long holds it up; see pg_stat_activity",
            "55006" => ": stop the producer that reads it first",
            "55000" => ": `--check` names the statement to run",
            _ => failure.advice(),
        };
        format!("{failure}{advice}")
    })
}
