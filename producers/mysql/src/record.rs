//! One row's change, or one row, as a record and its Kafka key. The same row is written with the
//! same bytes whether the binlog or a query gave it.

use std::convert::Infallible;

use tahoe_pipeline::replicate::{write_stand_in, write_within};
use tahoe_schemas::change::ChangeWriter;
use tahoe_schemas::json;
use tahoe_schemas::time::Time;
use xxhash_rust::xxh3::xxh3_128;

use crate::column::Table;

/// A Kafka key may repeat a row whole where there is no primary key, up to this length.
const KEY_BYTES_MAX: usize = 1 << 10;

/// Values of one row, by the index of their column.
pub(crate) trait Image: Sync {
    /// How many columns there are.
    fn columns(&self) -> usize;
    fn name(&self, at: usize) -> &str;
    /// It is in this image of the row.
    fn has(&self, at: usize) -> bool;
    /// Its bytes, if there is a size to speak of.
    fn bytes(&self, at: usize) -> &[u8];
    /// Appends the value; `None` if it is damaged.
    fn write(&self, at: usize, out: &mut Vec<u8>) -> Option<()>;
}

/// Where a record comes from.
pub(crate) struct Origin<'a> {
    pub operation: &'a str,
    /// When its transaction was committed.
    pub time: Option<Time>,
    pub server: &'a str,
    pub transaction: &'a str,
    pub position: &'a str,
    /// Its number in the transaction.
    pub number: Option<u64>,
    /// In a longer record large values are replaced by length and hash.
    pub bytes_max: usize,
}

impl<'a> Origin<'a> {
    /// Of a row that a query found, `position` of the log or none.
    pub fn read(server: &'a str, position: &'a str, bytes_max: usize) -> Self {
        let (operation, transaction) = ("read", "");
        Self { operation, time: None, server, transaction, position, number: None, bytes_max }
    }

    fn begin<'o>(&self, out: &'o mut Vec<u8>) -> ChangeWriter<'o> {
        let mut writer = ChangeWriter::begin(out, self.operation);
        if let Some(time) = self.time {
            writer.time(time);
        }
        writer.text("system", "mysql").text("server", self.server);
        writer
    }

    fn end(&self, writer: &mut ChangeWriter<'_>) {
        writer.text("tx", self.transaction).text("position", self.position);
        if let Some(number) = self.number {
            writer.number("n", number);
        }
        writer.end();
    }

    /// A record of a statement: `ddl` or `truncate`.
    pub fn write_statement(&self, database: &str, table: &str, sql: &str, out: &mut Vec<u8>) {
        let done: Result<(), Infallible> =
            write_within(self.bytes_max, out, |value_bytes_max, out| {
                let mut writer = self.begin(out);
                writer.text("db", database).text("table", table);
                match sql.len() <= value_bytes_max {
                    true => writer.text("statement", sql),
                    false => writer.text("statement", &stand_in(sql)),
                };
                self.end(&mut writer);
                Ok(())
            });
        let Ok(()) = done;
    }

    /// A record of a row: `before` and `after`, as far as they are there.
    pub fn write_row(
        &self,
        table: &Table,
        before: Option<&dyn Image>,
        after: Option<&dyn Image>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let write = |large, out: &mut Vec<u8>| {
            self.write_images(table, (before, after), large, out).ok_or(())
        };
        write_within(self.bytes_max, out, write).ok()
    }

    fn write_images(
        &self,
        table: &Table,
        (before, after): (Option<&dyn Image>, Option<&dyn Image>),
        large: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut writer = self.begin(out);
        writer.text("db", &table.database).text("table", &table.name);
        let mut done = Some(());
        if !table.key.is_empty() {
            writer.json("key", |out| done = write_key(table, before, after, out));
        }
        for (name, image) in [("before", before), ("after", after)] {
            let Some(image) = image else { continue };
            let all = 0..image.columns();
            writer.json(name, |out| done = done.and(write_object(image, all, large, out)));
        }
        if let (Some(_), Some(after)) = (before, after) {
            write_unchanged(after, &mut writer);
        }
        self.end(&mut writer);
        done
    }
}

/// What is told of a statement that is too long for a record.
fn stand_in(sql: &str) -> String {
    let mut text = Vec::new();
    write_stand_in(sql.as_bytes(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Columns that `binlog_row_image=MINIMAL` left out because they stayed as they were.
fn write_unchanged(after: &dyn Image, writer: &mut ChangeWriter<'_>) {
    let mut absent = (0..after.columns()).filter(|at| !after.has(*at)).peekable();
    if absent.peek().is_some() {
        writer.json("unchanged", |out| {
            crate::value::write_labels(absent.map(|at| after.name(at)), out);
        });
    }
}

/// `{"id":7}`: from the row as it is after the change, where that has the column.
fn write_key(
    table: &Table,
    before: Option<&dyn Image>,
    after: Option<&dyn Image>,
    out: &mut Vec<u8>,
) -> Option<()> {
    out.push(b'{');
    for (index, at) in table.key.iter().enumerate() {
        let image = [after, before].into_iter().flatten().find(|image| image.has(*at))?;
        if index > 0 {
            out.push(b',');
        }
        write_field(image, *at, usize::MAX, out)?;
    }
    out.push(b'}');
    Some(())
}

fn write_object(
    image: &dyn Image,
    columns: impl Iterator<Item = usize>,
    large: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    out.push(b'{');
    for (index, at) in columns.filter(|at| image.has(*at)).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_field(image, at, large, out)?;
    }
    out.push(b'}');
    Some(())
}

fn write_field(image: &dyn Image, at: usize, large: usize, out: &mut Vec<u8>) -> Option<()> {
    json::write_str(image.name(at), out);
    out.push(b':');
    let bytes = image.bytes(at);
    if bytes.len() <= large {
        return image.write(at, out);
    }
    write_stand_in(bytes, out);
    Some(())
}

/// Appends what keeps the row's changes in order: its table and its primary key, or else the row.
pub(crate) fn write_kafka_key(
    table: &Table,
    before: Option<&dyn Image>,
    after: Option<&dyn Image>,
    out: &mut Vec<u8>,
) -> Option<()> {
    out.extend_from_slice(table.key_prefix.as_bytes());
    if !table.key.is_empty() {
        return write_key(table, before, after, out);
    }
    let start = out.len();
    // A row without a key is found by what it was.
    let image = before.or(after)?;
    write_object(image, 0..image.columns(), usize::MAX, out)?;
    if out.len() - start > KEY_BYTES_MAX {
        let hash = format!("{:032x}", xxh3_128(&out[start..]));
        out.truncate(start);
        out.extend_from_slice(hash.as_bytes());
    }
    Some(())
}
