//! The binlog as records: events in, changes and the points between transactions out.
//!
//! An event's position is its end. The header has 32 bits of it, so a file's bytes beyond 4 GiB are
//! told from their wrapping round.

mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::binlog::events::{Event, GtidEvent};
use tahoe_pipeline::replicate::gap_statement;
use tahoe_schemas::time::Time;

use crate::bytes::Bytes;
use crate::column::{Described, Table};
use crate::ddl::{Definition, TableName};
use crate::event::{self, Query, without_checksum};
use crate::failure::Failure;
use crate::gtid::{Gtids, uuid_text};
use crate::history::History;
use crate::point::{Chunk, Gap, Offset, Point};
use crate::record::{Image, Origin, write_kafka_key};
use crate::rows::{Operation, Rows};
use crate::selection::Selection;
use crate::statement::Statement;
use crate::steps::Steps;
use crate::table_map::{self, Dialect, TableMap};

use transaction::Transaction;

/// Kinds of records of the feed.
pub(crate) const CHANGE: usize = 0;
pub(crate) const ROW: usize = 1;

/// Between two points of a stream that has nothing for us.
const IDLE_POINT: Duration = Duration::from_secs(1);

/// Set by a server for events that are in no file.
const ARTIFICIAL: u16 = 0x20;

/// What an event needs before the next one can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    /// The columns of the table of this number, which are not known: [`Binlog::learn`].
    Definition(u64),
    /// What the server says now of the columns of the table of this number: [`Binlog::refine`].
    Description(u64),
}

/// A table map that rows may refer to.
struct Mapped {
    /// The event, so that its repetition need not be read again.
    event: Vec<u8>,
    table: Arc<Table>,
    selected: bool,
}

/// Where reading is.
pub(crate) struct Binlog {
    pub server: String,
    /// The end of the last transaction.
    pub offset: Offset,
    pub gtids: Option<Gtids>,
    /// Tables are to be read, and no chunk was decided yet.
    pub begins: bool,
    /// The chunk that the points carry while tables are read.
    pub chunk: Option<Chunk>,
    /// Keys of rows that were changed, by table, while someone wants to know.
    pub changed: Option<std::collections::HashSet<Vec<u8>>>,
    /// What the tables' columns are here, where the binlog does not name them.
    pub history: History,
    pub dialect: Dialect,
    selection: Selection,
    /// File and end of the event that is being read.
    pub reading: Offset,
    tables: HashMap<u64, Mapped>,
    transaction: Option<Transaction>,
    records_since_point: bool,
    pointed: Instant,
    /// When the last event was written, seconds since the epoch.
    pub event_time_s: u32,
    /// Statements changed definitions since this was last looked at.
    pub definitions_changed: bool,
    /// Rows whose statements go without images are told as statements.
    pub tolerates_statements: bool,
    /// Of a record.
    pub record_bytes_max: usize,
}

impl Binlog {
    pub fn new(
        server: String,
        at: (Offset, Option<Gtids>),
        selection: Selection,
        dialect: Dialect,
    ) -> Self {
        Self {
            server,
            reading: at.0.clone(),
            offset: at.0,
            gtids: at.1,
            begins: false,
            chunk: None,
            changed: None,
            history: History::default(),
            dialect,
            selection,
            tables: HashMap::new(),
            transaction: None,
            records_since_point: false,
            pointed: Instant::now(),
            event_time_s: 0,
            definitions_changed: false,
            tolerates_statements: false,
            record_bytes_max: usize::MAX,
        }
    }

    /// Also at a start after that.
    pub fn log_all_read(&self) {
        tracing::info!(position = self.offset.text(), "every table is read");
    }

    /// Where a start would go on.
    pub fn point(&self) -> Point {
        let gtids = self.gtids.as_ref().map(Gtids::to_string);
        let point = Point::new(&self.server, self.offset.clone(), gtids, self.chunk.clone());
        point.with_history(self.history.number).with_beginning(self.begins)
    }

    /// Takes one event in; what follows from it is added to `steps`.
    pub fn take(&mut self, event: &Event, steps: &mut Steps) -> Result<Wants, Failure> {
        let header = event.header();
        let kind = header.event_type_raw();
        let artificial = header.flags_raw() & ARTIFICIAL != 0;
        if !artificial || kind == event::HEARTBEAT {
            self.move_to(header.log_pos());
        }
        if header.timestamp() > 0 {
            self.event_time_s = header.timestamp();
        }
        let wants = self.take_kind(kind, event, steps)?;
        if self.transaction.is_none() && kind != event::ROTATE {
            self.offset = self.offset.clone().max(self.reading.clone());
            self.pass_point(steps);
        }
        Ok(wants)
    }

    fn take_kind(&mut self, kind: u8, event: &Event, steps: &mut Steps) -> Result<Wants, Failure> {
        let data = event.data();
        let time = Time::new(i64::from(event.header().timestamp()), 0, 3);
        match kind {
            event::ROTATE => {
                self.rotate(without_checksum(event)).ok_or_else(|| self.damaged("ROTATE"))?
            }
            event::TABLE_MAP => return self.map(data),
            event::QUERY => self.query(data, time, steps)?,
            event::XID | event::XA_PREPARE => self.end(steps),
            event::GTID | event::ANONYMOUS_GTID => self.begin_mysql(kind, data, time),
            event::GTID_TAGGED => {
                let gtid = event.read_event::<GtidEvent>();
                let gtid = gtid.map_err(|_| self.damaged("GTID_TAGGED"))?;
                let mut name = uuid_text(&gtid.sid());
                if let Some(tag) = gtid.tag() {
                    name = format!("{name}:{}", tag.as_str());
                }
                self.begin(name, gtid.gno(), time);
            }
            event::MARIADB_GTID => {
                let server = event.header().server_id();
                self.begin_mariadb(data, server, time).ok_or_else(|| self.damaged("GTID"))?;
            }
            event::PARTIAL_UPDATE => {
                return Err(self.stop("binlog_row_value_options is PARTIAL_JSON: set it to ''"));
            }
            event::INCIDENT => {
                return Err(Failure::Lost(format!(
                    "the server notes at {} that events are missing from its binlog",
                    self.reading.text()
                )));
            }
            _ if event::COMPRESSED.contains(&kind) => {
                return Err(self.stop("log_bin_compress is on: SET GLOBAL log_bin_compress = OFF"));
            }
            17 | 18 => {
                return Err(
                    self.stop("LOAD DATA was written as a statement: set binlog_format=ROW")
                );
            }
            20..=22 => return Err(self.stop("rows of a version before MySQL 5.1.18")),
            _ if Operation::of(kind).is_some() => self.rows(kind, data, time, steps)?,
            // Format, previous ids, checkpoints, annotations, heartbeats: nothing for us.
            event::HEARTBEAT | event::HEARTBEAT_2 => {}
            _ => {}
        }
        Ok(Wants::Nothing)
    }

    /// The columns of the table of this number; false if they are of another table.
    pub fn learn(&mut self, id: u64, definition: Definition, steps: &mut Steps) -> bool {
        let Some(mapped) = self.tables.get_mut(&id) else { return true };
        let mut table = Table::clone(&mapped.table);
        let fits = table.complete(&definition.columns);
        if fits {
            let name = (table.database.clone(), table.name.clone());
            mapped.table = Arc::new(table);
            self.history.set(&name, Some(definition));
            self.keep(&[name], steps);
        }
        fits
    }

    /// What the server says now of the columns of the table of this number, whose names are known.
    pub fn refine(&mut self, id: u64, described: &[Described]) {
        let Some(mapped) = self.tables.get_mut(&id) else { return };
        let mut table = Table::clone(&mapped.table);
        table.refine(described);
        mapped.table = Arc::new(table);
    }

    /// Gives what is to be kept of these tables.
    pub fn keep(&self, tables: &[TableName], steps: &mut Steps) {
        for name in tables {
            let key = serde_json::to_string(&name).expect("names are always JSON");
            steps.keep(&key, self.history.kept(name).as_deref());
        }
    }

    /// Database and name of the table of this number.
    pub fn table(&self, id: u64) -> Option<TableName> {
        let table = &self.tables.get(&id)?.table;
        Some((table.database.clone(), table.name.clone()))
    }

    fn damaged(&self, what: &str) -> Failure {
        self.stop(&format!("a {what} event cannot be read; report this with the server's version"))
    }

    /// A failure here that a person must mend.
    pub fn stop(&self, why: &str) -> Failure {
        Failure::Stop(format!("binlog of {} at {}: {why}", self.server, self.reading.text()))
    }

    /// `low` is the lower half of the position, 0 where an event has none.
    fn move_to(&mut self, low: u32) {
        const NEAR_THE_END: u32 = 3 << 30;
        const NEAR_THE_START: u32 = 1 << 30;
        let before = self.reading.at;
        let wrapped = before as u32 > NEAR_THE_END && low < NEAR_THE_START && low > 0;
        let high = (before >> 32) + u64::from(wrapped);
        // Events inside a compressed transaction have positions of their own.
        self.reading.at = before.max(high << 32 | u64::from(low));
    }

    fn rotate(&mut self, data: &[u8]) -> Option<()> {
        let mut bytes = Bytes(data);
        let at = bytes.little(8)?;
        let file = String::from_utf8_lossy(bytes.0).into_owned();
        if file != self.reading.file {
            self.reading = Offset { file, at };
            self.tables.clear();
        }
        if self.transaction.is_none() {
            self.offset = self.offset.clone().max(self.reading.clone());
        }
        Some(())
    }

    fn map(&mut self, data: &[u8]) -> Result<Wants, Failure> {
        let id = table_map::table_id(data).ok_or_else(|| self.damaged("TABLE_MAP"))?;
        if self.tables.get(&id).is_some_and(|mapped| mapped.event == data) {
            return Ok(Wants::Nothing);
        }
        let Some(map) = table_map::parse(data, &self.dialect) else {
            return Err(self.damaged("TABLE_MAP"));
        };
        let TableMap { mut table, named } = map;
        let name = (table.database.clone(), table.name.clone());
        let selected = self.selection.has(&name.0, &name.1);
        let wants = if !selected {
            Wants::Nothing
        } else if named {
            let hidden = self.dialect.mariadb && table.has_fixed_bytes();
            if hidden { Wants::Description(id) } else { Wants::Nothing }
        } else {
            let known = self.history.definition(&name);
            match known.is_some_and(|known| table.complete(&known.columns)) {
                true => Wants::Nothing,
                false => Wants::Definition(id),
            }
        };
        let table = Arc::new(table);
        self.tables.insert(id, Mapped { event: data.to_vec(), table, selected });
        Ok(wants)
    }

    fn query(&mut self, data: &[u8], time: Time, steps: &mut Steps) -> Result<(), Failure> {
        let query = Query::parse(data).ok_or_else(|| self.damaged("QUERY"))?;
        let (database, sql) = (query.database(), query.sql());
        let statement = Statement::of(&sql);
        if statement == Statement::Begin {
            let id = self.reading.text();
            let transaction =
                self.transaction.get_or_insert(Transaction { id, ..Transaction::default() });
            transaction.explicit = true;
            transaction.time.get_or_insert(time);
            return Ok(());
        }
        let explicit = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
        let told = match statement {
            Statement::Definition => {
                self.selection.has_database(&database).then_some(("ddl", &*database, ""))
            }
            Statement::Truncate(named, table) => {
                let database = named.unwrap_or(&database);
                self.selection.has(database, table).then_some(("truncate", database, table))
            }
            Statement::Rows if self.selection.has_database(&database) => {
                if !self.tolerates_statements {
                    return Err(self.stop(
                        "rows were changed by a statement that was written in place of them: SET \
                         GLOBAL binlog_format = ROW; --mysql-on-lost-position latest goes on and \
                         tells the statement",
                    ));
                }
                Some(("ddl", &*database, ""))
            }
            _ => None,
        };
        if matches!(statement, Statement::Definition) {
            self.tables.clear();
            self.definitions_changed = true;
            let ddl = query.ddl(&self.dialect);
            let changed = self.history.apply(&ddl, query.failed, &self.selection);
            self.keep(&changed, steps);
        }
        if let Some((operation, database, table)) = told {
            self.tell(operation, (database, table), &sql, time, steps);
        }
        if !explicit || statement == Statement::End {
            self.end(steps);
        }
        Ok(())
    }

    /// A record that says which changes were lost, at the point that has the gap.
    pub fn tell_gap(&mut self, gap: &Gap, steps: &mut Steps) {
        let sql = gap_statement(&gap.from, &self.offset.text());
        self.tell("ddl", ("", ""), &sql, Time::new(gap.found_s, 0, 3), steps);
        self.transaction = None;
    }

    fn tell(
        &mut self,
        operation: &str,
        (database, table): (&str, &str),
        sql: &str,
        time: Time,
        steps: &mut Steps,
    ) {
        let position = self.reading.text();
        let transaction = self
            .transaction
            .get_or_insert_with(|| Transaction { id: position.clone(), ..Transaction::default() });
        let origin = Origin {
            operation,
            time: Some(transaction.time.unwrap_or(time)),
            server: &self.server,
            transaction: &transaction.id,
            position: &position,
            number: Some(transaction.number),
            bytes_max: self.record_bytes_max,
        };
        let key = format!("{database}.{table}:");
        let written = steps.record(
            CHANGE,
            |out| {
                out.extend_from_slice(key.as_bytes());
                Some(())
            },
            |out| {
                origin.write_statement(database, table, sql, out);
                Some(())
            },
        );
        written.expect("a statement has no values");
        transaction.number += 1;
        self.records_since_point = true;
    }

    fn rows(
        &mut self,
        kind: u8,
        data: &[u8],
        time: Time,
        steps: &mut Steps,
    ) -> Result<(), Failure> {
        let id = table_map::table_id(data).unwrap_or_default();
        let Some(mapped) = self.tables.get(&id) else {
            // The last event of a statement may be one of no rows, for a table of no number.
            const NO_TABLE: u64 = 0xff_ffff;
            return if id == NO_TABLE { Ok(()) } else { Err(self.damaged("rows")) };
        };
        if !mapped.selected {
            return Ok(());
        }
        let table = Arc::clone(&mapped.table);
        let mut transaction = self.transaction.take().unwrap_or_default();
        let done = self.give_rows(kind, data, &table, (&mut transaction, time), steps);
        self.transaction = Some(transaction);
        self.records_since_point = true;
        done.ok_or_else(|| self.damaged(&format!("rows of {}", table.key_prefix)))
    }

    fn give_rows(
        &mut self,
        kind: u8,
        data: &[u8],
        table: &Table,
        (transaction, time): (&mut Transaction, Time),
        steps: &mut Steps,
    ) -> Option<()> {
        let mut rows = Rows::parse(kind, data)?;
        let position = self.reading.text();
        while let Some([before, after]) = rows.next(table)? {
            let before = before.as_ref().map(|row| row as &dyn Image);
            let after = after.as_ref().map(|row| row as &dyn Image);
            let origin = Origin {
                operation: rows.operation.name(),
                time: Some(transaction.time.unwrap_or(time)),
                server: &self.server,
                transaction: &transaction.id,
                position: &position,
                number: Some(transaction.number),
                bytes_max: self.record_bytes_max,
            };
            steps.record(
                CHANGE,
                |out| write_kafka_key(table, before, after, out),
                |out| origin.write_row(table, before, after, out),
            )?;
            transaction.number += 1;
            if let Some(changed) = &mut self.changed {
                for image in [before, after].into_iter().flatten() {
                    let mut key = Vec::new();
                    write_kafka_key(table, Some(image), Some(image), &mut key)?;
                    changed.insert(key);
                }
            }
        }
        Some(())
    }

    fn end(&mut self, steps: &mut Steps) {
        self.transaction = None;
        self.offset = self.offset.clone().max(self.reading.clone());
        self.pass_point(steps);
    }

    /// A point, after records at once and otherwise once a second.
    fn pass_point(&mut self, steps: &mut Steps) {
        // COM_BINLOG_DUMP cannot go on beyond 4 GiB, but the next file follows such a transaction.
        let reachable = self.gtids.is_some() || self.offset.at <= u64::from(u32::MAX);
        let due = self.records_since_point || self.pointed.elapsed() >= IDLE_POINT;
        if due && reachable {
            self.records_since_point = false;
            self.pointed = Instant::now();
            steps.point(|out| self.point().encode(out));
        }
    }
}
