//! Tables in Elasticsearch: sums, dates and counts that Kibana asks for are those of the tables
//! themselves, on the real servers.

use serde_json::{Value, json};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::program::{Program, command};
use tahoe_tests::wait::until;

/// A database that is read, and how.
struct Shop {
    producer: &'static str,
    package: &'static str,
    /// What a table's name begins with in a data stream.
    prefix: String,
    settings: Vec<(&'static str, String)>,
    server: Server,
}

enum Server {
    Postgresql(Box<Database>),
    Mariadb(Box<Mariadb>),
}

impl Shop {
    fn postgresql(test: &str) -> Option<Self> {
        let database = Database::create(test)?;
        let settings = database.settings().into_iter();
        Some(Self {
            producer: "tahoe-postgres",
            package: "postgresql",
            prefix: format!("{}.public", database.name),
            settings: settings.map(|(name, value)| (name, value.to_owned())).collect(),
            server: Server::Postgresql(Box::new(database)),
        })
    }

    fn mariadb(test: &str) -> Option<Self> {
        let mut server = Mariadb::set_up(test)?;
        server.run_here(&[]);
        let settings = [
            ("MYSQL_HOST", &server.host),
            ("MYSQL_PORT", &server.port),
            ("MYSQL_DATABASE", &server.database),
        ];
        let mut settings: Vec<_> =
            settings.into_iter().map(|(name, value)| (name, value.clone())).collect();
        settings.push(("MYSQL_USER", "root".to_owned()));
        Some(Self {
            producer: "tahoe-mysql",
            package: "mysql",
            prefix: server.database.clone(),
            settings,
            server: Server::Mariadb(Box::new(server)),
        })
    }

    /// Runs a statement.
    fn run(&mut self, sql: &str) {
        self.ask(sql);
    }

    /// Runs statements, each in a transaction of its own.
    fn run_each(&mut self, statements: &[String]) {
        match &mut self.server {
            // A psql for each would take most of the time.
            Server::Postgresql(database) => drop(database.run(&(statements.join(";\n") + ";"))),
            Server::Mariadb(server) => statements.iter().for_each(|sql| drop(server.run(sql))),
        }
    }

    /// The rows of a query, columns side by side.
    fn ask(&mut self, sql: &str) -> Vec<Vec<String>> {
        match &mut self.server {
            Server::Postgresql(database) => {
                let text = database.run(sql);
                let row = |line: &str| line.split('|').map(str::to_owned).collect();
                text.lines().filter(|line| !line.is_empty()).map(row).collect()
            }
            Server::Mariadb(server) => server.run(sql),
        }
    }

    fn value(&mut self, sql: &str) -> String {
        self.ask(sql).concat().concat()
    }

    fn number(&mut self, sql: &str) -> f64 {
        self.value(sql).parse().expect("a number")
    }

    fn start(&self, pipeline: &Pipeline, binary: &str, more: &[(&str, &str)]) -> Program {
        let mut command = command(binary);
        if binary == "tahoe" {
            command.arg("setup");
        }
        let own = self.settings.iter().map(|(name, value)| (*name, value.as_str()));
        command.envs(pipeline.settings()).envs(own).envs(more.iter().copied());
        Program::spawn(binary, command)
    }

    /// As an operator does it once.
    fn set_up(&self, pipeline: &Pipeline, settings: &[(&str, &str)]) -> String {
        let ended = self.start(pipeline, "tahoe", settings).wait();
        assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    fn stream(&self, what: &str, table: &str, pipeline: &Pipeline) -> String {
        let (package, prefix) = (self.package, &self.prefix);
        format!("logs-{package}.{what}.{prefix}.{table}-{}", pipeline.documents.namespace)
    }

    fn drop(self) {
        match self.server {
            Server::Postgresql(database) => {
                let slots = format!(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE database = '{}' AND NOT active",
                    database.name
                );
                until("the slot is dropped", || database.try_run(&slots));
                Database::drop(&database);
            }
            Server::Mariadb(mut server) => {
                let database = server.database.clone();
                server.run(&format!("DROP DATABASE `{database}`"));
            }
        }
    }
}

/// An answer of Elasticsearch about what is stored now.
fn search(pipeline: &Pipeline, index: &str, body: &Value) -> Result<Value, String> {
    let documents = &pipeline.documents;
    documents.ask("POST", &format!("/{index}/_refresh"), "")?;
    documents.ask("POST", &format!("/{index}/_search"), &body.to_string())
}

/// Waits until so many documents match.
fn wait_for(pipeline: &Pipeline, index: &str, count: u64) {
    let body = json!({"size": 0, "track_total_hits": true});
    until(&format!("{count} in {index}"), || {
        let found = search(pipeline, index, &body)?["hits"]["total"]["value"].as_u64();
        if found == Some(count) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

const ORDERS: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(12,2), paid \
                      boolean, ordered_on date, seen_at timestamp(3) NULL, ratio double precision, \
                      note text)";

fn orders(from: u32, to: u32) -> String {
    let row = |n: u32| {
        let (day, month) = (n % 28 + 1, n % 12 + 1);
        let total =
            if n.is_multiple_of(10) { "NULL".to_owned() } else { format!("{n}.{:02}", n % 100) };
        format!(
            "({n}, {total}, {}, '2026-{month:02}-{day:02}', \
             '2026-11-21 09:00:00.{:03}', {n} / 8.0, 'n={n}')",
            n.is_multiple_of(2),
            n % 1000
        )
    };
    format!("INSERT INTO orders VALUES {}", (from..to).map(row).collect::<Vec<_>>().join(", "))
}

/// What a dashboard would ask of a table, and the table's own answers.
fn assert_same_numbers(shop: &mut Shop, pipeline: &Pipeline, index: &str, of: &str) {
    let yes = if shop.package == "mysql" { json!(1) } else { json!(true) };
    let body = json!({"size": 0, "aggs": {
        "sum": {"sum": {"field": "row.total"}},
        "ratio": {"avg": {"field": "row.ratio"}},
        "months": {"date_histogram": {"field": "row.ordered_on", "calendar_interval": "month"}},
        "paid": {"filter": {"term": {"row.paid": yes}}},
        "early": {"filter": {"range": {"row.seen_at": {"lt": "2026-11-21T09:00:00.100Z"}}}},
        "largest": {"max": {"field": "row.id"}},
    }});
    let found = search(pipeline, index, &body).expect("Elasticsearch answers");
    let found = &found["aggregations"];
    let mut number = |what: &str| shop.number(&format!("SELECT {what} FROM orders WHERE {of}"));
    let value = |name: &str| found[name]["value"].as_f64().expect("a number");
    assert!((value("sum") - number("sum(total)")).abs() < 0.005, "{found}");
    assert!((value("ratio") - number("avg(ratio)")).abs() < 1e-9, "{found}");
    let paid = number("count(CASE WHEN paid THEN 1 END)");
    assert_eq!(found["paid"]["doc_count"].as_f64(), Some(paid), "{found}");
    let early = number("count(CASE WHEN seen_at < '2026-11-21 09:00:00.1' THEN 1 END)");
    assert_eq!(found["early"]["doc_count"].as_f64(), Some(early), "{found}");
    assert_eq!(value("largest"), number("max(id)"), "{found}");
    let months = found["months"]["buckets"].as_array().expect("buckets");
    for (at, month) in months.iter().enumerate() {
        let own = number(&format!(
            "count(CASE WHEN extract(month FROM ordered_on) = {} THEN 1 END)",
            at + 1
        ));
        assert_eq!(month["doc_count"].as_f64(), Some(own), "{month}");
    }
    assert_eq!(months.len(), 12);
}

fn sums_and_dates(mut shop: Shop) {
    let name = format!("tables_{}", shop.package);
    let Some(pipeline) = Pipeline::set_up(&name) else { return };
    shop.run(ORDERS);
    shop.run(&orders(1, 301));
    let pattern = format!("{}.*", shop.prefix);
    let streams = [("TAHOE_TABLE_STREAMS", pattern.as_str())];
    let said = shop.set_up(&pipeline, &streams);
    assert!(said.contains(&format!("table        {}.orders", shop.prefix)), "{said}");
    let transformer = shop.start(&pipeline, "tahoe-transformer", &streams);
    let producer = shop.start(&pipeline, shop.producer, &[]);
    let (rows, changes) =
        (shop.stream("row", "orders", &pipeline), shop.stream("change", "orders", &pipeline));
    wait_for(&pipeline, &rows, 300);
    assert_same_numbers(&mut shop, &pipeline, &rows, "id <= 300");

    shop.run(&orders(301, 401));
    wait_for(&pipeline, &changes, 100);
    assert_same_numbers(&mut shop, &pipeline, &changes, "id > 300");

    // A column that came later has a type once `tahoe setup` has seen it.
    shop.run("ALTER TABLE orders ADD COLUMN weight numeric(30,10)");
    shop.run("UPDATE orders SET weight = 0.5 WHERE id <= 20");
    wait_for(&pipeline, &changes, 120);
    shop.set_up(&pipeline, &streams);
    shop.run("UPDATE orders SET weight = 1.25 WHERE id <= 20");
    wait_for(&pipeline, &changes, 140);
    let body = json!({"size": 0, "aggs": {"sum": {"sum": {"field": "row.weight"}}}});
    let found = search(&pipeline, &changes, &body).expect("Elasticsearch answers");
    assert_eq!(found["aggregations"]["sum"]["value"], json!(25.0));

    // What was never set up is found by its columns' text.
    let odd_names = if shop.package == "mysql" { "`Odd Names`" } else { "\"Odd Names\"" };
    shop.run(&format!("CREATE TABLE {odd_names} (id int PRIMARY KEY, what text)"));
    shop.run(&format!("INSERT INTO {odd_names} VALUES (1, 'x')"));
    let odd = format!("logs-{}.change.*-{}", shop.package, pipeline.documents.namespace);
    let body = json!({"query": {"term": {"row.what": "x"}}});
    until("the row of a table that was not set up", || {
        let found = search(&pipeline, &odd, &body)?;
        if found["hits"]["total"]["value"] == 1 { Ok(()) } else { Err(found.to_string()) }
    });
    producer.stop();
    transformer.stop();
    shop.drop();
}

#[test]
fn sums_and_dates_of_a_table_of_postgresql_are_those_of_the_table() {
    let Some(shop) = Shop::postgresql("tables") else { return };
    sums_and_dates(shop);
}

#[test]
fn sums_and_dates_of_a_table_of_mariadb_are_those_of_the_table() {
    let Some(shop) = Shop::mariadb("tables") else { return };
    sums_and_dates(shop);
}

/// Rows of one round, made of its number. Notes are long enough that PostgreSQL keeps them apart
/// and leaves them out of a change that does not touch them, unless the row's key changes.
fn transactions(round: u32, shop: &mut Shop) {
    let id = round * 7919 % 200 + 1;
    let new = 1000 + round;
    let note = "large ".repeat(1000);
    let statements = [
        format!(
            "UPDATE accounts SET paid = NOT paid, total = total + 1.25 \
             WHERE id BETWEEN {id} AND {id} + 5"
        ),
        format!("DELETE FROM accounts WHERE id = {id}"),
        format!("INSERT INTO accounts VALUES ({id}, {round}.25, '{note}{round}', true)"),
        format!("INSERT INTO accounts VALUES ({new}, NULL, 'n={round}', false)"),
        format!("UPDATE accounts SET id = id + 5000 WHERE id = {new} - 2"),
        format!("DELETE FROM accounts WHERE id = {new} + 5000 - 7"),
        format!("UPDATE accounts SET note = 'changed {round}' WHERE id = {id} + 1"),
        format!("INSERT INTO emptied VALUES ({round}, 'x')"),
    ];
    shop.run_each(&statements);
    if round.is_multiple_of(25) {
        let again = ["TRUNCATE TABLE emptied", "INSERT INTO emptied VALUES (0, 'x')"];
        shop.run_each(&again.map(str::to_owned));
    }
}

/// The rows of a table, each as its columns' texts, sorted.
fn rows(shop: &mut Shop, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let text = |column: &&str| format!("coalesce(cast({column} AS char(7000)), 'NULL')");
    let columns: Vec<_> = columns.iter().map(text).collect();
    let mut rows = shop.ask(&format!("SELECT {} FROM {table}", columns.join(", ")));
    // PostgreSQL fills up what is of a fixed length.
    rows.iter_mut().flatten().for_each(|text| *text = text.trim_end().to_owned());
    rows.sort();
    rows
}

/// The same of the documents that say what the rows are now.
fn kept(
    shop: &Shop,
    pipeline: &Pipeline,
    table: &str,
    columns: &[&str],
) -> Result<Vec<Vec<String>>, String> {
    let (package, prefix) = (shop.package, &shop.prefix);
    let alias = format!("latest-rows-{package}.{prefix}.{table}-{}", pipeline.documents.namespace);
    let found = search(pipeline, &alias, &json!({"size": 10_000}))?;
    let text = |value: &Value| match value {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    };
    let hits = found["hits"]["hits"].as_array().ok_or("no hits")?;
    let is_incomplete = |hit: &&Value| hit["_source"]["tahoe"]["state"].get("incomplete").is_some();
    if let Some(hit) = hits.iter().find(is_incomplete) {
        return Err(format!("incomplete: {hit}"));
    }
    let row =
        |hit: &Value| columns.iter().map(|column| text(&hit["_source"]["row"][column])).collect();
    let mut rows: Vec<Vec<String>> = hits.iter().map(row).collect();
    rows.sort();
    Ok(rows)
}

fn latest_state(mut shop: Shop) {
    let Some(pipeline) = Pipeline::set_up(&format!("latest_{}", shop.package)) else { return };
    shop.run(
        "CREATE TABLE accounts (id int PRIMARY KEY, total numeric(12,2), note text, paid boolean)",
    );
    shop.run("CREATE TABLE emptied (id int PRIMARY KEY, what text)");
    if shop.package == "postgresql" {
        shop.run("ALTER TABLE accounts ALTER COLUMN note SET STORAGE EXTERNAL");
    }
    let row = |n: u32| format!("({n}, {n}.50, '{}', true)", "early ".repeat(1000));
    let all: Vec<_> = (1..=200).map(row).collect();
    shop.run(&format!("INSERT INTO accounts VALUES {}", all.join(", ")));
    let pattern = format!("{}.*", shop.prefix);
    let latest = [("TAHOE_LATEST_STATE", pattern.as_str())];
    shop.set_up(&pipeline, &latest);
    let producer = shop.start(&pipeline, shop.producer, &[]);
    for lap in 0..5 {
        let transformer = shop.start(&pipeline, "tahoe-transformer", &latest);
        (lap * 30..(lap + 1) * 30).for_each(|round| transactions(round, &mut shop));
        if lap < 2 {
            // Some laps end before anything is written, some in the midst of it.
            until("something is kept", || kept(&shop, &pipeline, "accounts", &["id"]));
        }
        transformer.kill();
    }
    let transformer = shop.start(&pipeline, "tahoe-transformer", &latest);
    for (table, columns) in
        [("accounts", &["id", "total", "note", "paid"][..]), ("emptied", &["id", "what"])]
    {
        let expected = rows(&mut shop, table, columns);
        assert!(!expected.is_empty());
        until(&format!("the rows of {table} are those of the table"), || {
            let found = kept(&shop, &pipeline, table, columns)?;
            let differs = |row: &&Vec<String>| !expected.contains(row);
            let short = |rows: Vec<&Vec<String>>| {
                let text = format!("{:?}", rows.into_iter().take(3).collect::<Vec<_>>());
                text.chars().take(400).collect::<String>()
            };
            let strange = short(found.iter().filter(differs).collect());
            let missing = short(expected.iter().filter(|row| !found.contains(row)).collect());
            match found == expected {
                true => Ok(()),
                false => Err(format!(
                    "{} of {}; missing {missing}, strange {strange}",
                    found.len(),
                    expected.len()
                )),
            }
        });
    }
    producer.stop();
    transformer.stop();
    shop.drop();
}

#[test]
fn the_latest_rows_are_those_of_postgresql_however_often_the_transformer_is_killed() {
    let Some(shop) = Shop::postgresql("latest") else { return };
    latest_state(shop);
}

#[test]
fn the_latest_rows_are_those_of_mariadb_however_often_the_transformer_is_killed() {
    let Some(shop) = Shop::mariadb("latest") else { return };
    latest_state(shop);
}
