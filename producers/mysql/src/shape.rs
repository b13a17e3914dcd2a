//! The tables that are read, with what their columns hold, for those who search them.

use tahoe_pipeline::seams::SourceError;
use tahoe_schemas::table::{Column, ColumnKind, Table};

use crate::column::Described;
use crate::failure::Failure;
use crate::settings::Settings;

/// The selected tables, ordered by their names.
///
/// # Errors
/// The server's, with the setting to change.
pub(crate) fn tables(settings: &Settings) -> Result<Vec<Table>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let found: Result<_, Failure> = runtime.block_on(async {
        let mut conn = settings.server.connect().await?;
        let described = settings.server.describe_all(&mut conn, &settings.selection).await?;
        let _ = conn.disconnect().await;
        Ok(described)
    });
    let found = found.map_err(|failure| SourceError::from(failure).to_string())?;
    let mut tables: Vec<Table> = found
        .into_iter()
        .map(|((db, name), columns)| Table {
            package: "mysql",
            db,
            schema: String::new(),
            name,
            columns: columns.iter().map(column).collect(),
        })
        .collect();
    tables.sort_unstable_by(|a, b| (&a.db, &a.name).cmp(&(&b.db, &b.name)));
    Ok(tables)
}

/// What values of a column are, as [`crate::value`] writes them.
fn column(described: &Described) -> Column {
    let unsigned = described.full_type.contains("unsigned");
    let kind = match described.data_type.as_str() {
        "bigint" if unsigned => ColumnKind::Unsigned,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => ColumnKind::Integer,
        "bit" => ColumnKind::Unsigned,
        "decimal" => ColumnKind::Decimal(digits(&described.full_type)),
        "float" | "double" => ColumnKind::Float,
        "date" | "datetime" | "timestamp" => ColumnKind::Date,
        "char" | "varchar" | "enum" | "set" | "json" | "time" => ColumnKind::Text,
        "uuid" | "inet4" | "inet6" => ColumnKind::Text,
        other if other.ends_with("text") => ColumnKind::Text,
        // Bytes and shapes.
        _ => ColumnKind::Opaque,
    };
    Column { name: described.name.clone(), kind }
}

/// `decimal(12,2) unsigned`
fn digits(full_type: &str) -> Option<(u32, u32)> {
    let (_, rest) = full_type.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    let (digits, scale) = inside.split_once(',').unwrap_or((inside, "0"));
    Some((digits.trim().parse().ok()?, scale.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(data_type: &str, full_type: &str) -> ColumnKind {
        let described = Described {
            name: "c".to_owned(),
            data_type: data_type.to_owned(),
            full_type: full_type.to_owned(),
            charset: String::new(),
            in_key: None,
        };
        column(&described).kind
    }

    #[test]
    fn a_column_is_of_the_kind_that_its_values_are_written_as() {
        let decimal = ColumnKind::Decimal(Some((12, 2)));
        assert_eq!(kind("decimal", "decimal(12,2) unsigned"), decimal);
        assert_eq!(kind("bigint", "bigint(20) unsigned"), ColumnKind::Unsigned);
        assert_eq!(kind("int", "int(10) unsigned"), ColumnKind::Integer);
        assert_eq!(kind("mediumtext", "mediumtext"), ColumnKind::Text);
        assert_eq!(kind("varbinary", "varbinary(20)"), ColumnKind::Opaque);
        assert_eq!(kind("point", "point"), ColumnKind::Opaque);
    }
}
