//! What takes long in PostgreSQL: a transaction that is longer than the server's patience, a table
//! that is longer than a statement may last.

use tahoe_tests::database::{start_reader, start_reader_with};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::wait::until_it_rests;

#[test]
fn a_server_has_patience_with_a_transaction_that_takes_longer_than_its_timeout() {
    const ROWS: u64 = 200_000;
    let Some(pipeline) = Pipeline::of_kafka("pg_long") else { return };
    let Some(database) = Database::create("pg_long") else { return };
    database.run(&format!(
        "CREATE TABLE orders (id int PRIMARY KEY, note text); \
         ALTER DATABASE \"{}\" SET wal_sender_timeout = '2s'",
        database.name
    ));
    let set_up = start_reader(&pipeline, &database, &["--setup"]).wait();
    assert!(set_up.status.success(), "{}{}", set_up.stdout, set_up.stderr);
    let mut producer = start_reader(&pipeline, &database, &[]);
    producer.says("every table is read");
    database.run(&format!(
        "INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, {ROWS}) n"
    ));
    until_it_rests("the transaction comes", || {
        let mut records = 0;
        pipeline.each_in_kafka(&mut |_| records += 1);
        if records == ROWS { Ok(()) } else { Err(records) }
    });
    let ended = producer.stop();
    assert!(!ended.stderr.contains("source starts again"), "{}", ended.stderr);
    start_reader(&pipeline, &database, &["--teardown"]).wait();
    database.drop();
}

#[test]
fn a_table_is_compared_however_long_it_takes_to_read() {
    let Some(pipeline) = Pipeline::of_kafka("pg_slow_table") else { return };
    let Some(database) = Database::create("pg_slow_table") else { return };
    // Whoever is no superuser reads it only without a limit, as it takes longer than any.
    let role = &database.name;
    database.run(&format!(
        "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2); \
         CREATE ROLE \"{role}\" LOGIN REPLICATION PASSWORD 'hunter2'; \
         GRANT SELECT ON orders TO \"{role}\"; \
         CREATE FUNCTION takes_long() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('statement_timeout') <> '0' THEN RAISE query_canceled; END IF; \
         RETURN true; END $$; \
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY slow ON orders USING (takes_long())"
    ));
    let set_up = start_reader(&pipeline, &database, &["--setup"]).wait();
    assert!(set_up.status.success(), "{}{}", set_up.stdout, set_up.stderr);
    let mut producer = start_reader(&pipeline, &database, &[]);
    producer.says("every table is read");
    let login = [("PGUSER", role.as_str()), ("PGPASSWORD", "hunter2")];
    let ended = start_reader_with(&pipeline, &database, &["--verify"], &login).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    producer.stop();
    start_reader(&pipeline, &database, &["--teardown"]).wait();
    database.run(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""));
    database.drop();
}
