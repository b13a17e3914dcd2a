//! What `--check` says of a polled table, and the statement for what it lacks.

use postgres_protocol::escape::escape_identifier;

use super::table::Polled;
use crate::failure::Failure;
use tahoe_pipeline::poll::Table as _;

/// Looks, changes nothing: lines of what was found.
///
/// # Errors
/// What stands in the way.
pub fn inspect(mut polled: Polled) -> Result<String, String> {
    look(&mut polled).map_err(|failure| format!("{failure}{}", failure.advice()))
}

fn look(polled: &mut Polled) -> Result<String, Failure> {
    let version = polled.value("SELECT current_setting('server_version')")?;
    let shape = polled.shape()?;
    let name = polled.name();
    let from = shape.from.trim_start_matches("ONLY ");
    if !shape.may_read {
        let user = polled.value("SELECT quote_ident(current_user)")?;
        return Err(Failure::Setting(format!(
            "{name} may not be read: GRANT SELECT ON {from} TO {user};"
        )));
    }
    let by = polled.by_text();
    let mut lines = vec![format!("PostgreSQL {version} at {name}, by {by}")];
    if !shape.has_index {
        let columns: Vec<_> = shape.by.iter().map(|by| escape_identifier(&by.name)).collect();
        let columns = columns.join(", ");
        lines.push(format!(
            "warning: no index begins with {}: every reading goes through the whole table; \
             CREATE INDEX CONCURRENTLY ON {from} ({columns});",
            shape.by[0].name
        ));
    }
    for column in shape.by.iter().filter(|column| column.may_be_null) {
        let column = &column.name;
        lines.push(format!("warning: rows whose {column} is NULL are not read"));
    }
    if !shape.table.has_key() {
        lines.push("warning: it has no primary key: a row is its own Kafka key".to_owned());
    }
    lines.push(match polled.transactions(&shape)? {
        Some(_) => "late rows are looked for back to the oldest open transaction".to_owned(),
        None => "warning: open transactions cannot be seen: late rows are looked for only \
                 --pg-poll-overlap seconds back"
            .to_owned(),
    });
    Ok(lines.join("\n"))
}
