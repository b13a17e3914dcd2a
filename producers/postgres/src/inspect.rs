//! What a server has for reading of changes, and the statement for what it lacks.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::connection::{Connection, Purpose};
use crate::failure::Failure;
use crate::lsn::Lsn;
use crate::settings::Settings;

/// Looks, changes nothing: lines of what was found, or of what is missing.
///
/// # Errors
/// With everything that was found, if something stands in the way.
pub fn inspect(settings: &Settings) -> Result<String, String> {
    let connection = Connection::open(&settings.server, Purpose::Statements);
    let looked = connection.and_then(|mut connection| look(settings, &mut connection));
    let found = looked.map_err(|failure| format!("{failure}{}", failure.advice()))?;
    match found.missing {
        false => Ok(found.lines.join("\n")),
        true => Err(found.lines.join("\n")),
    }
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
    missing: bool,
}

impl Found {
    fn miss(&mut self, line: String) {
        self.lines.push(line);
        self.missing = true;
    }
}

fn look(settings: &Settings, connection: &mut Connection) -> Result<Found, Failure> {
    let mut found = Found::default();
    let sql = "SELECT current_setting('server_version'), pg_is_in_recovery()::text, \
               current_setting('wal_level'), current_setting('max_replication_slots'), \
               (SELECT count(*) FROM pg_replication_slots)::text, \
               (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)::text, \
               current_user::text";
    let row = connection.query(sql)?.into_iter().next().unwrap_or_default();
    let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let role = if text(1) == "true" { "standby" } else { "primary" };
    let place = settings.server.place();
    found.lines.push(format!("PostgreSQL {} at {place}, {role}, as {}", text(0), text(6)));
    match text(2).as_str() {
        "logical" => found.lines.push("wal_level is logical".to_owned()),
        level => found.miss(format!(
            "wal_level is {level}: ALTER SYSTEM SET wal_level = logical; and restart the server"
        )),
    }
    if text(5) != "true" {
        let user = escape_identifier(&text(6));
        found.miss(format!("the role may not replicate: ALTER ROLE {user} REPLICATION;"));
    }
    look_at_slot(settings, connection, &mut found, (&text(4), &text(3)))?;
    look_at_tables(settings, connection, &mut found)?;
    Ok(found)
}

fn look_at_slot(
    settings: &Settings,
    connection: &mut Connection,
    found: &mut Found,
    (slots, slots_max): (&str, &str),
) -> Result<(), Failure> {
    let slot = &settings.slot;
    let literal = escape_literal(slot);
    let sql = format!(
        "SELECT coalesce(plugin, ''), coalesce(database, ''), active::text, confirmed_flush_lsn, \
         restart_lsn FROM pg_replication_slots WHERE slot_name = {literal}"
    );
    let end: Lsn = connection.value(crate::rows::LOG_END)?.parse().unwrap_or_default();
    let Some(row) = connection.query(&sql)?.into_iter().next() else {
        let full = if slots == slots_max { ": raise max_replication_slots first" } else { "" };
        found.miss(format!(
            "slot {slot} does not exist ({slots} of {slots_max} are in use{full}): --setup, or \
             SELECT pg_create_logical_replication_slot({literal}, 'pgoutput');"
        ));
        return Ok(());
    };
    let text = |at: usize| row[at].as_deref().unwrap_or_default();
    if (text(0), text(1)) != ("pgoutput", settings.server.database.as_str()) {
        let (plugin, database) = (text(0), text(1));
        found.miss(format!(
            "slot {slot} is of plugin {plugin} and database {database}: name another by --pg-slot"
        ));
        return Ok(());
    }
    let kept = text(4).parse::<Lsn>().map_or(0, |from| end.0.saturating_sub(from.0));
    let active = if text(2) == "true" { "in use" } else { "not in use" };
    let at = text(3);
    found.lines.push(format!(
        "slot {slot} at {at}, {active}, keeps {kept} bytes of log; {slots} of {slots_max} slots"
    ));
    Ok(())
}

fn look_at_tables(
    settings: &Settings,
    connection: &mut Connection,
    found: &mut Found,
) -> Result<(), Failure> {
    let publication = &settings.publication;
    let literal = escape_literal(publication);
    let sql = format!("SELECT pubname FROM pg_publication WHERE pubname = {literal}");
    if connection.query(&sql)?.is_empty() {
        let statement = crate::setup::create_publication(settings);
        found.miss(format!("publication {publication} does not exist: --setup, or {statement};"));
        return Ok(());
    }
    let sql = format!(
        "SELECT format('%I.%I', n.nspname, c.relname), c.relreplident, \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)::text, \
         has_table_privilege(c.oid, 'SELECT')::text \
         FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname \
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
         WHERE p.pubname = {literal} ORDER BY 1"
    );
    let tables = connection.query(&sql)?;
    found.lines.push(format!("publication {publication} has {} tables", tables.len()));
    for row in tables {
        let text = |at: usize| row[at].as_deref().unwrap_or_default();
        let table = text(0);
        if text(3) != "true" {
            let user = escape_identifier(&settings.server.user);
            found.miss(format!("{table} may not be read: GRANT SELECT ON {table} TO {user};"));
        }
        let full = format!("ALTER TABLE {table} REPLICA IDENTITY FULL;");
        found.lines.push(match (text(1), text(2)) {
            ("d", "true") => format!("{table}: key before changes; {full} for whole rows"),
            ("d", _) | ("n", "false") => format!(
                "warning: {table} has no primary key: the server refuses UPDATE and DELETE, and \
                 its earlier rows are not read; {full}"
            ),
            ("n", _) => format!(
                "warning: {table} has REPLICA IDENTITY NOTHING: the server refuses UPDATE and \
                 DELETE; {full}"
            ),
            ("f", "true") => format!("{table}: whole rows before changes"),
            ("f", _) => format!(
                "warning: {table} has no primary key: its earlier rows are not read, its changes \
                 go by whole rows"
            ),
            _ => format!("{table}: the columns of its identity's index before changes"),
        });
    }
    Ok(())
}
