//! Tables that are polled: rows without a slot, a publication or any privilege but SELECT.

mod inspect;
mod shape;
mod table;

use clap::Args;
use tahoe_pipeline::poll::{Poll, PollSettings};
use tahoe_pipeline::replicate::Replicate;
use tahoe_pipeline::service::{List, Place, Planned};

use crate::connection::Server;
use crate::polled::table::Polled;

/// Flags and variables.
#[derive(Args, Clone, Debug)]
pub struct PostgresPollArgs {
    /// Table that is polled, and the columns to read it by, a key that grows or a time
    /// (orders:id, shop.orders:updated_at,id); may be repeated
    #[arg(long, env = "TAHOE_PG_POLL", value_name = "TABLE:COLUMNS", value_delimiter = ';')]
    pg_poll: Vec<String>,
    /// How often: a time (10s, 5m, 2h), or a cron line ('0 3 * * *') in the zone of --tz
    #[arg(long, env = "TAHOE_PG_POLL_EVERY", default_value = "10s", value_name = "TIME")]
    pg_poll_every: String,
    /// Seconds by which a row may be later than rows behind it, beside its transaction
    /// [default: 10; 60 where the server does not say which transactions are open]
    #[arg(long, env = "TAHOE_PG_POLL_OVERLAP", value_name = "SECONDS")]
    pg_poll_overlap: Option<u64>,
    /// Rows that one statement reads of a polled table at most
    #[arg(long, env = "TAHOE_PG_POLL_ROWS", default_value_t = 20_000, value_name = "ROWS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pg_poll_rows: u64,
}

/// A table, and by what it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    schema: String,
    table: String,
    by: Vec<String>,
}

impl Asked {
    /// `[schema.]table:column[,column…]`
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("--pg-poll {text}: give TABLE:COLUMNS, such as orders:updated_at,id");
        let (table, by) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (schema, table) = table.split_once('.').unwrap_or(("public", table));
        let by: Vec<_> = by.split(',').map(|column| column.trim().to_owned()).collect();
        if schema.is_empty() || table.is_empty() || by.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self { schema: schema.to_owned(), table: table.to_owned(), by })
    }
}

impl PostgresPollArgs {
    /// The list that a file may add to.
    pub fn list(&mut self) -> List<'_> {
        let check = &|text: &str| Asked::parse(text).map(drop);
        List { name: "pg-poll", values: &mut self.pg_poll, check: Some(check) }
    }

    /// Tables are polled.
    pub fn is_set(&self) -> bool {
        self.pg_poll.iter().any(|table| !table.is_empty())
    }
}

/// One source for each table, so that a slow one holds up no other.
///
/// # Errors
/// Names the setting that cannot be.
pub fn plan(
    args: &PostgresPollArgs,
    server: &Server,
    record_bytes_max: usize,
    place: &Place,
) -> Result<Vec<Planned>, String> {
    let every = ("--pg-poll-every", args.pg_poll_every.as_str());
    let settings = place.polling(every, args.pg_poll_overlap, args.pg_poll_rows)?;
    let mut planned: Vec<Planned> = Vec::new();
    for text in args.pg_poll.iter().filter(|text| !text.is_empty()) {
        let asked = Asked::parse(text)?;
        let one = plan_table(asked, server, record_bytes_max, place, &settings);
        if planned.iter().any(|other| other.name == one.name) {
            return Err(format!("--pg-poll {text}: the table is there twice"));
        }
        planned.push(one);
    }
    Ok(planned)
}

fn plan_table(
    asked: Asked,
    server: &Server,
    record_bytes_max: usize,
    place: &Place,
    settings: &PollSettings,
) -> Planned {
    let name = format!("{}.{}", asked.schema, asked.table);
    let path = format!("{} {name}", server.place());
    let source = format!("{}\0postgresql poll\0{path}", place.host);
    let kind = crate::kind("postgresql.row", &source, &path, place);
    let polled = Polled::new(asked, server.clone(), record_bytes_max, place.time_zone.clone());
    let note = format!("polling {path} by {}", polled.by_text());
    let (inspected, settings, topics) =
        (polled.clone(), settings.clone(), vec![kind.topic.clone()]);
    Planned {
        name: format!("postgres-poll-{name}"),
        notes: vec![note],
        waits_for_others: false,
        topics,
        open: Box::new(move || {
            let feed = Poll::new(polled.clone(), settings.clone());
            Ok(Box::new(Replicate::new(feed, vec![kind.clone()])))
        }),
        inspect: Some(Box::new(move || inspect::inspect(inspected))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_with_its_columns_and_perhaps_its_schema() {
        let asked =
            |text| Asked::parse(text).map(|asked| (asked.schema, asked.table, asked.by.join("+")));
        let of = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(asked("orders:id"), of("public", "orders", "id"));
        assert_eq!(asked("shop.a:b:updated_at, id"), of("shop", "a:b", "updated_at+id"));
        for wrong in ["orders", ":id", "orders:", "orders:id,", ".orders:id"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
