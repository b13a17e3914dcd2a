//! What a polled table looks like now: its columns, its keys, and how its rows are ordered.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tahoe_pipeline::poll::offset_now;

use super::Asked;
use crate::catalog::Catalog;
use crate::failure::Failure;
use crate::table::{Column, Table};

/// Types by which rows can be read: numbers, times, and texts in the order of their bytes.
const NUMBERS: [u32; 4] = [20, 21, 23, 26];
const TIMES: [u32; 2] = [1114, WITH_ZONE];
const WITH_ZONE: u32 = 1184;
const UUID: u32 = 2950;
const TEXTS: [u32; 4] = [19, 25, 1042, 1043];
/// Whole days, which order rows only beside a key that grows.
const DATE: u32 = 1082;

/// A table, as it is now.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its number in the catalog.
    pub oid: u32,
    /// Its columns.
    pub table: Table,
    /// `"schema"."table"`, without the tables that inherit it.
    pub from: String,
    /// It is a table of this server, whose writers lock it.
    pub is_local: bool,
    /// No two rows have the same values in the columns.
    pub is_unique: bool,
    /// An index begins with the first of them.
    pub has_index: bool,
    /// The user may read it.
    pub may_read: bool,
    /// Columns that it is read by, in their order.
    pub by: Vec<Ordered>,
}

/// A column that orders rows.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Name.
    pub name: String,
    /// Where its value stands in a row.
    pub at: usize,
    /// Number of its type.
    pub type_oid: u32,
    /// Rows without a value are never read.
    pub may_be_null: bool,
}

impl Shape {
    /// Asks the catalog.
    ///
    /// # Errors
    /// [`Failure`]; names the table or the column that cannot be.
    pub fn look_up(catalog: &mut Catalog, asked: &Asked) -> Result<Self, Failure> {
        let (schema, table) = (escape_literal(&asked.schema), escape_literal(&asked.table));
        let by: Vec<_> = asked.by.iter().map(|name| escape_literal(name)).collect();
        let row = catalog.query(&table_sql(&schema, &table, &by))?.into_iter().next();
        let name = format!("{}.{}", asked.schema, asked.table);
        let row = row.ok_or_else(|| Failure::Setting(format!("--pg-poll: no table {name}")))?;
        let text = |at: usize| row[at].as_deref().unwrap_or_default();
        let oid = text(0).parse().unwrap_or(0);
        let key = catalog.key(oid)?;
        let (mut columns, mut known) = (Vec::new(), Vec::new());
        let sql = format!(
            "SELECT attname, atttypid, NOT attnotnull FROM pg_attribute \
             WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        );
        for (at, row) in catalog.query(&sql)?.into_iter().enumerate() {
            let text = |at: usize| row[at].as_deref().unwrap_or_default();
            let (name, type_oid) = (text(0).to_owned(), text(1).parse().unwrap_or(0));
            let kind = catalog.kind(type_oid)?;
            let is_key = key.contains(&name);
            known.push(Ordered { name: name.clone(), at, type_oid, may_be_null: text(2) == "t" });
            columns.push(Column { name, kind, is_key });
        }
        let by = ordered(asked, &name, &known)?;
        let only = if text(1) == "r" { "ONLY " } else { "" };
        let from = [&asked.schema, &asked.table].map(|name| escape_identifier(name)).join(".");
        Ok(Self {
            oid,
            table: Table { schema: asked.schema.clone(), name: asked.table.clone(), columns },
            from: format!("{only}{from}"),
            is_local: matches!(text(1), "r" | "p"),
            is_unique: text(2) == "t",
            has_index: text(3) == "t",
            may_read: text(4) == "t",
            by,
        })
    }

    /// It is read by a time first.
    pub fn is_by_time(&self) -> bool {
        TIMES.contains(&self.by[0].type_oid)
    }

    /// The columns, as a list of expressions in the order of [`tahoe_pipeline::poll::Part`].
    pub fn order(&self, after: &str) -> String {
        let expression = |column: &Ordered| {
            let collation = if TEXTS.contains(&column.type_oid) { " COLLATE \"C\"" } else { "" };
            format!("{}{collation}{after}", escape_identifier(&column.name))
        };
        self.by.iter().map(expression).collect::<Vec<_>>().join(", ")
    }

    /// Rows that have a place in the order, and of those by time none of the future: clocks that
    /// are wrong shall not carry the reader past everything that follows.
    pub fn condition(&self, zone: &str) -> String {
        let known = self.by.iter().map(|column| {
            let name = escape_identifier(&column.name);
            format!("{name} IS NOT NULL")
        });
        let mut condition = known.collect::<Vec<_>>().join(" AND ");
        if self.is_by_time() {
            let now = match self.by[0].type_oid {
                WITH_ZONE => "now()".to_owned(),
                _ => format!("now() AT TIME ZONE INTERVAL '{}'", offset_now(zone)),
            };
            condition += &format!(" AND {} <= {now}", escape_identifier(&self.by[0].name));
        }
        condition
    }
}

/// The columns that were asked for, if rows can be ordered by them.
fn ordered(asked: &Asked, table: &str, known: &[Ordered]) -> Result<Vec<Ordered>, Failure> {
    let mut by = Vec::new();
    for name in &asked.by {
        let Some(column) = known.iter().find(|column| column.name == *name) else {
            let names: Vec<_> = known.iter().map(|column| column.name.as_str()).collect();
            let names = names.join(", ");
            let text = format!("--pg-poll {table}: no column {name}; it has {names}");
            return Err(Failure::Setting(text));
        };
        let kinds = [&NUMBERS[..], &TIMES, &TEXTS, &[UUID]].concat();
        let can = kinds.contains(&column.type_oid) || (column.type_oid == DATE && !by.is_empty());
        if !can {
            return Err(Failure::Setting(format!(
                "--pg-poll {table}: rows cannot be read by {name}; give a column of whole numbers, \
                 a timestamp, a uuid or a text that grows"
            )));
        }
        by.push(column.clone());
    }
    Ok(by)
}

/// Number, kind, whether the columns are unique, begin an index, and may be read.
fn table_sql(schema: &str, table: &str, by: &[String]) -> String {
    let (all, first) = (by.join(", "), &by[0]);
    format!(
        "SELECT c.oid, c.relkind, \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid \
         AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS \
         (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place) \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
         WHERE k.place <= i.indnkeyatts AND NOT a.attname::text = ANY (ARRAY[{all}]))), \
         EXISTS (SELECT FROM pg_index i JOIN pg_attribute a \
         ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND a.attname = {first}), \
         has_table_privilege(c.oid, 'SELECT') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema} AND c.relname = {table} \
         AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
}
