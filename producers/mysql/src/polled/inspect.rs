//! What `--check` says of a polled table, and the statement for what it lacks.

use mysql_async::prelude::Queryable as _;

use super::Asked;
use super::shape::Shape;
use super::table::shows_transactions;
use crate::failure::Failure;
use crate::read::quoted;
use crate::server::Server;

/// Looks, changes nothing: lines of what was found.
pub(super) async fn inspect(server: &Server, asked: &Asked) -> Result<String, Failure> {
    let mut conn = server.connect().await?;
    let shape = Shape::look_up(server, &mut conn, asked).await?;
    let failed = server.failure("read the table");
    let from = shape.from();
    conn.query_drop(format!("SELECT 1 FROM {from} LIMIT 1")).await.map_err(&failed)?;
    let (name, by) = (from.replace('`', ""), asked.by.join(","));
    let mut lines = vec![format!("{name} at {}, by {by}", server.name())];
    let first = &asked.by[0];
    if !shape.has_index && !asked.is_log() {
        let columns: Vec<_> = asked.by.iter().map(|name| quoted(name)).collect();
        let columns = columns.join(", ");
        lines.push(format!(
            "warning: no index begins with {first}: every reading goes through the whole table; \
             CREATE INDEX tahoe_poll ON {from} ({columns});"
        ));
    }
    for column in &shape.nullable {
        lines.push(format!("warning: rows whose {column} is NULL are not read"));
    }
    if asked.is_log() {
        let output: Option<(String, String)> =
            conn.query_first("SHOW GLOBAL VARIABLES LIKE 'log_output'").await.map_err(&failed)?;
        let output = output.map_or(String::new(), |(_, value)| value);
        if asked.database == "mysql" && !output.contains("TABLE") {
            lines.push(format!(
                "warning: log_output = {output}: the server writes nothing into the table; \
                 SET GLOBAL log_output = 'TABLE'"
            ));
        }
    } else if shape.table.key.is_empty() {
        lines.push("warning: it has no primary key: a row is its own Kafka key".to_owned());
    }
    lines.push(match (shape.is_transactional, shows_transactions(server, &mut conn).await?) {
        (false, _) => "its rows are written without transactions".to_owned(),
        (_, true) => "late rows are looked for back to the oldest open transaction".to_owned(),
        (_, false) => "warning: open transactions cannot be seen: late rows are looked for only \
             --mysql-poll-overlap seconds back; GRANT PROCESS ON *.* TO its account"
            .to_owned(),
    });
    let _ = conn.disconnect().await;
    Ok(lines.join("\n"))
}
