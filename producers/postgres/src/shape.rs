//! The tables that are published, with what their columns hold, for those who search them.

use postgres_protocol::escape::escape_literal;
use tahoe_schemas::table::{Column, ColumnKind, Table};

use crate::DATASETS;
use crate::settings::Settings;
use crate::setup::in_conversation;
use crate::statement::Row;

/// Four bytes of a length precede what a type's modifier says.
const MODIFIER_OFFSET: i32 = 4;

/// The tables of the publication, ordered by their names.
///
/// # Errors
/// The server's, with the setting to change.
pub fn tables(settings: &Settings) -> Result<Vec<Table>, String> {
    let publication = escape_literal(&settings.publication);
    // A domain is what the type below it is, a list what its elements are.
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname, coalesce(b.typname, e.typname, t.typname), \
         CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END \
         FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname \
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype \
         LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem \
         WHERE p.pubname = {publication} ORDER BY n.nspname, c.relname, a.attnum"
    );
    let rows = in_conversation(settings, |connection| connection.query(&sql))?;
    let package = DATASETS[0].split('.').next().unwrap_or_default();
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        let (db, schema, name) = (settings.server.database.clone(), text(0), text(1));
        if !tables.last().is_some_and(|table| table.schema == schema && table.name == name) {
            tables.push(Table { package, db, schema, name, columns: Vec::new() });
        }
        let columns = tables.last_mut().map(|table| &mut table.columns);
        columns.into_iter().for_each(|columns| columns.push(column(row)));
    }
    Ok(tables)
}

fn column(row: &Row) -> Column {
    let text = |at: usize| row[at].as_deref().unwrap_or_default();
    let modifier = text(4).parse().unwrap_or(-1);
    Column { name: text(2).to_owned(), kind: kind(text(3), modifier) }
}

/// What values of a type are, as [`crate::value`] writes them.
fn kind(type_name: &str, modifier: i32) -> ColumnKind {
    match type_name {
        "int2" | "int4" | "int8" | "oid" => ColumnKind::Integer,
        "numeric" => ColumnKind::Decimal(digits(modifier)),
        "float4" | "float8" => ColumnKind::Float,
        "bool" => ColumnKind::Boolean,
        "date" | "timestamp" | "timestamptz" => ColumnKind::Date,
        "bytea" | "geometry" | "geography" | "raster" => ColumnKind::Opaque,
        _ => ColumnKind::Text,
    }
}

/// Digits in all in the upper half, and those behind the point in the lower: 11 bits with a sign.
fn digits(modifier: i32) -> Option<(u32, u32)> {
    let both = u32::try_from(modifier.checked_sub(MODIFIER_OFFSET)?).ok()?;
    let scale = both & 0x7ff;
    // A negative scale rounds before the point: there are no digits behind it.
    Some((both >> 16, if scale > 0x3ff { 0 } else { scale }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_the_digits_of_its_column() {
        let of = |digits: i32, scale: i32| (digits << 16 | scale & 0x7ff) + MODIFIER_OFFSET;
        assert_eq!(kind("numeric", of(12, 2)), ColumnKind::Decimal(Some((12, 2))));
        assert_eq!(kind("numeric", of(5, 0)), ColumnKind::Decimal(Some((5, 0))));
        assert_eq!(kind("numeric", of(5, -3)), ColumnKind::Decimal(Some((5, 0))));
        assert_eq!(kind("numeric", -1), ColumnKind::Decimal(None));
        assert_eq!(kind("jsonb", -1), ColumnKind::Text);
    }
}
