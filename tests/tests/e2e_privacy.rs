//! A privacy policy in the producer: what it hides is nowhere in Kafka, neither in records nor keys,
//! headers, positions or dead letters, though the producer is killed again and again; who has the
//! key reads what was encrypted; and the documents are those of the same policy in the transformer.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tahoe_tests::documents::{Document, Documents as _, each_once};
use tahoe_tests::feed::Feed;
use tahoe_tests::privacy::{OLDER, Private, SECRET};
use tahoe_tests::program::Program;
use tahoe_tests::site::Site;
use tahoe_transformer::dead_letter_topic;

const ROUNDS: usize = 5;

/// Visible in Elasticsearch between two kills.
const STORED_PER_ROUND: usize = 20;

/// Lines a second that leave something in flight at each kill, and not too much to the end.
const SLOW: u32 = 50;

const POLICY: &str = "\
    laravel.log  laravel.context.mail  hash\n\
    laravel.log  laravel.context.card  mask\n\
    laravel.log  laravel.context.iban  encrypt\n\
    laravel.log  laravel.context.note  drop\n\
    *            message               detect\n";

/// What must be nowhere: of the mail, card, account, note and password of every line. None is so
/// short that a hash, a sealed value, a position or a time has it by chance.
const PRIVATE: [&str; 6] =
    ["@shop.example", "4111 1111", "ES9121000418", "allergic", "hunter2", " of Ana"];

/// A line of an application; in every ninth the note is an object, in place of which no text stands.
fn line(n: u64) -> String {
    let time = format!("2026-03-04T09:{:02}:{:02}+00:00", n / 60 % 60, n % 60);
    let note = match n.is_multiple_of(9) {
        true => r#"{"of":["allergic of Ana"]}"#,
        false => r#""allergic of Ana""#,
    };
    format!(
        "[{time}] production.INFO: n={n} login of u{n}@shop.example at mysql://app:hunter2@db/x \
         {{\"mail\":\"u{n}@shop.example\",\"card\":\"4111 1111 1111 1111\",\
         \"iban\":\"ES9121000418450200051332\",\"note\":{note},\"user_id\":{n}}} \n"
    )
}

fn producer(private: &Private) -> Program {
    private.start("tahoe-laravel", &["--laravel", &private.pipeline.flag("laravel.log")])
}

/// `tahoe decrypt` with the secrets of a file, and what it could not read.
fn decrypted(lines: &str, folder: &Path, secrets: &str) -> (String, String) {
    std::fs::write(folder.join("in"), lines).expect("written");
    std::fs::write(folder.join("secrets"), secrets).expect("written");
    let input = std::fs::File::open(folder.join("in")).expect("it was written");
    let mut command = tahoe_tests::program::command("tahoe");
    command.arg("decrypt").env("TAHOE_PRIVACY_KEY_FILE", folder.join("secrets")).stdin(input);
    let ended = command.output().expect("it runs");
    let unread = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.success(), unread.is_empty(), "{unread}");
    (String::from_utf8(ended.stdout).expect("text"), unread)
}

#[test]
fn nothing_that_is_hidden_reaches_kafka_though_the_producer_is_killed_in_mid_stream() {
    let Some(private) = Private::set_up("privacy", POLICY) else { return };
    let pipeline = &private.pipeline;
    let transformer = private.start("tahoe-transformer", &[]);
    let feed = Feed::into_file(&pipeline.path("laravel.log"), SLOW, line);
    for _ in 0..ROUNDS {
        let producer = producer(&private);
        let stored = pipeline.documents.count("*");
        pipeline.documents.wait_for("*", stored + STORED_PER_ROUND);
        producer.kill();
    }
    let lines = feed.finish();
    let producer = producer(&private);
    let count = usize::try_from(lines).expect("few");
    pipeline.documents.wait_for("*", count);
    producer.stop();
    transformer.stop();

    let records = pipeline.in_kafka();
    let documents = private.by_id();
    each_once(documents.keys(), records.iter().map(|record| &record.id));
    each_once(documents.values().map(Document::number), 0..lines);
    private.assert_nowhere_in_kafka(&PRIVATE);
    let sealed = records.iter().filter(|record| record.text.starts_with("enc:1:")).count() as u64;
    assert!(sealed >= lines / 9 && sealed <= lines / 9 + 1, "{sealed} of {lines}");
    let raw: String = records.iter().map(|record| format!("{}\n", record.text)).collect();
    let (read, unread) = decrypted(&raw, &pipeline.path("."), &format!("{OLDER}\n{SECRET}"));
    assert_eq!(read.matches("ES9121000418450200051332").count() as u64, lines);
    assert_eq!(unread, "");
    let (foreign, unread) = decrypted(&raw, &pipeline.path("."), OLDER);
    assert!(!foreign.contains("ES9121000418"), "another key opens nothing");
    assert!(unread.contains("could not be read"), "{unread}");

    for document in documents.values() {
        let context = &document.source["laravel"]["context"];
        assert_eq!(context["card"], "***", "{}", document.source);
        assert!(context.get("note").is_none(), "{}", document.source);
        let iban = context["iban"].as_str().expect("it is there");
        assert!(iban.starts_with("enc:1:"), "{iban}");
        let done = document.source["tahoe"]["transformations"].to_string();
        for done_so in [
            "hashed:laravel.context.mail",
            "masked:laravel.context.card",
            "encrypted:laravel.context.iban",
            "dropped:laravel.context.note",
            "masked:message",
        ] {
            assert!(done.contains(done_so), "{done_so}: {}", document.source);
        }
    }
    second_pass(&private, &documents, lines);
}

/// The same policy once more, on what the producer has done already, changes nothing.
fn second_pass(private: &Private, documents: &BTreeMap<String, Document>, lines: u64) {
    let replay = ["replay", "--json", "--dataset", "laravel.log", "--from", "1h", "--to"];
    let ended = private.start("tahoe", &[&replay[..], &["2100-01-01"]].concat()).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let counts: Value = serde_json::from_str(ended.stdout.trim()).expect("a summary");
    assert_eq!(counts["unchanged"], lines, "{counts}");
    let again = private.by_id();
    assert!(again.keys().eq(documents.keys()));
    for (id, document) in &again {
        assert_eq!(document.source, documents[id].source);
    }
}

#[test]
fn a_sealed_record_is_a_dead_letter_where_the_key_is_missing_and_stored_once_it_is_there() {
    let Some(private) = Private::set_up("privacy_letters", POLICY) else { return };
    let pipeline = &private.pipeline;
    std::fs::write(pipeline.path("laravel.log"), line(9)).expect("written");
    let producer = producer(&private);
    let transformer = pipeline.transformer();
    tahoe_tests::wait::until_true("a dead letter", || {
        let mut letters = 0;
        pipeline.scan(&dead_letter_topic(&pipeline.name), &mut |_| letters += 1);
        letters == 1
    });
    producer.stop();
    transformer.stop();
    private.assert_nowhere_in_kafka(&["@shop.example"]);
    let shown = pipeline.start("tahoe", &["dlq", "list", "--letters", "--json"]).wait();
    assert!(shown.stdout.contains("\"sealed\""), "{}", shown.stdout);
    let exported = pipeline.start("tahoe", &["dlq", "export"]).wait();
    assert!(exported.stdout.contains("\"sealed\":true"), "{}", exported.stdout);
    let ended = private.start("tahoe", &["dlq", "replay", "--json"]).wait();
    assert!(ended.status.success(), "{} {}", ended.stdout, ended.stderr);
    let found = pipeline.documents.find("*");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].number(), 9);
    assert_eq!(found[0].source["laravel"]["context"]["card"], "***");
}

#[test]
fn everything_in_one_process_hides_before_its_own_log_where_a_setting_says_so() {
    let site = Site::embedded("laravel_logs");
    std::fs::write(site.path("laravel.log"), (0..20).map(line).collect::<String>())
        .expect("written");
    std::fs::write(site.path("policy"), POLICY).expect("written");
    std::fs::write(site.path("key"), SECRET).expect("written");
    let (policy, key) = (site.flag("policy"), site.flag("key"));
    let (file, up) = (site.flag("laravel.log"), ["up", "--no-system", "--for", "1s", "--laravel"]);
    let more = ["--start-at", "beginning", "--privacy", &policy, "--privacy-at-source"];
    let refused = site.run(&[&up[..], &[&file], &more].concat());
    assert!(
        !refused.status.success() && refused.stderr.contains("TAHOE_PRIVACY_KEY"),
        "{refused:?}"
    );
    let key = ["--privacy-key-file", &key];
    let ended = site.run(&[&up[..], &[&file], &more, &key].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(site.documents().count("*"), 20);
    site.with_log(|log| {
        for partition in 0..log.partitions("laravel_logs").expect("it is there") {
            let scanned = log.scan("laravel_logs", partition, 0, u64::MAX, &mut |record| {
                let text = String::from_utf8_lossy(record.value);
                assert!(PRIVATE.iter().all(|word| !text.contains(word)), "{text}");
                std::ops::ControlFlow::Continue(())
            });
            scanned.expect("the log can be read");
        }
    });
}

#[test]
fn parse_shows_a_record_before_and_after_a_policy_and_as_a_producer_sends_it() {
    let site = Site::embedded("laravel_logs");
    std::fs::write(site.path("laravel.log"), line(1)).expect("written");
    std::fs::write(site.path("policy"), POLICY).expect("written");
    std::fs::write(site.path("key"), SECRET).expect("written");
    let (file, policy, key) = (site.flag("laravel.log"), site.flag("policy"), site.flag("key"));
    let parse = ["parse", "--dataset", "laravel.log", "--policy", &policy];
    let ended = site.run(&[&parse[..], &["--privacy-key-file", &key, &file]].concat());
    let shown: Value = serde_json::from_str(&ended.stdout).expect("an object");
    assert_eq!(shown["before"]["laravel"]["context"]["mail"], "u1@shop.example");
    let after = &shown["after"]["laravel"]["context"];
    assert_eq!((&after["card"], after["mail"].as_str().map(str::len)), (&"***".into(), Some(22)));
    let sent = shown["sent"].as_str().expect("text");
    assert!(sent.contains("n=1 login of ") && !sent.contains("ES9121000418"), "{sent}");
    assert!(!shown["after"].to_string().contains("u1@shop.example"), "{shown}");
    let keyless = site.run(&[&parse[..], &[&file]].concat());
    assert!(keyless.stderr.contains("--policy: "), "{}", keyless.stderr);
}
