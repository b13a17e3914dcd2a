//! What an operator relies on in every binary: help, checks, health, a clean stop, and secrets that
//! stay secret.

use std::time::Duration;

use rustix::process::Signal;
use tahoe_tests::feed::{self, append_to, write_lines};
use tahoe_tests::pipeline::{Pipeline, SET_UP};
use tahoe_tests::program::{CHECKED_WITHIN, Ended, Program, command, repository, run};
use tahoe_tests::servers::{free_port, http_get, setting};
use tahoe_tests::wait::until;

const SERVICES: [&str; 4] = ["tahoe-laravel", "tahoe-syslog", "tahoe-file", "tahoe-transformer"];

/// Flags with which a service of a pipeline has something to do.
fn work(pipeline: &Pipeline, service: &str) -> Vec<String> {
    let arguments = match service {
        "tahoe-laravel" => vec!["--laravel".into(), pipeline.flag("laravel.log")],
        "tahoe-file" => {
            vec!["--file".into(), format!("system.syslog={}", pipeline.flag("syslog"))]
        }
        "tahoe-syslog" => {
            let address = format!("127.0.0.1:{}", free_port());
            vec!["--no-system".into(), "--syslog".into(), address]
        }
        _ => Vec::new(),
    };
    for (name, line) in
        [("laravel.log", feed::laravel as fn(u64) -> String), ("syslog", feed::syslog)]
    {
        write_lines(&mut append_to(&pipeline.path(name)), 0..3, line);
    }
    arguments
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn ready(address: &str) {
    until("it is ready", || http_get(&format!("http://{address}/readyz")).map(drop));
}

#[test]
fn the_help_of_every_binary_shows_an_example_and_where_each_setting_comes_from() {
    let commands =
        [vec![], vec!["up"], vec!["search"], vec!["parse"], vec!["check"], vec!["setup"]];
    let operator = commands.iter().map(|command| ("tahoe", command.clone()));
    for (binary, mut arguments) in SERVICES.map(|name| (name, vec![])).into_iter().chain(operator) {
        arguments.push("--help");
        let ended = run(binary, &arguments);
        assert!(ended.status.success(), "{binary} {arguments:?}: {}", ended.stderr);
        assert!(
            ended.stdout.contains("Example: tahoe"),
            "{binary} {arguments:?}: {}",
            ended.stdout
        );
        let version = run(binary, &["--version"]);
        assert!(version.stdout.starts_with(binary), "{}", version.stdout);
    }
    for service in SERVICES {
        let help = run(service, &["--help"]).stdout;
        for name in ["KAFKA_BOOTSTRAP_SERVERS", "TAHOE_METRICS", "TAHOE_LOG_FORMAT"] {
            assert!(help.contains(name), "{service} does not show {name}");
        }
    }
}

#[test]
fn every_service_answers_for_itself_and_stops_on_sigterm_with_exit_code_0() {
    let Some(pipeline) = Pipeline::set_up("service") else { return };
    for service in SERVICES {
        let address = format!("127.0.0.1:{}", free_port());
        let arguments =
            [work(&pipeline, service), vec!["--metrics".into(), address.clone()]].concat();
        let running = pipeline.start(service, &texts(&arguments));
        ready(&address);
        assert_eq!(http_get(&format!("http://{address}/healthz")).as_deref(), Ok("alive\n"));
        let metrics = http_get(&format!("http://{address}/metrics")).expect("metrics");
        assert!(metrics.contains("# TYPE tahoe_"), "{service}: {metrics}");
        assert!(metrics.contains("records_read_total"), "{service}: {metrics}");
        let probe = run(service, &["--probe", &format!("http://{address}/readyz")]);
        assert!(probe.status.success(), "{service}: {}", probe.stderr);
        running.stop();
        let probe = run(service, &["--probe", &format!("http://{address}/readyz")]);
        assert!(!probe.status.success(), "{service} is gone and seems ready");
    }
}

#[test]
fn a_second_sigterm_ends_a_service_at_once_and_loses_nothing() {
    let Some(pipeline) = Pipeline::set_up("sigterm") else { return };
    let arguments = work(&pipeline, "tahoe-laravel");
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 3..2_000, feed::laravel);
    // A stop would wait an hour for what is in flight.
    let patient = [texts(&arguments), vec!["--grace-seconds", "3600"]].concat();
    let mut first = pipeline.start("tahoe-laravel", &patient);
    first.says("file found");
    first.signal(Signal::TERM);
    first.says("stopping");
    first.signal(Signal::TERM);
    first.wait_at_most(Duration::from_secs(10));
    let transformer = pipeline.transformer();
    let second = pipeline.start("tahoe-laravel", &texts(&arguments));
    pipeline.wait_for_records(2_000);
    second.stop();
    pipeline.assert_each_once(0..2_000);
    transformer.stop();
}

/// The authority of the secure Elasticsearch; it has one where it speaks TLS.
fn authority() -> String {
    std::env::var("TAHOE_TEST_ELASTIC_CA_FILE").unwrap_or_default()
}

/// Runs `--check` with settings that cannot work.
fn checked(service: &str, arguments: &[String], settings: &[(&str, &str)]) -> String {
    let arguments = [texts(arguments), vec!["--check"]].concat();
    let ended = Program::start_with(service, &arguments, settings).wait_at_most(CHECKED_WITHIN);
    let Ended { status, stdout, stderr } = ended;
    assert_eq!(status.code(), Some(1), "{service}: {stdout}{stderr}");
    stdout + &stderr
}

fn with<'a>(
    pipeline: &'a Pipeline,
    changes: &[(&'static str, &'a str)],
) -> Vec<(&'static str, &'a str)> {
    let mut settings = pipeline.settings();
    settings.extend(changes);
    settings
}

#[test]
fn check_says_within_10_seconds_which_setting_is_wrong() {
    let Some(pipeline) = Pipeline::set_up("check") else { return };
    for service in SERVICES {
        let arguments = work(&pipeline, service);
        let fine = pipeline.start(service, &[texts(&arguments), vec!["--check"]].concat());
        let ended = fine.wait_at_most(CHECKED_WITHIN);
        assert!(ended.status.success(), "{service}: {}{}", ended.stdout, ended.stderr);

        let away = with(&pipeline, &[("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")]);
        let text = checked(service, &arguments, &away);
        assert!(text.contains("KAFKA_BOOTSTRAP_SERVERS"), "{service}: {text}");

        let missing = [("KAFKA_TOPIC", "no_such_topic"), ("TAHOE_TOPICS", "no_such_topic")];
        let text = checked(service, &arguments, &with(&pipeline, &missing));
        assert!(text.contains("no_such_topic") && text.contains("setup"), "{service}: {text}");
    }
    let away = with(&pipeline, &[("ELASTICSEARCH_URL", "http://127.0.0.1:9")]);
    let text = checked("tahoe-transformer", &[], &away);
    assert!(text.contains("--elasticsearch"), "{text}");
    let Some(url) = setting("TAHOE_TEST_ELASTICSEARCH_SECURE") else { return };
    let ca = authority();
    let wrong = [
        ("ELASTICSEARCH_URL", url.as_str()),
        ("ELASTIC_CA_FILE", &ca),
        ("ELASTIC_PASSWORD", "not-the-password"),
    ];
    let text = checked("tahoe-transformer", &[], &with(&pipeline, &wrong));
    assert!(text.contains("ELASTIC_PASSWORD"), "{text}");
    assert!(!text.contains("not-the-password"), "{text}");
}

/// At level debug, of everything, with secrets that work and secrets that do not.
#[test]
fn no_secret_is_in_any_log_line() {
    let Some(pipeline) = Pipeline::set_up("secrets") else { return };
    let Some(url) = setting("TAHOE_TEST_ELASTICSEARCH_SECURE") else { return };
    let Some(password) = setting("TAHOE_TEST_ELASTIC_PASSWORD") else { return };
    let ca = authority();
    let login = url.replace("://", &format!("://elastic:{password}@"));
    let secrets = ["kafka-secret-1", "api-key-secret-2", password.as_str()];
    let common = [("TAHOE_LOG", "debug"), ("ELASTIC_CA_FILE", ca.as_str())];
    let right = [("ELASTICSEARCH_URL", url.as_str()), ("ELASTIC_PASSWORD", &password)];
    let in_address = [("ELASTICSEARCH_URL", login.as_str())];
    let key = [("ELASTICSEARCH_URL", url.as_str()), ("ELASTIC_API_KEY", secrets[1])];
    let sasl = [
        ("ELASTICSEARCH_URL", url.as_str()),
        ("KAFKA_SECURITY_PROTOCOL", "sasl-plaintext"),
        ("KAFKA_USERNAME", "someone"),
        ("KAFKA_PASSWORD", secrets[0]),
    ];
    for (works, more) in [(true, &right[..]), (true, &in_address), (false, &key), (false, &sasl)] {
        let settings = with(&pipeline, &[&common[..], more].concat());
        let set_up = Program::start_with("tahoe", &SET_UP, &settings).wait();
        assert_eq!(set_up.status.success(), works, "{}", set_up.stderr);
        let address = format!("127.0.0.1:{}", free_port());
        let mut transformer =
            Program::start_with("tahoe-transformer", &["--metrics", &address], &settings);
        let answer = until("it says whether it is ready", || {
            match http_get(&format!("http://{address}/readyz")) {
                Ok(_) if works => Ok(String::new()),
                Err(answer) if !works && answer.contains("503") => Ok(answer),
                // A login that is refused for good ends it.
                Err(answer) if !works && !transformer.is_running() => Ok(answer),
                other => Err(format!("{other:?}")),
            }
        });
        if transformer.is_running() {
            transformer.signal(Signal::TERM);
        }
        let log = [transformer.wait().stderr, set_up.stderr, set_up.stdout, answer].concat();
        assert!(log.contains("starting"), "{log}");
        let found = secrets.iter().find(|secret| log.contains(**secret));
        assert_eq!(found, None, "{log}");
    }
}

#[test]
fn a_value_that_no_key_reads_is_printed_as_it_is_and_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "plain\nuser enc:1:AAAAAAAA:AAAA\n";
    std::fs::write(folder.path().join("in"), lines).expect("written");
    let decrypt = || {
        let mut decrypt = command("tahoe");
        decrypt.arg("decrypt").env("TAHOE_PRIVACY_KEY", "0123456789abcdef");
        let input = std::fs::File::open(folder.path().join("in")).expect("it was written");
        decrypt.stdin(input).output().expect("it runs")
    };
    let ended = decrypt();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(1), lines.as_bytes()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("1 encrypted values could not be read: "), "{said}");
    assert!(said.contains("the key AAAAAAAA, and these are "), "{said}");
    std::fs::write(folder.path().join("in"), "plain\n").expect("written");
    assert!(decrypt().status.success());
}

/// Of `docs/settings.md`, which is made from the commands: flag, name of the value, variable, and
/// the commands that take it.
fn documented_settings() -> Vec<[String; 4]> {
    let page = std::fs::read_to_string(repository().join("docs/settings.md")).expect("it is there");
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    let setting = |row: &str| {
        let cells: Vec<_> =
            row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`'])).collect();
        let (flag, value) = cells[0].split_once(' ').unwrap_or((cells[0], ""));
        [flag, value, cells[1], cells[cells.len() - 1]].map(str::to_owned)
    };
    let settings: Vec<_> = rows.map(setting).collect();
    assert!(settings.len() > 100, "{settings:?}");
    settings
}

/// In the place of a value of this name where a secret may be, if there is one; and what is wrong.
fn planted(value: &str) -> Option<[&'static str; 2]> {
    match value {
        "URL" => {
            Some(["http://me:planted-1@127.0.0.1:9/?planted-c", "ftp://me:planted-2@127.0.0.1:9"])
        }
        "URI" => Some(["mongodb://me:planted-3@127.0.0.1:9/?x=planted-4", "planted-5"]),
        "KEY=VALUE" => Some(["ssl.key.password=planted-6", "planted-7"]),
        "PASSWORD" | "SECRET" | "KEY" => Some(["planted-8://planted-9=planted-0", "planted-a"]),
        _ => None,
    }
}

#[test]
fn a_host_that_is_a_connection_string_is_refused_before_anything_is_logged() {
    let hosts = [("MYSQL_HOST", "tahoe-mysql"), ("PGHOST", "tahoe-postgres")];
    for (name, binary) in hosts.into_iter().chain([("MONGO_HOST", "tahoe-mongodb")]) {
        for host in ["x://me:planted@127.0.0.1:1/d", "me:planted@127.0.0.1"] {
            let settings = [(name, host), ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")];
            for (binary, arguments) in [(binary, &[][..]), ("tahoe", &["up"])] {
                let Ended { status, stdout, stderr } =
                    Program::start_with(binary, arguments, &settings).wait();
                assert_eq!(status.code(), Some(2), "{binary}: {stdout}{stderr}");
                assert!(stderr.contains(name) && !stderr.contains("planted"), "{stderr}");
                assert_eq!(stdout, "", "{binary}");
            }
        }
    }
}

#[test]
fn a_secret_in_any_setting_is_in_no_help_log_or_error() {
    let all = documented_settings();
    let secret = |[_, value, variable, _]: &[String; 4]| {
        (!variable.is_empty()).then_some(())?;
        Some((variable.clone(), planted(value)?))
    };
    let secrets: Vec<_> = all.iter().filter_map(secret).collect();
    assert!(secrets.len() >= 10, "{secrets:?}");
    let readers = ["tahoe-laravel", "tahoe-file", "tahoe-syslog", "tahoe-mysql", "tahoe-postgres"];
    let services = readers.into_iter().chain(["tahoe-mongodb", "tahoe-transformer"]);
    let lines = services.map(|service| (service, None)).chain([("tahoe", Some("up"))]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().display().to_string();
    for (binary, line) in lines {
        let of_help = secrets.iter().map(|(name, [right, _])| (name.as_str(), *right)).collect();
        let one_by_one = secrets.iter().flat_map(|(name, values)| {
            values.map(|value| (vec![(name.as_str(), value)], "--grace-seconds=0"))
        });
        for (settings, flag) in std::iter::once((of_help, "--help")).chain(one_by_one) {
            let common = [
                ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9"),
                ("ELASTICSEARCH_URL", "http://me:planted-b@127.0.0.1:9"),
                ("LARAVEL_LOG_FILE", "/dev/null"),
                ("TAHOE_FILES", "system.syslog=/dev/null"),
                ("TAHOE_SYSLOG", "127.0.0.1:0"),
                ("MYSQL_HOST", "127.0.0.1"),
                ("PGHOST", "127.0.0.1"),
                ("MONGO_HOST", "127.0.0.1"),
                ("TAHOE_DATA", &data),
                ("TAHOE_LOG", "debug"),
            ];
            let settings = [&common[..], &settings].concat();
            let arguments: Vec<_> = line.into_iter().chain([flag]).collect();
            let mut program = Program::start_with(binary, &arguments, &settings);
            let said = until("it looks for Kafka, or says what is wrong", || {
                let running = program.is_running();
                let said = program.stdout() + &program.stderr();
                let looks = said.contains("starting") && said.contains("Connection refused");
                if !running || looks { Ok(said) } else { Err(said) }
            });
            assert!(!said.is_empty(), "{binary} {arguments:?} {settings:?}");
            assert!(!said.contains("planted"), "{binary} {arguments:?} {settings:?}: {said}");
        }
    }
}
