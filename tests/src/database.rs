//! What a test of a table asks of a database, whichever it is.

use crate::mariadb::Mariadb;
use crate::pipeline::Pipeline;
use crate::postgresql::Database;
use crate::program::Program;

/// A database of one test, which a producer reads.
pub trait Server: Send + Sized + 'static {
    /// What `tests/services` calls its server.
    fn service(&self) -> &'static str;
    /// The program that reads it, with its settings.
    fn reader(&self) -> (&'static str, Vec<(&'static str, String)>);
    /// One statement after the other, in one connection; the lines of the last one's result.
    ///
    /// # Errors
    /// With what the server said, or that it did not answer.
    fn run(&mut self, statements: &[String]) -> Result<Vec<String>, String>;
    /// What makes a table of the numbers from 1 to `rows`, as `n`.
    fn numbers(rows: u64) -> String;
    /// Another connection to it.
    fn another(&self) -> Self;
    /// Once nobody reads it any more.
    fn end(&mut self);
}

impl Server for Database {
    fn service(&self) -> &'static str {
        "postgresql"
    }

    fn reader(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let settings = self.settings().into_iter();
        ("tahoe-postgres", settings.map(|(name, value)| (name, value.to_owned())).collect())
    }

    fn run(&mut self, statements: &[String]) -> Result<Vec<String>, String> {
        let told = self.try_run(&(statements.join(";\n") + ";\n"))?;
        Ok(told.lines().map(str::to_owned).collect())
    }

    fn numbers(rows: u64) -> String {
        format!("generate_series(1, {rows}) AS numbers (n)")
    }

    fn another(&self) -> Self {
        Self {
            host: self.host.clone(),
            port: self.port.clone(),
            password: self.password.clone(),
            name: self.name.clone(),
        }
    }

    fn end(&mut self) {
        self.drop();
    }
}

impl Server for Mariadb {
    fn service(&self) -> &'static str {
        "mariadb"
    }

    fn reader(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let settings = [
            ("MYSQL_HOST", self.host.as_str()),
            ("MYSQL_PORT", &self.port),
            ("MYSQL_DATABASE", &self.database),
            ("MYSQL_USER", "root"),
        ];
        ("tahoe-mysql", settings.map(|(name, value)| (name, value.to_owned())).to_vec())
    }

    fn run(&mut self, statements: &[String]) -> Result<Vec<String>, String> {
        let mut told = self.try_run(&format!("USE `{}`", self.database))?;
        for sql in statements {
            told = self.try_run(sql)?;
        }
        Ok(told.into_iter().map(|row| row.join(" ")).collect())
    }

    fn numbers(rows: u64) -> String {
        format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS numbers")
    }

    fn another(&self) -> Self {
        Self::another(self)
    }

    fn end(&mut self) {
        self.run(&format!("DROP DATABASE `{}`", self.database));
    }
}

/// Starts what reads it.
pub fn start_reader(pipeline: &Pipeline, server: &impl Server, arguments: &[&str]) -> Program {
    start_reader_with(pipeline, server, arguments, &[])
}

/// The same with further settings, which win over those of the server.
pub fn start_reader_with(
    pipeline: &Pipeline,
    server: &impl Server,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Program {
    let (binary, of_server) = server.reader();
    let of_server = of_server.iter().map(|(name, value)| (*name, value.as_str()));
    let settings: Vec<_> = of_server.chain(settings.iter().copied()).collect();
    pipeline.start_with(binary, arguments, &settings)
}
