//! `tahoe setup --acl`: with what it prints each binary does its work over TLS, as a user of its own,
//! and with a line less it is refused.

use std::process::Output;

use serde_json::Value;
use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed::{self, append_to, write_lines};
use tahoe_tests::pipeline::{Pipeline, SET_UP};
use tahoe_tests::program::{Ended, Program, repository};
use tahoe_tests::servers::setting;
use tahoe_tests::wait::until_true;

const PRODUCER: &str = "tahoe-laravel";
const TRANSFORMER: &str = "tahoe-transformer";
const OPERATOR: &str = "tahoe";

/// No record of Laravel's log.
const REJECTED: &str = "{\"message\":\"bad\"x}\n";

/// A pipeline at a broker that asks for TLS, a password and permissions.
struct Guarded {
    pipeline: Pipeline,
    brokers: String,
    authority: String,
    password: String,
    /// What `tahoe setup --acl` prints.
    lines: Vec<String>,
}

impl Guarded {
    /// None of `users` may do anything at first. `None` skips the test.
    fn begin(pipeline: Option<Pipeline>, users: &[&str]) -> Option<Self> {
        let pipeline = pipeline?;
        let brokers = setting("TAHOE_TEST_KAFKA_SECURE")?;
        let authority = setting("TAHOE_TEST_KAFKA_CA_FILE")?;
        let password = setting("TAHOE_TEST_KAFKA_PASSWORD")?;
        let flags = ["setup", "--acl", "--no-system", "--laravel", "laravel.log"];
        let printed = pipeline.start("tahoe", &flags).wait();
        assert!(printed.status.success(), "{}", printed.stderr);
        std::fs::write(pipeline.path("admin.properties"), "").expect("written");
        let lines = printed.stdout.lines().map(str::to_owned).collect();
        let guarded = Self { pipeline, brokers, authority, password, lines };
        // Names that all tests share may have been given to them by an earlier run.
        let of_user = |line: &&String| users.iter().any(|user| line.contains(&by(user)));
        let given = guarded.lines.iter().filter(of_user);
        let taken = given.map(|line| line.replace(" --add ", " --remove --force ") + " &");
        guarded.kafkas_tool(&(taken.collect::<Vec<_>>().join("\n") + "\nwait"));
        Some(guarded)
    }

    /// Gives a user the one line that holds `what`.
    fn give(&self, user: &str, what: &str) {
        let is_asked = |line: &&String| line.contains(&by(user)) && line.contains(what);
        let found: Vec<_> = self.lines.iter().filter(is_asked).collect();
        assert_eq!(found.len(), 1, "{user} {what}: {found:?} of {:#?}", self.lines);
        self.kafkas_tool(found[0]);
    }

    fn kafkas_tool(&self, lines: &str) {
        let services = repository().join("tests/services");
        let tool =
            format!("kafka-acls.sh() {{ '{}' kafka-acls.sh \"$@\"; }}\n", services.display());
        let Output { status, stderr, .. } = std::process::Command::new("bash")
            .args(["-e", "-c", &(tool + lines)])
            .current_dir(self.pipeline.path(""))
            .output()
            .expect("bash runs");
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    }

    fn start(&self, binary: &str, arguments: &[&str], user: &str) -> Program {
        self.start_with(binary, arguments, user, ("KAFKA_PASSWORD", &self.password))
    }

    fn start_with(
        &self,
        binary: &str,
        arguments: &[&str],
        user: &str,
        change: (&str, &str),
    ) -> Program {
        let settings = [
            ("KAFKA_BOOTSTRAP_SERVERS", self.brokers.as_str()),
            ("KAFKA_SECURITY_PROTOCOL", "sasl-ssl"),
            ("KAFKA_CA_FILE", &self.authority),
            ("KAFKA_PASSWORD", &self.password),
            ("KAFKA_USERNAME", user),
            ("TAHOE_MEASURE_SECONDS", "1"),
            change,
        ];
        self.pipeline.start_with(binary, arguments, &settings)
    }

    fn refuses(&self, binary: &str, arguments: &[&str]) {
        refused(&self.start(binary, arguments, binary).wait());
    }

    /// What a command prints that may do what it does.
    fn allows(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.start(OPERATOR, arguments, OPERATOR).wait();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Whether a service of this pipeline has said something of itself.
    fn is_measured(&self, field: &str) -> bool {
        let mut found = false;
        self.pipeline.scan("tahoe_metrics", &mut |record| {
            let line: Value = serde_json::from_slice(record.value).expect("JSON");
            found |= line[field] == self.pipeline.name.as_str();
        });
        found
    }
}

fn by(user: &str) -> String {
    format!("User:{user} ")
}

fn refused(ended: &Ended) {
    let Ended { status, stdout, stderr } = ended;
    assert_eq!(status.code(), Some(1), "a user did what it may not: {stdout}{stderr}");
    // Who may write nothing at all is refused as a producer before the first record.
    let said = ["grant it", "Cluster authorization failed"];
    let is_said = |text: &&str| stderr.contains(text) || stdout.contains(text);
    assert!(said.iter().any(is_said), "{stdout}{stderr}");
}

#[test]
fn a_producer_needs_every_line_that_is_printed_for_it_and_no_other() {
    let set_up = Pipeline::set_up("acl_producer");
    let Some(guarded) = Guarded::begin(set_up, &[PRODUCER]) else { return };
    let pipeline = &guarded.pipeline;
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..3, feed::laravel);
    let path = pipeline.flag("laravel.log");
    let (work, check) = (["--laravel", &path], ["--laravel", &path, "--check"]);
    let wrong =
        guarded.start_with(PRODUCER, &check, PRODUCER, ("KAFKA_PASSWORD", "not-the-password"));
    let text = wrong.wait().stdout;
    assert!(text.contains("KAFKA_PASSWORD") && !text.contains("not-the-password"), "{text}");
    let stranger = guarded.start_with(PRODUCER, &check, PRODUCER, ("KAFKA_CA_FILE", ""));
    let text = stranger.wait().stdout;
    assert!(text.contains("KAFKA_CA_FILE"), "{text}");

    guarded.refuses(PRODUCER, &check);
    guarded.refuses(PRODUCER, &work);
    guarded.give(PRODUCER, "--operation Read --operation Write --topic");
    guarded.refuses(PRODUCER, &work);
    guarded.give(PRODUCER, "--group");
    let mut unmeasured = guarded.start(PRODUCER, &work, PRODUCER);
    unmeasured.says("what is measured reaches no dashboard");
    pipeline.wait_for_records(3);
    unmeasured.stop();
    assert_eq!(pipeline.in_kafka().len(), 3);
    guarded.give(PRODUCER, "tahoe_metrics");
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 3..50, feed::laravel);
    let producer = guarded.start(PRODUCER, &work, PRODUCER);
    until_true("it says how it is", || guarded.is_measured("service.node.name"));
    producer.kill();
    // After a kill it reads what it has written.
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 50..100, feed::laravel);
    let producer = guarded.start(PRODUCER, &work, PRODUCER);
    let transformer = pipeline.transformer();
    pipeline.documents.wait_for("*", 100);
    producer.stop();
    pipeline.assert_each_once(0..100);
    transformer.stop();
    refused(&guarded.start(TRANSFORMER, &[], PRODUCER).wait());
}

#[test]
fn the_transformer_needs_every_line_that_is_printed_for_it_and_no_other() {
    let set_up = Pipeline::set_up("acl_transformer");
    let Some(guarded) = Guarded::begin(set_up, &[TRANSFORMER]) else { return };
    let pipeline = &guarded.pipeline;
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..3, feed::laravel);
    std::fs::write(pipeline.path("rejected.log"), REJECTED).expect("written");
    let path = pipeline.flag("*.log");
    let producer = pipeline.start(PRODUCER, &["--laravel", &path]);
    pipeline.wait_for_records(4);
    producer.stop();
    assert_eq!(pipeline.in_kafka().len(), 4);

    guarded.refuses(TRANSFORMER, &[]);
    guarded.give(TRANSFORMER, "--operation Read --topic");
    guarded.refuses(TRANSFORMER, &[]);
    guarded.refuses(TRANSFORMER, &["--check"]);
    guarded.give(TRANSFORMER, "--operation Describe --topic");
    let checked = guarded.start(TRANSFORMER, &["--check"], TRANSFORMER).wait();
    assert!(checked.status.success(), "{}", checked.stdout);
    guarded.refuses(TRANSFORMER, &[]);
    guarded.give(TRANSFORMER, "--operation Read --group");
    guarded.refuses(TRANSFORMER, &[]);
    guarded.give(TRANSFORMER, "--group tahoe.scan");
    guarded.refuses(TRANSFORMER, &[]);
    assert_eq!(pipeline.dead_letters(), 0);
    guarded.give(TRANSFORMER, "--operation Write");
    let transformer = guarded.start(TRANSFORMER, &[], TRANSFORMER);
    pipeline.documents.wait_for("*", 3);
    until_true("the dead letter", || pipeline.dead_letters() == 1);
    until_true("it says what waits", || guarded.is_measured("tahoe.topic.name"));
    transformer.stop();
    let other = guarded.start(PRODUCER, &["--laravel", &path], TRANSFORMER);
    refused(&other.wait());
}

#[test]
fn the_operators_commands_need_every_line_that_is_printed_for_them() {
    let prepared = Pipeline::prepare("acl_operator");
    let Some(guarded) = Guarded::begin(prepared, &[OPERATOR]) else { return };
    let pipeline = &guarded.pipeline;
    let checks = ["check", "--no-system"];
    guarded.refuses(OPERATOR, &SET_UP);
    guarded.refuses(OPERATOR, &checks);
    guarded.give(OPERATOR, "--operation Create");
    guarded.allows(&SET_UP, 0);
    guarded.allows(&checks, 0);

    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..3, feed::laravel);
    std::fs::write(pipeline.path("rejected.log"), REJECTED).expect("written");
    let producer = pipeline.start(PRODUCER, &["--laravel", &pipeline.flag("*.log")]);
    let transformer = pipeline.transformer();
    pipeline.documents.wait_for("*", 3);
    until_true("the dead letter", || pipeline.dead_letters() == 1);
    producer.stop();
    transformer.stop();

    let listed = pipeline.start(OPERATOR, &["dlq", "list", "--letters", "--json"]).wait();
    let letter: Value = serde_json::from_str(listed.stdout.trim()).expect("one letter");
    let letter = letter["letter"].as_str().expect("its place");
    let replay = ["replay", "--dataset", "laravel.log", "--from", "1h", "--to", "2100-01-01"];
    let show = ["dlq", "show", letter];
    // Replayed, the record is rejected again, and the exit code says so.
    let reading: [(&[&str], i32); 4] =
        [(&["dlq", "list"], 0), (&show, 0), (&["dlq", "export"], 0), (&replay, 3)];
    reading.iter().for_each(|(arguments, _)| guarded.refuses(OPERATOR, arguments));
    guarded.give(OPERATOR, "--operation Read --topic");
    reading.iter().for_each(|(arguments, _)| guarded.refuses(OPERATOR, arguments));
    guarded.give(OPERATOR, "--group tahoe.scan");
    for (arguments, code) in reading {
        let printed = guarded.allows(arguments, code);
        assert!(!printed.is_empty(), "{arguments:?}");
    }

    let (file, again) = (pipeline.flag("more.txt"), ["dlq", "replay"]);
    write_lines(&mut append_to(&pipeline.path("more.txt")), 3..6, feed::laravel);
    let ingest = ["ingest", "--dataset", "laravel.log", &file];
    guarded.refuses(OPERATOR, &again);
    guarded.refuses(OPERATOR, &ingest);
    guarded.give(OPERATOR, "--operation Write");
    // Rejected again, which is marked.
    guarded.allows(&again, 3);
    guarded.refuses(OPERATOR, &ingest);
    guarded.give(OPERATOR, "--group tahoe.ingest/");
    guarded.allows(&ingest, 0);
    let transformer = pipeline.transformer();
    pipeline.documents.wait_for("*", 6);
    transformer.stop();
}
