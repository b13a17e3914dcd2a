//! A chunk of a table: its range, the query, and its rows as records. What a query gives is written
//! as the binlog would give it.

use mysql_async::{Column, Row, Value};
use tahoe_schemas::json;

use crate::charset::{Charset, write_base64};
use crate::column::{Described, Table};
use crate::failure::Failure;
use crate::point::Chunk;
use crate::record::Image;
use crate::temporal::{Moment, write_span};
use crate::value::{write_f32, write_geometry, write_labels};

/// `` `order``s` ``
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `` `shop`.`orders` ``
pub(crate) fn quoted_table(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

/// A text as a literal of SQL: hexadecimal digits, so that nothing needs quotes.
pub(crate) fn text_literal(text: &[u8]) -> String {
    format!("_utf8mb4 {}", bytes_literal(text))
}

fn bytes_literal(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X'{hex}'")
}

/// Rows behind these values (`>`), or up to them (`<=`), in the order of the columns:
/// `(a > 1 OR (a = 1 AND (b > 2)))`, which every version finds by an index.
pub(crate) fn compared(columns: &[String], last: &str, values: &[String]) -> String {
    let strict = &last[..1];
    let mut out = String::new();
    for (at, (column, value)) in columns.iter().zip(values).enumerate().rev() {
        out = match at + 1 == columns.len() {
            true => format!("({column} {last} {value})"),
            false => format!("({column} {strict} {value} OR ({column} = {value} AND {out}))"),
        };
    }
    out
}

/// A row of it has a value that no record can be made of.
pub(crate) fn unreadable(table: &Table) -> Failure {
    Failure::Stop(format!("a row of {} cannot be read", table.key_prefix))
}

/// A table as it is read: like one of the binlog, without types of the wire.
pub(crate) fn table_of(database: &str, name: &str, described: &[Described]) -> Table {
    let mut key: Vec<_> = described
        .iter()
        .enumerate()
        .filter_map(|(at, column)| Some((column.in_key?, at)))
        .collect();
    key.sort_unstable();
    Table {
        database: database.to_owned(),
        name: name.to_owned(),
        columns: Vec::new(),
        key: key.into_iter().map(|(_, at)| at).collect(),
        key_prefix: format!("{database}.{name}:"),
    }
}

/// An expression that orders as the column does and that [`literal`] can repeat.
fn ordered(column: &Described) -> String {
    match column.data_type.as_str() {
        "enum" | "set" | "bit" => format!("{} + 0", quoted(&column.name)),
        _ => quoted(&column.name),
    }
}

/// A value as a literal of SQL.
fn literal(column: &Described, value: &Value) -> String {
    let numeric = ["decimal", "enum", "set", "bit", "year"].contains(&&*column.data_type)
        || column.data_type.ends_with("int");
    match value {
        Value::Bytes(bytes) if numeric => String::from_utf8_lossy(bytes).into_owned(),
        Value::Bytes(bytes) => {
            let is_bytes =
                column.data_type.ends_with("binary") || column.data_type.ends_with("blob");
            if is_bytes { bytes_literal(bytes) } else { text_literal(bytes) }
        }
        other => other.as_sql(true),
    }
}

/// Statements that read one table in the order of its key.
pub(crate) struct Reading<'a> {
    pub chunk: &'a Chunk,
    pub described: &'a [Described],
    /// Columns of the key, in its order.
    pub key: &'a [usize],
}

impl Reading<'_> {
    fn from(&self) -> String {
        quoted_table(&self.chunk.database, &self.chunk.table)
    }

    /// Expressions of the key's columns that order as they do.
    fn key_columns(&self) -> Vec<String> {
        self.key.iter().map(|at| ordered(&self.described[*at])).collect()
    }

    fn range(&self) -> String {
        let columns = self.key_columns();
        let lower = self.chunk.lower.as_ref().map(|bound| compared(&columns, ">", bound));
        let upper = self.chunk.upper.as_ref().map(|bound| compared(&columns, "<=", bound));
        let both: Vec<_> = [lower, upper].into_iter().flatten().collect();
        if both.is_empty() { String::new() } else { format!(" WHERE {}", both.join(" AND ")) }
    }

    fn order(&self) -> String {
        format!(" ORDER BY {}", self.key_columns().join(", "))
    }

    /// The rows of the chunk.
    pub fn rows(&self) -> String {
        let names: Vec<_> = self.described.iter().map(|column| quoted(&column.name)).collect();
        format!("SELECT {} FROM {}{}", names.join(", "), self.from(), self.range())
    }

    /// The same in the order of the key.
    pub fn ordered_rows(&self) -> String {
        self.rows() + &self.order()
    }

    /// The key that is `rows` rows behind the chunk's lower bound: its upper one.
    pub fn upper(&self, rows: u64) -> String {
        format!(
            "SELECT {} FROM {}{}{} LIMIT 1 OFFSET {}",
            self.key_columns().join(", "),
            self.from(),
            self.range(),
            self.order(),
            rows.saturating_sub(1)
        )
    }

    /// The bound that a row of [`Reading::upper`] says.
    pub fn bound(&self, row: Row) -> Vec<String> {
        let columns = self.key.iter().map(|at| &self.described[*at]);
        row.unwrap().iter().zip(columns).map(|(value, column)| literal(column, value)).collect()
    }
}

/// A row that a query gave.
pub(crate) struct ReadRow<'a> {
    pub described: &'a [Described],
    pub columns: &'a [Column],
    pub values: &'a [Value],
}

impl Image for ReadRow<'_> {
    fn columns(&self) -> usize {
        self.described.len()
    }

    fn name(&self, at: usize) -> &str {
        &self.described[at].name
    }

    fn has(&self, _at: usize) -> bool {
        true
    }

    fn bytes(&self, at: usize) -> &[u8] {
        match &self.values[at] {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    fn write(&self, at: usize, out: &mut Vec<u8>) -> Option<()> {
        let column = &self.described[at];
        let digits = self.columns.get(at).map_or(0, |column| u32::from(column.decimals()));
        match &self.values[at] {
            Value::NULL => out.extend_from_slice(b"null"),
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::UInt(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => write_f32(*number, out),
            Value::Double(number) => json::write_f64(*number, out),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                let [month, day, hour, minute, second] =
                    [*month, *day, *hour, *minute, *second].map(u32::from);
                let (year, micros) = (u32::from(*year), *micros);
                let moment = Moment { year, month, day, hour, minute, second, micros };
                match column.data_type.as_str() {
                    "date" => moment.write_date(out),
                    kind => moment.write(digits, kind == "timestamp", out),
                }
            }
            Value::Time(negative, days, hours, minutes, seconds, micros) => {
                let hours = days * 24 + u32::from(*hours);
                let hms = [hours, u32::from(*minutes), u32::from(*seconds)];
                write_span(*negative, hms, *micros, digits, out);
            }
            Value::Bytes(bytes) => write_bytes(column, bytes, out)?,
        }
        Some(())
    }
}

fn write_bytes(column: &Described, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match column.data_type.as_str() {
        "bit" => out.extend_from_slice(crate::bytes::big(bytes).to_string().as_bytes()),
        "json" => out.extend_from_slice(std::str::from_utf8(bytes).ok()?.trim().as_bytes()),
        "set" => {
            let text = std::str::from_utf8(bytes).ok()?;
            write_labels(text.split(',').filter(|label| !label.is_empty()), out);
        }
        "binary" | "varbinary" | "vector" => write_base64(bytes, out),
        kind if kind.ends_with("blob") => write_base64(bytes, out),
        kind if ["point", "polygon", "linestring"].iter().any(|end| kind.ends_with(end))
            || kind.starts_with("geom") =>
        {
            write_geometry(bytes, out);
        }
        // The server has turned text into UTF-8; text of the binary set stays bytes.
        _ if column.charset == "binary" => write_base64(bytes, out),
        _ => Charset::Utf8.write(bytes, out),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, data_type: &str, in_key: usize) -> Described {
        Described {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            full_type: String::new(),
            charset: String::new(),
            in_key: Some(in_key),
        }
    }

    #[test]
    fn a_chunk_of_a_composite_key_is_a_range_that_an_index_serves() {
        let described = [described("a", "int", 1), described("b`", "varchar", 2)];
        let chunk = Chunk {
            database: "shop".to_owned(),
            table: "t".to_owned(),
            lower: Some(vec!["1".to_owned(), "X'61'".to_owned()]),
            upper: None,
            at: String::new(),
        };
        let reading = Reading { chunk: &chunk, described: &described, key: &[0, 1] };
        assert_eq!(
            reading.upper(100),
            "SELECT `a`, `b``` FROM `shop`.`t` WHERE (`a` > 1 OR (`a` = 1 AND (`b``` > X'61'))) \
             ORDER BY `a`, `b``` LIMIT 1 OFFSET 99"
        );
        let text = Value::Bytes("ä'".as_bytes().to_vec());
        assert_eq!(literal(&described[1], &text), "_utf8mb4 X'c3a427'");
        assert_eq!(literal(&described[0], &Value::Int(-7)), "-7");
    }
}
