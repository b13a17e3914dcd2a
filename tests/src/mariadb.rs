//! A real MariaDB or MySQL: statements, and tables as they are in the end.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Row, Value};
use tokio::runtime::Runtime;

use crate::servers::{setting, unique};

/// A database of one test's own; statements go to it one after the other.
pub struct Mariadb {
    /// Its name.
    pub database: String,
    /// Of the server.
    pub host: String,
    /// Of the server.
    pub port: String,
    runtime: Runtime,
    conn: Option<Conn>,
}

impl Mariadb {
    /// Creates a database; `None` skips the test.
    ///
    /// # Panics
    /// When the server cannot be used.
    pub fn set_up(test: &str) -> Option<Self> {
        Self::create("TAHOE_TEST_MARIADB", test)
    }

    /// The same on an old MySQL.
    ///
    /// # Panics
    /// When the server cannot be used.
    pub fn set_up_mysql(test: &str) -> Option<Self> {
        Self::create("TAHOE_TEST_MYSQL", test)
    }

    fn create(server: &str, test: &str) -> Option<Self> {
        let address = setting(server)?;
        let (host, port) = address.split_once(':').expect("an address with a port");
        let mut server = Self::at(host, port, &unique(test));
        let database = server.database.clone();
        server.run(&format!("CREATE DATABASE `{database}` CHARACTER SET utf8mb4"));
        Some(server)
    }

    /// A database on the server at that place, whether it is there or not.
    ///
    /// # Panics
    /// When the system has no more threads or files.
    pub fn at(host: &str, port: &str, database: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            database: database.to_owned(),
            host: host.to_owned(),
            port: port.to_owned(),
            runtime: runtime.expect("a runtime"),
            conn: None,
        }
    }

    /// Another connection to the same database.
    pub fn another(&self) -> Self {
        Self::at(&self.host, &self.port, &self.database)
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// With what the server said, or that it did not answer; the next call connects anew.
    pub fn try_run(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let done = self.runtime.block_on(async {
            if self.conn.is_none() {
                let options = OptsBuilder::default()
                    .ip_or_hostname(self.host.clone())
                    .tcp_port(self.port.parse().expect("a port"))
                    .user(Some("root"))
                    .prefer_socket(false);
                let mut conn = Conn::new(options).await?;
                conn.query_drop("SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = ''").await?;
                self.conn = Some(conn);
            }
            let conn = self.conn.as_mut().expect("it is connected");
            conn.query::<Row, _>(sql).await
        });
        let rows = done.map_err(|error| {
            self.conn = None;
            error.to_string()
        })?;
        let text = |value: Value| match value {
            Value::NULL => "NULL".to_owned(),
            Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => other.as_sql(true),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    /// Runs a statement that must work.
    ///
    /// # Panics
    /// When it does not.
    pub fn run(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.try_run(sql).unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// Runs statements in the test's database.
    ///
    /// # Panics
    /// When one of them does not work.
    pub fn run_here(&mut self, statements: &[&str]) {
        let database = self.database.clone();
        self.run(&format!("USE `{database}`"));
        for sql in statements {
            self.run(sql);
        }
    }
}
