//! Changes of a real MariaDB whose binlog breaks at an event, or whose network falls silent.

#[path = "mysql/proxy.rs"]
mod proxy;

use proxy::Proxy;
use serde_json::Value;
use tahoe_tests::database::start_reader_with;
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::Program;
use tahoe_tests::wait::until;

struct Shop {
    server: Mariadb,
    proxy: Proxy,
    pipeline: Pipeline,
    /// In the change of a row with this note the binlog is broken.
    marker: String,
}

impl Shop {
    fn open(test: &str) -> Option<Self> {
        let pipeline = Pipeline::of_kafka(test)?;
        let mut server = Mariadb::set_up(test)?;
        server.run_here(&[
            "CREATE TABLE orders (id INT PRIMARY KEY, note TEXT)",
            "INSERT INTO orders VALUES (1, 'a')",
        ]);
        // The binlog is the whole server's, of all tests.
        let marker = format!("the binlog of {test} breaks here");
        let proxy = Proxy::to(format!("{}:{}", server.host, server.port), &marker);
        Some(Self { server, proxy, pipeline, marker })
    }

    fn insert(&mut self, id: i32, note: &str) {
        self.server.run_here(&[&format!("INSERT INTO orders VALUES ({id}, '{note}')")]);
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let through = [("MYSQL_HOST", "127.0.0.1"), ("MYSQL_PORT", self.proxy.port.as_str())];
        start_reader_with(&self.pipeline, &self.server, arguments, &through)
    }

    /// What each record is, sorted: `insert 1`, or the beginning of a statement.
    fn told(&self) -> Vec<String> {
        let told = |record: &Value| match record["statement"].as_str() {
            Some(statement) => statement.split(' ').next().unwrap_or_default().to_owned(),
            None => format!("{} {}", record["op"].as_str().expect("text"), record["key"]["id"]),
        };
        let mut all: Vec<_> = self.pipeline.json_in_kafka().iter().map(told).collect();
        all.sort_unstable();
        all
    }

    fn wait_for(&self, expected: &[&str]) {
        until("it is told", || match self.told() {
            told if told == expected => Ok(()),
            told => Err(format!("{told:?}")),
        });
    }
}

#[test]
fn changes_that_are_lost_in_the_midst_of_the_binlog_are_left_as_the_policy_says_and_only_once() {
    let Some(mut shop) = Shop::open("mysql_broken") else { return };
    let producer = shop.start(&[]);
    shop.wait_for(&["read 1"]);
    shop.insert(2, "b");
    shop.wait_for(&["insert 2", "read 1"]);
    let marker = shop.marker.clone();
    shop.insert(3, &marker);
    let ended = producer.wait();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("--mysql-on-lost-position snapshot"), "{}", ended.stderr);

    let policy = ["--mysql-on-lost-position", "snapshot"];
    let producer = shop.start(&policy);
    shop.wait_for(&["gap:", "insert 2", "read 1", "read 1", "read 2", "read 3"]);
    shop.insert(4, "d");
    shop.wait_for(&["gap:", "insert 2", "insert 4", "read 1", "read 1", "read 2", "read 3"]);
    producer.kill();
    let producer = shop.start(&policy);
    shop.insert(5, "e");
    let all = ["gap:", "insert 2", "insert 4", "insert 5", "read 1", "read 1", "read 2", "read 3"];
    shop.wait_for(&all);
    producer.stop();
    shop.wait_for(&all);
}

#[test]
fn a_connection_that_is_dead_without_a_word_is_opened_again() {
    let Some(mut shop) = Shop::open("mysql_silent") else { return };
    let producer = shop.start(&[]);
    shop.wait_for(&["read 1"]);
    shop.insert(2, "b");
    shop.wait_for(&["insert 2", "read 1"]);
    shop.proxy.freeze();
    shop.insert(3, "c");
    shop.wait_for(&["insert 2", "insert 3", "read 1"]);
    let ended = producer.stop();
    assert!(ended.stderr.contains("heartbeat"), "{}", ended.stderr);
}
