//! Statements of the simple protocol: every value comes back as text.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::connection::Connection;
use crate::cursor::Cursor;
use crate::failure::Failure;

/// A row's values, in the order of its columns; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// Called with the values of one row, each as the server wrote it.
pub type EachRow<'e> = dyn FnMut(&[Option<&[u8]>]) + 'e;

impl Connection {
    /// Runs statements; the rows of all of them.
    ///
    /// # Errors
    /// [`Failure`]; after one of the server's, the next statement can be run.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        self.query_each(sql, &mut |values| {
            let text = |value: &Option<&[u8]>| {
                value.map(|value| String::from_utf8_lossy(value).into_owned())
            };
            rows.push(values.iter().map(text).collect());
        })?;
        Ok(rows)
    }

    /// The only value of a statement; empty where there is none.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub fn value(&mut self, sql: &str) -> Result<String, Failure> {
        let first = self.query(sql)?.into_iter().next().and_then(|row| row.into_iter().next());
        Ok(first.flatten().unwrap_or_default())
    }

    /// Runs statements and visits each row as it arrives.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub fn query_each(&mut self, sql: &str, each: &mut EachRow<'_>) -> Result<(), Failure> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(|error| Failure::Setting(error.to_string()))?;
        self.send(&out)?;
        let mut refused = None;
        loop {
            let message = match self.answer() {
                Ok(message) => message,
                Err(failure @ Failure::Refused { .. }) if !failure.code().starts_with("57P") => {
                    // The server says once more when it is ready.
                    refused = Some(failure);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            match message.tag {
                b'D' => {
                    let values = values(&message.body);
                    each(&values.ok_or_else(|| self.failed("a row that cannot be read"))?);
                }
                b'Z' => return refused.map_or(Ok(()), Err),
                _ => {}
            }
        }
    }

    /// Begins the stream of changes.
    ///
    /// # Errors
    /// [`Failure`]: no such slot, one that is in use, no privilege.
    pub fn begin_stream(&mut self, sql: &str) -> Result<(), Failure> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(|error| Failure::Setting(error.to_string()))?;
        self.send(&out)?;
        match self.answer()?.tag {
            b'W' => Ok(()),
            _ => Err(self.failed("it does not begin to stream")),
        }
    }
}

fn values(body: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let mut body = Cursor(body);
    let count = body.u16()?;
    let mut values = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        values.push(match body.u32()? {
            u32::MAX => None,
            length => Some(body.bytes(length as usize)?),
        });
    }
    Some(values)
}
