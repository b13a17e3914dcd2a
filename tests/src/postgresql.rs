//! A database of one test on the real PostgreSQL, asked through psql, and the state of its tables:
//! as it is there, and as its rows and changes tell it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::servers::{setting, unique};
use crate::wait::until;

/// A database that no other test uses.
pub struct Database {
    /// Host and port.
    pub host: String,
    /// Port.
    pub port: String,
    /// Of the user postgres.
    pub password: String,
    /// Its name, and that of its publication.
    pub name: String,
}

/// The rows of tables, each as JSON with sorted keys, by table and key; the rows of a table that has
/// no key by themselves, with how many there are of each.
pub type State = BTreeMap<(String, String), i64>;

impl Database {
    /// Creates it; `None` skips the test.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create(test: &str) -> Option<Self> {
        let address = setting("TAHOE_TEST_POSTGRESQL")?;
        let password = setting("TAHOE_TEST_POSTGRESQL_PASSWORD")?;
        let (host, port) = address.split_once(':').expect("host and port");
        let (host, port) = (host.to_owned(), port.to_owned());
        let name = unique(test);
        let admin = Self { host, port, password, name: "postgres".to_owned() };
        admin.run(&format!("CREATE DATABASE {name}"));
        Some(Self { name, ..admin })
    }

    /// Runs statements, each on its own.
    ///
    /// # Errors
    /// What psql says.
    pub fn try_run(&self, sql: &str) -> Result<String, String> {
        let mut child = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--host", &self.host, "--port", &self.port])
            .args(["--username", "postgres", "--dbname", &self.name])
            .env("PGPASSWORD", &self.password)
            .env("PGTZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql is installed");
        // A server that is down does not read.
        let _ = child.stdin.take().expect("it is piped").write_all(sql.as_bytes());
        let output = child.wait_with_output().expect("it is our child");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Runs statements, each on its own.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn run(&self, sql: &str) -> String {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The settings of a producer that reads it.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("PGHOST", &self.host),
            ("PGPORT", &self.port),
            ("PGPASSWORD", &self.password),
            ("PGDATABASE", &self.name),
        ]
    }

    /// Drops it once nobody uses it.
    pub fn drop(&self) {
        let admin = Self {
            host: self.host.clone(),
            port: self.port.clone(),
            password: self.password.clone(),
            name: "postgres".to_owned(),
        };
        until("the database can be dropped", || {
            admin.try_run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
        });
    }
}

/// Applies rows and changes to a state, in the order of their commits; rows that were read come
/// where the log has them.
#[derive(Default)]
pub struct Replay {
    rows: BTreeMap<(String, String), (Value, i64)>,
}

impl Replay {
    /// Applies one record.
    ///
    /// # Panics
    /// When it is not what a producer writes.
    pub fn apply(&mut self, record: &Value) {
        let table = record["table"].as_str().expect("a table").to_owned();
        if record["op"] == "truncate" {
            self.rows.retain(|(of, _), _| *of != table);
            return;
        }
        let Some(key) = record.get("key") else {
            if let Some(before) = record.get("before") {
                self.count(&table, before, -1);
            }
            if let Some(after) = record.get("after") {
                self.count(&table, after, 1);
            }
            return;
        };
        let place = |key: &Value| (table.clone(), key.to_string());
        // Of a row that was moved there, what is known of it at either place.
        let mut known: Vec<_> =
            self.rows.get(&place(key)).map(|(row, _)| row.clone()).into_iter().collect();
        if let Some(before) = record.get("before") {
            let old: serde_json::Map<_, _> = key
                .as_object()
                .expect("a key is an object")
                .keys()
                .map(|name| (name.clone(), before[name].clone()))
                .collect();
            let gone = self.rows.remove(&place(&Value::Object(old)));
            known.splice(..0, gone.map(|(row, _)| row));
        }
        match record.get("after") {
            None => drop(self.rows.remove(&place(key))),
            Some(after) => {
                let mut after = after.clone();
                let unchanged = record["unchanged"].as_array().cloned().unwrap_or_default();
                for name in unchanged.iter().filter_map(Value::as_str) {
                    // Not known: then it is gone again before its table was read.
                    if let Some(value) = known.iter().find_map(|row| row.get(name)) {
                        after[name] = value.clone();
                    }
                }
                self.rows.insert(place(key), (after, 1));
            }
        }
    }

    fn count(&mut self, table: &str, row: &Value, by: i64) {
        let place = (table.to_owned(), row.to_string());
        let entry = self.rows.entry(place.clone()).or_insert((row.clone(), 0));
        entry.1 += by;
        if entry.1 == 0 {
            self.rows.remove(&place);
        }
    }

    /// What the tables hold now.
    pub fn state(self) -> State {
        let place = |((table, _), (row, count)): ((String, String), (Value, i64))| {
            ((table, row.to_string()), count)
        };
        self.rows.into_iter().map(place).collect()
    }
}

/// Writes rounds until it is told to stop.
pub struct Writing {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writing {
    /// Begins; a round's statements are made of its number.
    pub fn start(database: &Arc<Database>, statements: fn(u64) -> String) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (asked, count, database) =
            (Arc::clone(&stop), Arc::clone(&rounds), Arc::clone(database));
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let round = count.fetch_add(1, Ordering::Relaxed) + 1;
                // The server may be restarting; what was not written then is not missed.
                let _ = database.try_run(&statements(round));
            }
        });
        Self { stop, rounds, thread }
    }

    /// Ends; how many rounds there were.
    ///
    /// # Panics
    /// When writing panicked.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it writes");
        self.rounds.load(Ordering::Relaxed)
    }
}
