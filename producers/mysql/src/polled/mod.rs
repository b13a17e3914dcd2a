//! Tables that are polled: rows without the binlog or any privilege but SELECT; and the server's
//! logs, where it writes them into tables.

mod inspect;
mod shape;
mod table;

use std::sync::Arc;

use clap::Args;
use tahoe_pipeline::poll::{Poll, PollSettings};
use tahoe_pipeline::replicate::Replicate;
use tahoe_pipeline::service::{List, Place, Planned};
use tahoe_schemas::datasets;

use crate::polled::table::Polled;
use crate::server::Server;

/// Flags and variables.
#[derive(Args, Clone, Debug)]
pub(crate) struct MysqlPollArgs {
    /// Table that is polled, and the columns to read it by, a key that grows or a time
    /// (orders:id, shop.orders:updated_at,id); may be repeated
    #[arg(long, env = "MYSQL_POLL", value_name = "TABLE:COLUMNS", value_delimiter = ';')]
    mysql_poll: Vec<String>,
    /// Table of the general or the slow log (mysql.general_log, mysql.slow_log), or of that shape,
    /// perhaps with the column to read it by (mysql_general_log:id); may be repeated
    #[arg(long, env = "MYSQL_LOG_TABLE", value_name = "TABLE", value_delimiter = ';')]
    mysql_log_table: Vec<String>,
    /// How often: a time (10s, 5m, 2h), or a cron line ('0 3 * * *') in the zone of --tz
    #[arg(long, env = "MYSQL_POLL_EVERY", default_value = "10s", value_name = "TIME")]
    mysql_poll_every: String,
    /// Seconds by which a row may be later than rows behind it, beside its transaction
    /// [default: 10; 60 without the PROCESS privilege, which shows open transactions]
    #[arg(long, env = "MYSQL_POLL_OVERLAP", value_name = "SECONDS")]
    mysql_poll_overlap: Option<u64>,
    /// Rows that one statement reads of a polled table at most
    #[arg(long, env = "MYSQL_POLL_ROWS", default_value_t = 20_000, value_name = "ROWS",
        value_parser = clap::value_parser!(u64).range(1..))]
    mysql_poll_rows: u64,
}

/// A table, what it is read by, and what its rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    /// The setting, for errors.
    setting: &'static str,
    database: String,
    table: String,
    by: Vec<String>,
    dataset: &'static str,
}

impl Asked {
    /// `[database.]table:column[,column…]`
    fn rows(text: &str, database: &str) -> Result<Self, String> {
        let setting = "--mysql-poll";
        let wrong = || format!("{setting} {text}: give TABLE:COLUMNS, as orders:updated_at,id");
        let (table, by) = text.rsplit_once(':').ok_or_else(wrong)?;
        let by: Vec<_> = by.split(',').map(|column| column.trim().to_owned()).collect();
        if table.is_empty() || by.iter().any(String::is_empty) {
            return Err(wrong());
        }
        let (database, table) = qualified(setting, table, database)?;
        Ok(Self { setting, database, table, by, dataset: "mysql.row" })
    }

    /// `[database.]table[:column]`
    fn log(text: &str, database: &str) -> Result<Self, String> {
        let setting = "--mysql-log-table";
        let (table, by) = text.split_once(':').unwrap_or((text, ""));
        let (database, table) = qualified(setting, table, database)?;
        let (dataset, time) = match table.contains("slow") {
            true => ("mysql.slowlog", shape::END_TIME),
            false => ("mysql.general", "event_time"),
        };
        let by = if by.is_empty() { time } else { by };
        Ok(Self { setting, database, table, by: vec![by.to_owned()], dataset })
    }

    /// Its rows are the lines of a log.
    fn is_log(&self) -> bool {
        self.dataset != "mysql.row"
    }
}

fn qualified(setting: &str, table: &str, database: &str) -> Result<(String, String), String> {
    let (database, table) = table.split_once('.').unwrap_or((database, table));
    match database.is_empty() || table.is_empty() {
        true => Err(format!("{setting} {table}: give DATABASE.TABLE, or set MYSQL_DATABASE")),
        false => Ok((database.to_owned(), table.to_owned())),
    }
}

impl MysqlPollArgs {
    /// The lists that a file may add to. A database that a table does not name is not known yet.
    pub fn lists(&mut self) -> [List<'_>; 2] {
        const ANY: &str = "any";
        let (rows, log) = (&|text: &str| Asked::rows(text, ANY).map(drop), &|text: &str| {
            Asked::log(text, ANY).map(drop)
        });
        [
            List { name: "mysql-poll", values: &mut self.mysql_poll, check: Some(rows) },
            List { name: "mysql-log-table", values: &mut self.mysql_log_table, check: Some(log) },
        ]
    }

    /// Tables are polled.
    pub fn is_set(&self) -> bool {
        self.mysql_poll.iter().chain(&self.mysql_log_table).any(|table| !table.is_empty())
    }
}

/// One source for each table, so that a slow one holds up no other.
///
/// # Errors
/// Names the setting that cannot be.
pub(crate) fn plan(
    args: &MysqlPollArgs,
    server: &Arc<Server>,
    database: &str,
    place: &Place,
) -> Result<Vec<Planned>, String> {
    let every = ("--mysql-poll-every", args.mysql_poll_every.as_str());
    let settings = place.polling(every, args.mysql_poll_overlap, args.mysql_poll_rows)?;
    let given = |tables: &[String]| -> Vec<String> {
        tables.iter().filter(|table| !table.is_empty()).cloned().collect()
    };
    let rows = given(&args.mysql_poll).into_iter().map(|text| Asked::rows(&text, database));
    let logs = given(&args.mysql_log_table).into_iter().map(|text| Asked::log(&text, database));
    let mut planned: Vec<Planned> = Vec::new();
    for asked in rows.chain(logs) {
        let asked = asked?;
        let text = format!("{} {}.{}", asked.setting, asked.database, asked.table);
        let one = plan_table(asked, server, place, &settings);
        if planned.iter().any(|other| other.name == one.name) {
            return Err(format!("{text}: the table is there twice"));
        }
        planned.push(one);
    }
    Ok(planned)
}

fn plan_table(
    asked: Asked,
    server: &Arc<Server>,
    place: &Place,
    settings: &PollSettings,
) -> Planned {
    let name = format!("{}.{}", asked.database, asked.table);
    let path = format!("mysql://{}/{name}", server.name());
    let source = format!("{} poll {path}", place.host);
    let dataset = datasets::find(asked.dataset).expect("the dataset is in the list");
    let kind = place.kind(dataset, &source, &path, true);
    let note = format!("polling {path} by {} as {}", asked.by.join(","), asked.dataset);
    let (inspected, zone) = (asked.clone(), place.time_zone.clone());
    let (server, settings) = (Arc::clone(server), settings.clone());
    let topics = vec![kind.topic.clone()];
    Planned {
        name: format!("mysql-poll-{name}"),
        notes: vec![note],
        waits_for_others: false,
        topics,
        inspect: Some(crate::inspection(Arc::clone(&server), |server| async move {
            inspect::inspect(&server, &inspected).await
        })),
        open: Box::new(move || {
            let polled = Polled::new(asked.clone(), Arc::clone(&server), zone.clone())?;
            let feed = Poll::new(polled, settings.clone());
            Ok(Box::new(Replicate::new(feed, vec![kind.clone()])))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_with_its_columns_and_perhaps_its_database() {
        let rows = |text| {
            let asked = Asked::rows(text, "shop");
            asked.map(|asked| (asked.database, asked.table, asked.by.join("+"))).ok()
        };
        let of = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(rows("orders:id"), of("shop", "orders", "id"));
        assert_eq!(rows("blog.posts:updated_at, id"), of("blog", "posts", "updated_at+id"));
        assert_eq!([rows("orders"), rows(":id"), rows("orders:id,")], [None, None, None]);
        assert!(Asked::rows("orders:id", "").is_err());
    }

    #[test]
    fn a_log_table_is_read_by_its_time_unless_it_has_a_key() {
        let log = |text| Asked::log(text, "shop").map(|asked| (asked.by.concat(), asked.dataset));
        assert_eq!(log("mysql.slow_log"), Ok(("end_time".to_owned(), "mysql.slowlog")));
        assert_eq!(log("mysql.general_log"), Ok(("event_time".to_owned(), "mysql.general")));
        assert_eq!(log("mysql_general_log:id"), Ok(("id".to_owned(), "mysql.general")));
    }
}
