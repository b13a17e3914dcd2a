//! What `--check` says of a server: its version, how it writes its binlog, what this user may do,
//! and the statement to run for what is missing.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use crate::failure::Failure;
use crate::server::{Server, Variables};

/// What an administrator runs for a user that reads changes.
pub(crate) const GRANT: &str = "grant this user what it needs: GRANT SELECT, LOCK TABLES, \
     REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO its account (MariaDB: also BINLOG MONITOR)";

/// Why changes cannot be read from a server with these settings.
pub(crate) fn refusal(server: &Server, variables: &Variables) -> Option<String> {
    let name = server.name();
    if variables.get("log_bin") != "ON" {
        return Some(format!(
            "MySQL at {name} keeps no binlog: set log_bin and server_id in its [mysqld] section \
             and restart it, or leave changes out with --mysql-changes off"
        ));
    }
    if !variables.get("binlog_format").eq_ignore_ascii_case("ROW") {
        return Some(format!(
            "MySQL at {name} has binlog_format = {}: SET GLOBAL binlog_format = 'ROW', keep it in \
             its [mysqld] section, and let its clients connect anew",
            variables.get("binlog_format")
        ));
    }
    if variables.get("log_bin_compress") == "ON" {
        return Some(format!("MySQL at {name}: SET GLOBAL log_bin_compress = OFF"));
    }
    None
}

/// Why a replica's binlog has nothing of what its primary tells it.
pub(crate) fn keeps_nothing(variables: &Variables) -> Option<&'static str> {
    let has_followed = !variables.get("gtid_slave_pos").is_empty();
    let follows = has_followed || variables.get("read_only") == "ON";
    (follows && variables.get("log_slave_updates") == "OFF").then_some(
        "log_slave_updates = OFF: what a primary tells this server is not in its binlog, and \
         cannot be read here: set it in the [mysqld] section and restart the server, or read from \
         the primary",
    )
}

/// Lines of what was found; a line that begins with `warning:` names something to change.
pub(crate) async fn inspect(server: &Server) -> Result<String, Failure> {
    let mut conn = server.connect().await?;
    let variables = server.variables(&mut conn).await?;
    let mut lines = vec![format!(
        "{} {} at {}, {}",
        if variables.is_mariadb() { "MariaDB" } else { "MySQL" },
        variables.get("version"),
        server.name(),
        variables.identity(),
    )];
    let settings =
        ["log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "server_id"];
    let settings = settings.into_iter().filter(|name| variables.has(name));
    let settings: Vec<_> =
        settings.map(|name| format!("{name} = {}", variables.get(name))).collect();
    lines.push(settings.join(", "));
    if let Some(refusal) = refusal(server, &variables) {
        return Err(Failure::Stop(format!("{}\n{refusal}", lines.join("\n"))));
    }
    lines.extend(warnings(&variables));
    let (offset, gtids) = server.end(&mut conn, &variables).await?;
    lines.push(match gtids {
        Some(gtids) => format!("binlog at {}, transactions {gtids}", offset.text()),
        None => format!("binlog at {}, without global transaction ids", offset.text()),
    });
    lines.extend(privileges(server, &mut conn).await?);
    let _ = conn.disconnect().await;
    Ok(lines.join("\n"))
}

fn warnings(variables: &Variables) -> Vec<String> {
    let mut lines = Vec::new();
    let image = variables.get("binlog_row_image");
    if !image.is_empty() && image != "FULL" {
        lines.push(format!(
            "warning: binlog_row_image = {image} leaves columns out: SET GLOBAL binlog_row_image = \
             FULL"
        ));
    }
    match variables.get("binlog_row_metadata") {
        "FULL" => {}
        "" => lines.push(
            "this version's binlog has no names of columns: they follow from its statements"
                .to_owned(),
        ),
        other => lines.push(format!(
            "warning: binlog_row_metadata = {other} leaves the names of columns out, which then \
             follow from the binlog's statements: SET GLOBAL binlog_row_metadata = FULL"
        )),
    }
    lines.extend(keeps_nothing(variables).map(|text| format!("warning: {text}")));
    if variables.get("server_id") == "0" {
        lines.push("warning: server_id = 0 serves no replica: SET GLOBAL server_id = 1".to_owned());
    }
    lines
}

/// Which of the privileges that reading needs are missing, as far as SHOW GRANTS tells.
async fn privileges(server: &Server, conn: &mut Conn) -> Result<Vec<String>, Failure> {
    let grants: Vec<String> =
        conn.query("SHOW GRANTS").await.map_err(server.failure("SHOW GRANTS"))?;
    let global: Vec<_> = grants.iter().filter(|grant| grant.contains(" ON *.* ")).collect();
    let has = |names: &[&str]| {
        let any = |grant: &&&String| names.iter().any(|name| grant.contains(name));
        global.iter().find(any).is_some()
    };
    let all = "ALL PRIVILEGES";
    let mut missing = Vec::new();
    if !has(&[all, "REPLICATION SLAVE", "REPLICATION REPLICA"]) {
        missing.push("REPLICATION SLAVE");
    }
    if !has(&[all, "REPLICATION CLIENT", "BINLOG MONITOR"]) {
        missing.push("REPLICATION CLIENT");
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let user: Option<String> = conn
        .query_first("SELECT REPLACE(CURRENT_USER(), '@', '''@''')")
        .await
        .map_err(server.failure("SELECT CURRENT_USER()"))?;
    let user = user.unwrap_or_default();
    Ok(vec![format!("warning: GRANT {} ON *.* TO '{user}'", missing.join(", "))])
}
