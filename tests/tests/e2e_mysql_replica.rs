//! A replica of MariaDB as the server that is read, and a reader that is led from the primary to the
//! replica in mid-stream: its global transaction ids say where it goes on, and each change is told
//! once. The replica follows every database, so this is a file of its own: cargo runs those one after
//! the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;
use tahoe_tests::database::start_reader_with;
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::Program;
use tahoe_tests::proxy::Proxy;
use tahoe_tests::servers::{ask_services, services, services_with};
use tahoe_tests::wait::until_true;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Rows that are there before anything is read.
const ROWS: u64 = 500;

/// A primary, and a replica that follows it from the beginning of the test's database on.
struct Group {
    pipeline: Pipeline,
    primary: Mariadb,
    replica: Mariadb,
    _alone: MutexGuard<'static, ()>,
}

impl Group {
    fn set_up(test: &str) -> Option<Self> {
        Self::set_up_with(&[], test)
    }

    fn set_up_with(settings: &[(&str, &str)], test: &str) -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let pipeline = Pipeline::of_kafka(test)?;
        // Its database is made when the replica follows.
        let mut first = Mariadb::set_up(test)?;
        services_with(&["up", "mariadb-replica"], settings);
        let home = ask_services(&["home", "mariadb-replica"]);
        let port = std::fs::read_to_string(format!("{home}/port")).expect("it has a port");
        let mut primary = Mariadb::at(&first.host, &first.port, &pipeline.name);
        let mut replica = Mariadb::at(&first.host, port.trim(), &pipeline.name);
        let at = first.run("SELECT @@GLOBAL.gtid_binlog_pos")[0][0].clone();
        replica.run(&format!("SET GLOBAL gtid_slave_pos = '{at}'"));
        replica.run(&format!(
            "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, MASTER_USER = 'root', \
             MASTER_USE_GTID = slave_pos",
            first.host, first.port
        ));
        replica.run("START SLAVE");
        let database = &pipeline.name;
        primary.run(&format!("CREATE DATABASE `{database}`"));
        primary.run_here(&[
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, n INT)",
            &format!("INSERT INTO orders SELECT seq, 0 FROM seq_1_to_{ROWS}"),
        ]);
        let mut group = Self { pipeline, primary, replica, _alone: alone };
        group.catch_up();
        Some(group)
    }

    /// Waits until the replica has what the primary has.
    fn catch_up(&mut self) {
        let at = self.primary.run("SELECT @@GLOBAL.gtid_binlog_pos")[0][0].clone();
        let waited = self.replica.run(&format!("SELECT MASTER_GTID_WAIT('{at}', 60)"));
        assert_eq!(waited[0][0], "0", "the replica does not follow");
    }

    fn start(&self, port: &str, more: &[&str]) -> Program {
        let arguments = [&["--mysql-chunk-rows", "50"][..], more].concat();
        // Of either server, or of the proxy before them.
        let settings = [("MYSQL_HOST", "127.0.0.1"), ("MYSQL_PORT", port)];
        start_reader_with(&self.pipeline, &self.primary, &arguments, &settings)
    }

    /// Reads until a last row comes; then every insert and every update must be there once, and the
    /// rows of the beginning.
    fn end(&mut self, port: &str, written: u64) {
        self.primary.run("INSERT INTO orders VALUES (1000000, -1)");
        let producer = self.start(port, &[]);
        let last = |record: &Value| record["key"]["id"] == 1_000_000;
        until_true("the last row comes", || self.pipeline.json_in_kafka().iter().any(last));
        producer.stop();
        let told = self.pipeline.json_in_kafka();
        let of = |operation: &str, number: fn(&Value) -> &Value| {
            let these = told.iter().filter(|record| record["op"] == operation);
            let mut numbers: Vec<_> = these.filter_map(|one| number(one).as_u64()).collect();
            numbers.sort_unstable();
            numbers
        };
        let rows = of("read", |record| &record["key"]["id"]);
        let mut once = rows.clone();
        once.dedup();
        assert_eq!(rows.len(), once.len(), "rows that are there twice");
        assert!(rows.len() as u64 >= ROWS, "{} rows", rows.len());
        let updates = of("update", |record| &record["after"]["n"]);
        // Those before the reader began are in its rows.
        let first = updates.first().copied().unwrap_or(written);
        assert_eq!(updates, (first..written).collect::<Vec<_>>(), "each update once");
        assert!(updates.len() > 40, "{} updates", updates.len());
        let last = self.primary.run("SELECT COUNT(*) FROM orders")[0][0].clone();
        assert_eq!(last, (ROWS + 1).to_string());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.primary.try_run(&format!("DROP DATABASE `{}`", self.pipeline.name));
        services(&["clean", "mariadb-replica"]);
    }
}

/// Updates with a number that grows, until it is told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Writer {
    fn start(primary: &Mariadb) -> Self {
        let mut server = primary.another();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            server.run_here(&[]);
            (1..)
                .take_while(|_| !stopped.load(Ordering::Relaxed))
                .inspect(|n| {
                    let id = n * 7919 % ROWS + 1;
                    server.run(&format!("UPDATE orders SET n = {n} WHERE id = {id}"));
                })
                .last()
                .map_or(1, |last| last + 1)
        });
        Self { stop, thread }
    }

    /// One more than the last number.
    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it writes")
    }
}

#[test]
fn a_replica_is_read_as_its_primary_is() {
    let Some(mut group) = Group::set_up("mysql_replica") else { return };
    let port = group.replica.port.clone();
    let writer = Writer::start(&group.primary);
    for _ in 0..4 {
        let before = group.pipeline.in_kafka().len();
        let producer = group.start(&port, &[]);
        group.pipeline.wait_for_records(before + 150);
        producer.kill();
    }
    let written = writer.finish();
    group.end(&port, written);
}

#[test]
fn a_reader_that_is_led_to_the_replica_and_back_tells_each_change_once() {
    let Some(mut group) = Group::set_up("mysql_led") else { return };
    let address = |server: &Mariadb| format!("{}:{}", server.host, server.port);
    let (primary, replica) = (address(&group.primary), address(&group.replica));
    let proxy = Proxy::to(&primary);
    let port = proxy.address.rsplit_once(':').expect("a port").1.to_owned();
    let writer = Writer::start(&group.primary);
    let mut producer = group.start(&port, &[]);
    producer.says("every table is read");
    for (round, to) in [&replica, &primary, &replica, &primary, &replica].into_iter().enumerate() {
        let before = group.pipeline.in_kafka().len();
        group.pipeline.wait_for_records(before + 30);
        // The replica may be behind the reader; then it waits for what comes.
        proxy.lead_to(to);
        group.pipeline.wait_for_records(before + 60);
        if round % 2 == 1 {
            producer.kill();
            producer = group.start(&port, &[]);
        }
    }
    producer.kill();
    let written = writer.finish();
    group.catch_up();
    group.end(&port, written);
}

#[test]
fn a_replica_whose_binlog_has_nothing_of_its_primary_is_warned_of() {
    let unlogged = [("MARIADB_LOG_SLAVE_UPDATES", "0")];
    for (settings, test, warned) in
        [(&unlogged[..], "mysql_unlogged", true), (&[], "mysql_logged", false)]
    {
        let Some(group) = Group::set_up_with(settings, test) else { return };
        let ended = group.start(&group.replica.port, &["--check"]).wait();
        let said = ended.stdout + &ended.stderr;
        assert!(ended.status.success(), "{said}");
        assert_eq!(said.contains("warning: log_slave_updates = OFF"), warned, "{said}");
        let mut producer = group.start(&group.replica.port, &[]);
        producer.says("every table is read");
        assert_eq!(producer.stderr().contains("log_slave_updates = OFF"), warned);
        producer.kill();
    }
}
