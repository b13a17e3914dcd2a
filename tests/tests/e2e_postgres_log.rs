//! PostgreSQL's own log, as a running server writes it.

use std::collections::BTreeMap;

use tahoe_tests::documents::Documents as _;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::servers::ask_services;

/// `log_line_prefix` of the service, which is none of the usual ones.
const LINE_PREFIX: &str = "%d|%u|%p|%m|%e|";

#[test]
fn the_log_of_a_running_server_is_read_once_in_each_of_its_forms_while_it_rotates() {
    const FAILURES: u64 = 40;
    let Some(pipeline) = Pipeline::set_up("postgres_log") else { return };
    let Some(database) = Database::create("postgres_log") else { return };
    let files = format!("{}/data/log/postgresql-*", ask_services(&["home", "postgresql"]));
    let arguments = ["--postgres-log", &files, "--pg-log-line-prefix", LINE_PREFIX];
    let transformer = pipeline.transformer();
    let mut producer = pipeline.start("tahoe-postgres", &arguments);
    let query = format!("postgresql.log.database:{} AND log.level:error", database.name);
    for n in 0..FAILURES {
        // Its statement is a line of its own, and goes on in the next one.
        let refused = database.try_run(&format!("SELECT 'n={n} is\nno number'::int"));
        assert!(refused.expect_err("refused").contains("invalid input syntax"));
        if n % 10 == 5 {
            database.run("SELECT pg_rotate_logfile()");
        }
        if n == FAILURES / 2 {
            pipeline.documents.wait_for(&query, 3);
            producer.kill();
            producer = pipeline.start("tahoe-postgres", &arguments);
        }
    }
    pipeline.documents.wait_for(&query, usize::try_from(3 * FAILURES).expect("few"));
    producer.stop();
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for document in pipeline.documents.find(&query) {
        let (_, form) = document.text("/log/file/path").rsplit_once('.').expect("an extension");
        found.entry(form.to_owned()).or_default().push(document.number());
        assert_eq!(document.text("/postgresql/log/sql_state_code"), "22P02", "{}", document.source);
        assert_eq!(document.text("/user/name"), "postgres");
        let text = document.source.to_string();
        assert!(text.contains("no number'::int"), "without its statement: {text}");
    }
    let all: Vec<_> = (0..FAILURES).collect();
    for (form, mut numbers) in found.clone() {
        numbers.sort_unstable();
        assert_eq!(numbers, all, "{form}");
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), ["csv", "json", "log"]);
    transformer.stop();
    database.drop();
}
