//! What the stream does not say and the catalog does: types that are not built in, primary keys, and
//! which tables are published. Asked over a conversation of its own, since the other one streams.

use std::collections::HashMap;

use postgres_protocol::escape::escape_literal;

use crate::connection::{Connection, Purpose, Server};
use crate::failure::Failure;
use crate::pgoutput::Relation;
use crate::statement::{EachRow, Row};
use crate::table::{Column, Table};
use crate::value::{Kind, built_in};

/// Primary key of a table with no identity in the stream; else its replica identity.
const KEY_OF: &str = "SELECT a.attname FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indrelid \
     CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place) \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
     WHERE k.place <= i.indnkeyatts AND i.indisvalid \
     AND CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary END";

/// The catalog of one database.
pub struct Catalog {
    server: Server,
    connection: Option<Connection>,
    kinds: HashMap<u32, Kind>,
}

/// A table that is published, as it is now.
pub struct Published {
    /// Its shape.
    pub table: Table,
    /// Columns of its key, as its index orders them.
    pub key: Vec<String>,
    /// `FROM` and the rows that are published of it.
    pub from: String,
    /// Rows that make some MiB.
    pub rows_per_chunk: u64,
}

impl Catalog {
    /// Connects when it is first asked.
    pub fn new(server: Server) -> Self {
        Self { server, connection: None, kinds: HashMap::new() }
    }

    /// Ends the conversation; the next question begins another.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Rows of a statement.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        let idle = self.connection.is_some();
        match self.connected()?.query(sql) {
            // The server ended a conversation that had been idle for long.
            Err(failure) if idle && failure.passes() => {
                self.connection = None;
                self.connected()?.query(sql)
            }
            answered => answered,
        }
    }

    /// The only value of a statement.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn value(&mut self, sql: &str) -> Result<String, Failure> {
        let first = self.query(sql)?.into_iter().next().and_then(|row| row.into_iter().next());
        Ok(first.flatten().unwrap_or_default())
    }

    /// Visits the rows of statements as they arrive.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn query_each(&mut self, sql: &str, each: &mut EachRow<'_>) -> Result<(), Failure> {
        self.connected()?.query_each(sql, each)
    }

    fn connected(&mut self) -> Result<&mut Connection, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.server, Purpose::Statements)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// How values of a type are written.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn kind(&mut self, oid: u32) -> Result<Kind, Failure> {
        if let Some(kind) = built_in(oid).or_else(|| self.kinds.get(&oid).cloned()) {
            return Ok(kind);
        }
        let sql = format!(
            "SELECT typtype, typbasetype, typcategory, typelem, typdelim FROM pg_type \
             WHERE oid = {oid}"
        );
        let rows = self.query(&sql)?;
        let text = |at: usize| rows.first().and_then(|row| row[at].as_deref()).unwrap_or("");
        let number = |at: usize| text(at).parse().unwrap_or(0);
        let kind = match (text(0), text(2)) {
            ("d", _) => self.kind(number(1))?,
            (_, "A") if number(3) != 0 => {
                let between = text(4).bytes().next().unwrap_or(b',');
                Kind::List(Box::new(self.kind(number(3))?), between)
            }
            // Enums, composites, ranges; or a type that is gone since.
            _ => Kind::Text,
        };
        self.kinds.insert(oid, kind.clone());
        Ok(kind)
    }

    /// The table that the stream describes. An identity of the whole row hides the primary key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn table(&mut self, relation: &Relation) -> Result<Table, Failure> {
        let key = match relation.identity {
            b'f' | b'n' => Some(self.key(relation.id)?),
            _ => None,
        };
        let mut columns = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            let is_key = key.as_ref().map_or(column.is_key, |key| key.contains(&column.name));
            let kind = self.kind(column.type_oid)?;
            columns.push(Column { name: column.name.clone(), kind, is_key });
        }
        Ok(Table { schema: relation.schema.clone(), name: relation.name.clone(), columns })
    }

    /// Columns of a table's key, as its index orders them; none if it has none.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn key(&mut self, oid: u32) -> Result<Vec<String>, Failure> {
        let sql = format!("{KEY_OF} AND i.indrelid = {oid} ORDER BY k.place");
        Ok(self.query(&sql)?.into_iter().filter_map(|row| row.into_iter().next()?).collect())
    }

    /// The published table of that name, or else the first behind it; without a name the first.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn published(
        &mut self,
        publication: &str,
        name: Option<(&str, &str)>,
        comparison: &str,
    ) -> Result<Option<Published>, Failure> {
        // Columns and rows can be left out of a publication since version 15.
        let filters = self.value("SHOW server_version_num")?.parse().unwrap_or(0) >= 150_000;
        let (columns, filter) = match filters {
            true => ("a.attname = ANY (p.attnames)", "coalesce(p.rowfilter, 'true')"),
            false => ("a.attgenerated = ''", "'true'"),
        };
        let publication = escape_literal(publication);
        let bound = name.map_or(String::new(), |(schema, table)| {
            let (schema, table) = (escape_literal(schema), escape_literal(table));
            format!("AND (n.nspname, c.relname) {comparison} ({schema}::name, {table}::name)")
        });
        let sql = format!(
            "SELECT n.nspname, c.relname, c.oid, c.relkind, {filter}, \
             CASE WHEN c.reltuples < 1 THEN 1000 ELSE greatest(1, least(20000, \
             4194304 / greatest(1, pg_table_size(c.oid) / c.reltuples::numeric)))::int END, \
             format('%I.%I', n.nspname, c.relname), \
             (SELECT string_agg(a.attname || ' ' || a.atttypid, E'\\n' ORDER BY a.attnum) \
             FROM pg_attribute a \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND {columns}) \
             FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname \
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
             WHERE p.pubname = {publication} {bound} ORDER BY n.nspname, c.relname LIMIT 1"
        );
        let Some(row) = self.query(&sql)?.into_iter().next() else { return Ok(None) };
        let text = |at: usize| row[at].clone().unwrap_or_default();
        let key = self.key(text(2).parse().unwrap_or(0))?;
        let mut columns = Vec::new();
        for column in text(7).lines() {
            let (name, oid) = column.rsplit_once(' ').unwrap_or((column, ""));
            let kind = self.kind(oid.parse().unwrap_or(0))?;
            let is_key = key.iter().any(|key| key == name);
            columns.push(Column { name: name.to_owned(), kind, is_key });
        }
        // The rows of a partitioned table are in its parts, those of one that others inherit not.
        let only = if text(3) == "p" { "" } else { "ONLY " };
        let from = format!("{only}{} WHERE ({})", text(6), text(4));
        let table = Table { schema: text(0), name: text(1), columns };
        Ok(Some(Published { table, key, from, rows_per_chunk: text(5).parse().unwrap_or(1000) }))
    }
}
