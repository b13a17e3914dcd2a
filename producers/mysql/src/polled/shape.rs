//! What a polled table looks like now: its columns, its keys, and how its rows are ordered.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tahoe_pipeline::poll::{Cursor, Part, offset_now};

use super::Asked;
use crate::column::{Described, Table};
use crate::failure::Failure;
use crate::read::{self, quoted, quoted_table, table_of, text_literal};
use crate::server::Server;

/// What a slow log's rows are read by: they are written when their statement ends, and only say
/// when it began and how long it took.
pub(super) const END_TIME: &str = "end_time";
const END_TIME_SQL: &str = "ADDTIME(`start_time`, `query_time`)";

const NUMBERS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];
const TIMES: [&str; 2] = ["datetime", "timestamp"];
const TEXTS: [&str; 5] = ["char", "varchar", "tinytext", "text", "mediumtext"];

/// A table, as it is now.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Its columns, in their order.
    pub described: Vec<Described>,
    /// The same as the writer of records knows it.
    pub table: Table,
    /// Columns that it is read by, in their order, by index.
    pub by: Vec<usize>,
    /// Its rows are written in transactions.
    pub is_transactional: bool,
    /// No two rows have the same values in the columns.
    pub is_unique: bool,
    /// An index begins with the first of them.
    pub has_index: bool,
    /// Columns of them that may be NULL.
    pub nullable: Vec<String>,
}

/// A column of an index: the index, the column, whether the index is not unique, its place there.
type Indexed = (String, String, u8, u64);

impl Shape {
    pub async fn look_up(server: &Server, conn: &mut Conn, asked: &Asked) -> Result<Self, Failure> {
        let failed = server.failure("read the columns of a table");
        let (database, table) = (asked.database.as_str(), asked.table.as_str());
        let (setting, name) = (asked.setting, format!("{database}.{table}"));
        let mut described = server.describe(conn, database, table).await?;
        if described.is_empty() {
            let text = format!(
                "{setting}: no table {name} that this user may read: correct the name, or \
                 GRANT SELECT ON {} TO its account",
                quoted_table(database, table)
            );
            return Err(Failure::Stop(text));
        }
        let has = |name: &str| described.iter().any(|column| column.name == name);
        if asked.is_log() && !has(END_TIME) && has("start_time") && has("query_time") {
            described.push(end_time());
        }
        let by = ordered(asked, &name, &described)?;
        let engine: Option<Option<String>> = conn
            .exec_first(
                "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND \
                 TABLE_NAME = ?",
                (database, table),
            )
            .await
            .map_err(&failed)?;
        let indexed: Vec<Indexed> = conn
            .exec(
                "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, SEQ_IN_INDEX FROM \
                 information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND \
                 COLUMN_NAME IS NOT NULL",
                (database, table),
            )
            .await
            .map_err(&failed)?;
        let nullable: Vec<String> = conn
            .exec(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND \
                 TABLE_NAME = ? AND IS_NULLABLE = 'YES'",
                (database, table),
            )
            .await
            .map_err(&failed)?;
        let is_by = |name: &String| asked.by.contains(name);
        let engine = engine.flatten().unwrap_or_default().to_ascii_lowercase();
        Ok(Self {
            table: table_of(database, table, &described),
            is_transactional: !["csv", "myisam", "aria", "archive"].contains(&engine.as_str()),
            is_unique: is_unique(&indexed, is_by),
            has_index: indexed.iter().any(|(_, name, _, at)| *at == 1 && *name == asked.by[0]),
            nullable: nullable.into_iter().filter(is_by).collect(),
            described,
            by,
        })
    }

    /// `` `shop`.`orders` ``
    pub fn from(&self) -> String {
        quoted_table(&self.table.database, &self.table.name)
    }

    /// A column, or what stands for it.
    pub fn sql_of(&self, at: usize) -> String {
        match &self.described[at] {
            column if column.full_type == END_TIME_SQL => END_TIME_SQL.to_owned(),
            column => quoted(&column.name),
        }
    }

    fn first(&self) -> &Described {
        &self.described[self.by[0]]
    }

    /// Expressions of the columns that order as [`Part`] does.
    fn expressions(&self) -> Vec<String> {
        let expression = |at: &usize| {
            let name = self.sql_of(*at);
            match TEXTS.contains(&self.described[*at].data_type.as_str()) {
                true => format!("CONVERT({name} USING utf8mb4) COLLATE utf8mb4_bin"),
                false => name,
            }
        };
        self.by.iter().map(expression).collect()
    }

    /// ` ORDER BY …`
    pub fn order(&self, after: &str) -> String {
        let each: Vec<_> = self.expressions().into_iter().map(|column| column + after).collect();
        format!(" ORDER BY {}", each.join(", "))
    }

    /// Rows that have a place in the order, and of those by time none of the future: clocks that
    /// are wrong shall not carry the reader past everything that follows.
    pub fn condition(&self, zone: &str) -> String {
        let known = self.by.iter().map(|at| {
            let name = self.sql_of(*at);
            format!("{name} IS NOT NULL")
        });
        let mut condition = known.collect::<Vec<_>>().join(" AND ");
        let first = self.sql_of(self.by[0]);
        match self.first().data_type.as_str() {
            // The session is in UTC.
            "timestamp" => condition += &format!(" AND {first} <= UTC_TIMESTAMP()"),
            "datetime" => {
                let now = format!("CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', '{}')", offset_now(zone));
                condition += &format!(" AND {first} <= {now}");
            }
            _ => {}
        }
        condition
    }

    /// Behind a place, or up to it; beside `a >= 1`, by which every version finds the rows in an
    /// index.
    pub fn compared(&self, cursor: &Cursor, last: &str) -> String {
        let columns = self.expressions();
        let values: Vec<_> = cursor.0.iter().map(literal).collect();
        let compared = read::compared(&columns, last, &values);
        let strict = &last[..1];
        match columns.len() {
            1 => format!(" AND {compared}"),
            _ => format!(" AND {} {strict}= {} AND {compared}", columns[0], values[0]),
        }
    }
}

/// In the session's zone, which is UTC.
fn end_time() -> Described {
    Described {
        name: END_TIME.to_owned(),
        data_type: "timestamp".to_owned(),
        full_type: END_TIME_SQL.to_owned(),
        charset: String::new(),
        in_key: None,
    }
}

/// A value as a literal of SQL; times in the form of old versions.
fn literal(part: &Part) -> String {
    let text = match part {
        Part::Number(number) => return number.to_string(),
        Part::Text(text) => text,
    };
    let is_time = text.len() >= 19 && text.as_bytes()[10] == b'T';
    if is_time && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:T.".contains(&byte)) {
        return format!("'{} {}'", &text[..10], &text[11..]);
    }
    text_literal(text.as_bytes())
}

/// The columns hold all those of an index without doubles.
fn is_unique(indexed: &[Indexed], is_by: impl Fn(&String) -> bool) -> bool {
    let unique = indexed.iter().filter(|(_, _, is_not_unique, _)| *is_not_unique == 0);
    let names: Vec<&String> = unique.map(|(index, ..)| index).collect();
    names.iter().any(|name| {
        let mut columns = indexed.iter().filter(|(index, ..)| index == *name);
        columns.all(|(_, column, ..)| is_by(column))
    })
}

/// The columns that were asked for, if rows can be ordered by them.
fn ordered(asked: &Asked, table: &str, described: &[Described]) -> Result<Vec<usize>, Failure> {
    let setting = asked.setting;
    let mut by = Vec::new();
    for name in &asked.by {
        let Some(at) = described.iter().position(|column| column.name == *name) else {
            let names: Vec<_> = described.iter().map(|column| column.name.as_str()).collect();
            let names = names.join(", ");
            return Err(Failure::Stop(format!(
                "{setting} {table}: no column {name}; it has {names}"
            )));
        };
        let kind = described[at].data_type.as_str();
        let can = [&NUMBERS[..], &TIMES, &TEXTS].concat().contains(&kind);
        if !can && (kind != "date" || by.is_empty()) {
            return Err(Failure::Stop(format!(
                "{setting} {table}: rows cannot be read by {name}; give a column of whole numbers, \
                 a TIMESTAMP, a DATETIME or a text that grows"
            )));
        }
        by.push(at);
    }
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_compared_so_that_an_index_serves() {
        let described = |name: &str, data_type: &str| Described {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            full_type: String::new(),
            charset: String::new(),
            in_key: None,
        };
        let described = vec![described("at", "timestamp"), described("i`d", "varchar")];
        let shape = Shape {
            table: table_of("shop", "t", &described),
            described,
            by: vec![0, 1],
            is_transactional: true,
            is_unique: true,
            has_index: true,
            nullable: Vec::new(),
        };
        let text = |text: &str| Part::Text(text.to_owned());
        let cursor = Cursor(vec![text("2026-11-21T09:00:00.5"), text("a'")]);
        let id = "CONVERT(`i``d` USING utf8mb4) COLLATE utf8mb4_bin";
        let time = "'2026-11-21 09:00:00.5'";
        assert_eq!(
            shape.compared(&cursor, ">"),
            format!(
                " AND `at` >= {time} AND (`at` > {time} OR (`at` = {time} AND ({id} > _utf8mb4 \
                 X'6127')))"
            )
        );
        assert_eq!(shape.order(" DESC"), format!(" ORDER BY `at` DESC, {id} DESC"));
        assert_eq!(
            literal(&text("2026-11-21T' OR 1=1")),
            "_utf8mb4 X'323032362d31312d32315427204f5220313d31'"
        );
    }

    #[test]
    fn columns_are_unique_if_they_hold_a_unique_index() {
        let index =
            |index: &str, column: &str, other| (index.to_owned(), column.to_owned(), other, 1);
        let indexed = [index("PRIMARY", "a", 0), index("PRIMARY", "b", 0), index("other", "at", 1)];
        let unique = |by: &[&str]| is_unique(&indexed, |name| by.contains(&name.as_str()));
        assert!(unique(&["at", "b", "a"]));
        assert!(!unique(&["at", "a"]) && !unique(&["at"]));
    }
}
