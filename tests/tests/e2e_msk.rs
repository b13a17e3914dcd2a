//! Logins by IAM, at a broker that looks at tokens as Amazon MSK does (tests/kafka/MskIam.java):
//! the binaries with the credentials of a task's role, which change, and with ones that are wrong.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mongodb::bson::DateTime;
use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed::{self, append_to, write_lines};
use tahoe_tests::pipeline::{Pipeline, SET_UP};
use tahoe_tests::program::{CHECKED_WITHIN, Ended, Program};
use tahoe_tests::servers::setting;
use tahoe_tests::wait::until;

/// So long credentials of the endpoint hold, and no token for longer.
const CREDENTIALS_SECONDS: u64 = 12;

/// What a task on Fargate asks for the credentials of its role, each time others.
struct Endpoint {
    url: String,
    given: Arc<AtomicU64>,
}

impl Endpoint {
    fn start(password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/role", listener.local_addr().expect("an address"));
        let given = Arc::new(AtomicU64::new(0));
        let (count, password) = (Arc::clone(&given), password.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let answer = credentials(&format!("ASIAROLE{number}"), &password);
                answer_with(stream.expect("a connection"), &answer);
            }
        });
        Self { url, given }
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }
}

fn credentials(key: &str, password: &str) -> String {
    let ends = SystemTime::now() + Duration::from_secs(CREDENTIALS_SECONDS);
    let ends = DateTime::from_system_time(ends).try_to_rfc3339_string().expect("this century");
    format!(
        r#"{{"AccessKeyId":"{key}","SecretAccessKey":"{password}{key}","Token":"{password}{key}","Expiration":"{ends}"}}"#
    )
}

fn answer_with(mut stream: TcpStream, body: &str) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    // A client that has gone asks again.
    let _ = stream.write_all(text.as_bytes());
}

/// The listener that takes tokens, its authority, and what is behind every secret.
struct Msk {
    brokers: String,
    authority: String,
    password: String,
}

impl Msk {
    fn there() -> Option<Self> {
        Some(Self {
            brokers: setting("TAHOE_TEST_KAFKA_IAM")?,
            authority: setting("TAHOE_TEST_KAFKA_CA_FILE")?,
            password: setting("TAHOE_TEST_KAFKA_PASSWORD")?,
        })
    }

    /// The pipeline's settings, with a login by IAM, and those of `more` last.
    fn settings<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        more: &[(&'static str, &'a str)],
    ) -> Vec<(&'static str, &'a str)> {
        let mut settings = pipeline.settings();
        settings.extend([
            ("KAFKA_BOOTSTRAP_SERVERS", self.brokers.as_str()),
            ("KAFKA_SECURITY_PROTOCOL", "sasl-ssl"),
            ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM"),
            ("KAFKA_CA_FILE", &self.authority),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("TAHOE_LINGER_MS", "200"),
        ]);
        settings.extend(more);
        settings
    }
}

#[test]
fn credentials_and_tokens_change_under_running_binaries_and_nothing_is_lost_or_doubled() {
    let Some(pipeline) = Pipeline::prepare("msk") else { return };
    let Some(msk) = Msk::there() else { return };
    let endpoint = Endpoint::start(&msk.password);
    let role = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url.as_str())];
    let settings = msk.settings(&pipeline, &role);
    let set_up = Program::start_with("tahoe", &SET_UP, &settings).wait();
    assert!(set_up.status.success(), "{}", set_up.stderr);
    let path = pipeline.flag("laravel.log");
    let mut file = append_to(&pipeline.path("laravel.log"));
    write_lines(&mut file, 0..10, feed::laravel);
    let check = ["--laravel", path.as_str(), "--check"];
    let ended =
        Program::start_with("tahoe-laravel", &check, &settings).wait_at_most(CHECKED_WITHIN);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let transformer = Program::start_with("tahoe-transformer", &[], &settings);
    // Of everything, so that what AWS's crates say is seen as well.
    let all = msk.settings(&pipeline, &[role[0], ("TAHOE_LOG", "trace")]);
    let producer = Program::start_with("tahoe-laravel", &check[..2], &all);
    pipeline.documents.wait_for("*", 10);
    // Two processes ask, and each has had three tokens or more when eight were given. It writes all
    // the while, over connections that the broker ends with their tokens.
    let (begun, mut written) = (endpoint.given(), 10);
    until("credentials have changed often", || {
        write_lines(&mut file, written..written + 10, feed::laravel);
        written += 10;
        match endpoint.given() - begun {
            8.. => Ok(()),
            given => Err(format!("{given} of 8")),
        }
    });
    write_lines(&mut file, written..written + 100, feed::laravel);
    written += 100;
    pipeline.documents.wait_for("*", usize::try_from(written).expect("few"));
    // What asks the cluster about itself had no work meanwhile, and can still.
    let producer = producer.stop();
    pipeline.assert_each_once(0..written);
    let transformer = transformer.stop();
    for ended in [set_up, producer, transformer] {
        assert!(!ended.stderr.contains(&msk.password), "a secret is in the log");
        assert!(!ended.stderr.contains("refuses"), "{}", ended.stderr);
    }
}

/// Runs `--check` with settings that cannot work.
fn checked(pipeline: &Pipeline, settings: &[(&str, &str)]) -> String {
    let path = pipeline.flag("laravel.log");
    let check = ["--laravel", path.as_str(), "--check"];
    let ended = Program::start_with("tahoe-laravel", &check, settings).wait_at_most(CHECKED_WITHIN);
    let Ended { status, stdout, stderr } = ended;
    assert_eq!(status.code(), Some(1), "{stdout}{stderr}");
    stdout + &stderr
}

#[test]
fn a_login_that_fails_says_which_of_aws_s_settings_is_wrong() {
    let Some(pipeline) = Pipeline::of_kafka("msk_wrong") else { return };
    let Some(msk) = Msk::there() else { return };
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..3, feed::laravel);
    let path = pipeline.flag("laravel.log");
    let keys = |secret| [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", secret)];
    let wrong = keys("not-the-secret");
    let wrong = msk.settings(&pipeline, &wrong);
    let text = checked(&pipeline, &wrong);
    for part in ["AKIATEST", "does not match", "kafka-cluster:Connect", "eu-central-1", "clock"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("not-the-secret"), "{text}");
    let ended = Program::start_with("tahoe-laravel", &["--laravel", &path], &wrong).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("kafka-cluster:Connect"), "{}", ended.stderr);

    let text = checked(&pipeline, &msk.settings(&pipeline, &[]));
    assert!(text.contains("AWS_ACCESS_KEY_ID") && text.contains("role"), "{text}");

    // It takes the connection, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/role", silent.local_addr().expect("an address"));
    let endpoint = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())];
    let text = checked(&pipeline, &msk.settings(&pipeline, &endpoint));
    assert!(text.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{text}");

    let right = format!("{}AKIATEST", msk.password);
    let [key, secret] = keys(&right);
    let text = checked(&pipeline, &msk.settings(&pipeline, &[key, secret, ("AWS_REGION", "")]));
    assert!(text.contains("KAFKA_AWS_REGION"), "{text}");

    let right = msk.settings(&pipeline, &[key, secret]);
    let check = ["--laravel", path.as_str(), "--check"];
    let ended = Program::start_with("tahoe-laravel", &check, &right).wait_at_most(CHECKED_WITHIN);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}
