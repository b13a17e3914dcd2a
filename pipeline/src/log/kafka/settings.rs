//! How Kafka is reached: declared once, the same for every binary, and turned into librdkafka's
//! own names here and nowhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::failure::Login;
use super::iam::{self, Tokens};
use crate::host::HostParser;
use crate::log::RECORD_BYTES_MAX;
use crate::seams::LogError;
use crate::secret::{self, Secret};

/// What the producer may hold that is not acknowledged, and so most of its memory. At least two
/// records of the largest size, or one could wait for ever.
const UNACKNOWLEDGED_KIB: usize = 32 << 10;
/// What a reader may hold that was fetched and not visited.
const FETCHED_KIB: usize = 8 << 10;
/// Small records weigh more than their bytes: some 400 each in the client, so 8 MB; a hundred
/// thousand, the client's default, cost 20 MB more and were no faster.
const FETCHED_RECORDS: usize = 20_000;
/// One answer to a fetch; a larger record still comes, alone.
const FETCH_BYTES: usize = 4 << 20;

/// MSK Serverless refuses topics that take more, and cannot be told otherwise.
const SERVERLESS_RECORD_BYTES: usize = 8 << 20;

/// How to encrypt and authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SecurityProtocol {
    /// Neither.
    Plaintext,
    /// TLS, with a client certificate if one is set.
    Ssl,
    /// A user and a password in the clear.
    SaslPlaintext,
    /// A user and a password, or a token, over TLS.
    SaslSsl,
}

/// How the user is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SaslMechanism {
    /// Sent as it is.
    Plain,
    /// SCRAM-SHA-256.
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// SCRAM-SHA-512.
    #[value(name = "scram-sha-512")]
    ScramSha512,
    /// Amazon MSK's: AWS credentials in place of user and password.
    #[value(name = "aws-msk-iam", alias = "aws_msk_iam")]
    AwsMskIam,
}

impl SaslMechanism {
    /// As librdkafka has it.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::AwsMskIam => "OAUTHBEARER",
        }
    }
}

/// How batches are compressed on their way and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// Cheap.
    Lz4,
    /// Smaller, for 0.5 CPU-seconds per million records more.
    Zstd,
}

/// What a record's headers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Headers {
    /// One of our own, small.
    Tahoe,
    /// Those of CloudEvents 1.0 (Kafka binding, binary mode), for other readers.
    #[value(name = "cloudevents")]
    CloudEvents,
}

/// What to do when retention has deleted records that were still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LostOffsets {
    /// Stop and say which.
    Stop,
    /// Go on from the earliest that is left, and say which are gone.
    Earliest,
}

impl LostOffsets {
    /// Decides about the records of `[from, low)`, which are gone; `loss` says what that means.
    pub(super) fn decide(
        self,
        (topic, partition): (&str, i32),
        (from, low): (u64, u64),
        loss: &str,
    ) -> Result<(), LogError> {
        let text = format!(
            "retention has deleted offsets {from} to {} of {topic}, partition {partition}, {loss}",
            low.saturating_sub(1)
        );
        match self {
            Self::Stop => {
                let advice = "set --kafka-lost-offsets earliest to go on with what is left";
                Err(LogError::Stop(format!("{text}: {advice}"), None))
            }
            Self::Earliest => {
                tracing::warn!("{text}");
                Ok(())
            }
        }
    }
}

/// Settings of the connection to Kafka.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Brokers to begin with: HOST:PORT, separated by commas.
    #[arg(
        long = "kafka",
        env = "KAFKA_BOOTSTRAP_SERVERS",
        value_name = "BROKERS",
        value_parser = HostParser::brokers("KAFKA_USERNAME and KAFKA_PASSWORD say who asks")
    )]
    pub kafka: Option<String>,
    /// Encryption and authentication.
    #[arg(
        long,
        env = "KAFKA_SECURITY_PROTOCOL",
        value_enum,
        ignore_case = true,
        default_value = "plaintext"
    )]
    pub kafka_security_protocol: SecurityProtocol,
    /// How the user is proven, with a `sasl-` protocol; `aws-msk-iam` takes AWS's credentials.
    #[arg(
        long,
        env = "KAFKA_SASL_MECHANISM",
        value_enum,
        ignore_case = true,
        default_value = "scram-sha-512"
    )]
    pub kafka_sasl_mechanism: SaslMechanism,
    /// User, with a `sasl-` protocol.
    #[arg(long, env = "KAFKA_USERNAME", value_name = "USER")]
    pub kafka_username: Option<String>,
    /// Password; better as a variable or a file than as a flag.
    #[arg(long, env = "KAFKA_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub kafka_password: Option<Secret>,
    /// File that holds the password.
    #[arg(long, env = "KAFKA_PASSWORD_FILE", value_name = "PATH")]
    pub kafka_password_file: Option<PathBuf>,
    /// Region of Amazon MSK, with `aws-msk-iam` [default: of the brokers' names, or AWS_REGION]
    #[arg(long, env = "KAFKA_AWS_REGION", value_name = "REGION")]
    pub kafka_aws_region: Option<String>,
    /// Certificates (PEM) that the brokers' are checked against; the system's without it.
    #[arg(long, env = "KAFKA_CA_FILE", value_name = "PATH")]
    pub kafka_ca_file: Option<PathBuf>,
    /// Client certificate (PEM).
    #[arg(long, env = "KAFKA_CERT_FILE", value_name = "PATH")]
    pub kafka_cert_file: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    #[arg(long, env = "KAFKA_KEY_FILE", value_name = "PATH")]
    pub kafka_key_file: Option<PathBuf>,
    /// Compression of what is sent.
    #[arg(long, env = "KAFKA_COMPRESSION", value_enum, default_value = "lz4")]
    pub kafka_compression: Compression,
    /// Milliseconds that a record waits for others to share its request.
    #[arg(long, env = "KAFKA_LINGER_MS", default_value_t = 5, value_name = "MS")]
    pub kafka_linger_ms: u32,
    /// Headers of the records that are sent; both are read.
    #[arg(long = "headers", env = "KAFKA_HEADERS", value_enum, default_value = "tahoe")]
    pub kafka_headers: Headers,
    /// Replicas of topics that `setup` creates; as many as there are brokers, at most 3, without it.
    #[arg(long, env = "KAFKA_REPLICATION", value_name = "N")]
    pub kafka_replication: Option<i32>,
    /// Topic (compacted) that keeps where each source resumes.
    #[arg(
        long,
        env = "KAFKA_POSITIONS_TOPIC",
        default_value = "tahoe.positions",
        value_name = "TOPIC"
    )]
    pub kafka_positions_topic: String,
    /// What to do when retention has deleted records before they were read.
    #[arg(long, env = "KAFKA_LOST_OFFSETS", value_enum, default_value = "stop")]
    pub kafka_lost_offsets: LostOffsets,
    /// Largest record in bytes, key and headers included (8 MiB is the most on MSK Serverless).
    #[arg(
        id = "kafka_record_bytes_max",
        long = "kafka-record-bytes-max",
        env = "KAFKA_RECORD_BYTES_MAX",
        default_value_t = RECORD_BYTES_MAX,
        value_name = "BYTES"
    )]
    pub record_bytes_max: usize,
    /// Any further setting of librdkafka, KEY=VALUE; repeatable, wins over all others. No value is
    /// shown or logged: it may be a secret.
    #[arg(
        long = "kafka-option",
        env = "KAFKA_OPTIONS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "KEY=VALUE"
    )]
    pub kafka_options: Vec<String>,
}

impl KafkaArgs {
    /// Brokers are given.
    pub fn is_set(&self) -> bool {
        self.kafka.as_deref().is_some_and(|brokers| !brokers.is_empty())
    }

    /// The defaults, with these brokers.
    #[must_use]
    pub fn at(brokers: &str) -> Self {
        Self {
            kafka: Some(brokers.to_owned()),
            kafka_security_protocol: SecurityProtocol::Plaintext,
            kafka_sasl_mechanism: SaslMechanism::ScramSha512,
            kafka_username: None,
            kafka_password: None,
            kafka_password_file: None,
            kafka_aws_region: None,
            kafka_ca_file: None,
            kafka_cert_file: None,
            kafka_key_file: None,
            kafka_compression: Compression::Lz4,
            kafka_linger_ms: 5,
            kafka_headers: Headers::Tahoe,
            kafka_replication: None,
            kafka_positions_topic: "tahoe.positions".to_owned(),
            kafka_lost_offsets: LostOffsets::Stop,
            record_bytes_max: RECORD_BYTES_MAX,
            kafka_options: Vec::new(),
        }
    }

    /// Most that the producer, the client that reads outside of groups and so many `readers` hold
    /// together.
    #[must_use]
    pub fn memory_bytes_max(&self, readers: usize) -> usize {
        self.unacknowledged_kib() * 1024 + (1 + readers) * (FETCHED_KIB * 1024 + FETCH_BYTES)
    }

    fn unacknowledged_kib(&self) -> usize {
        UNACKNOWLEDGED_KIB.max(self.record_bytes_max / 512)
    }

    /// What every client of ours has in common.
    pub(super) fn client(&self, client_id: &str) -> Result<ClientConfig, LogError> {
        let Some(brokers) = self.kafka.as_deref().filter(|brokers| !brokers.is_empty()) else {
            return Err(stop("no brokers are set: set KAFKA_BOOTSTRAP_SERVERS or --kafka"));
        };
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config
            .set("bootstrap.servers", brokers)
            .set("client.id", client_id)
            .set("allow.auto.create.topics", "false")
            .set("log.connection.close", "false")
            .set("topic.metadata.refresh.interval.ms", "30000")
            // A broker that comes back should be found within a second, not within ten.
            .set("reconnect.backoff.max.ms", "1000");
        self.secure(&mut config)?;
        if iam::is_serverless(brokers) && self.record_bytes_max > SERVERLESS_RECORD_BYTES {
            return Err(stop(&format!(
                "MSK Serverless takes records of {SERVERLESS_RECORD_BYTES} bytes at most: set \
                 KAFKA_RECORD_BYTES_MAX={SERVERLESS_RECORD_BYTES}"
            )));
        }
        Ok(config)
    }

    /// How clients with these settings log in; tokens are made from now on, where they are needed.
    pub(super) fn login(&self) -> Result<Login, LogError> {
        if self.kafka_sasl_mechanism != SaslMechanism::AwsMskIam {
            return Ok(Login::Configured);
        }
        let brokers = self.kafka.as_deref().unwrap_or_default();
        let environment = |name: &str| std::env::var(name).ok();
        let region = iam::find_region(self.kafka_aws_region.as_deref(), brokers, environment);
        let region = region.map_err(|text| LogError::Stop(text, None))?;
        Ok(Login::Iam(Arc::new(Tokens::begin(&region)?)))
    }

    fn secure(&self, config: &mut ClientConfig) -> Result<(), LogError> {
        use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};
        let protocol = match self.kafka_security_protocol {
            Plaintext => "plaintext",
            Ssl => "ssl",
            SaslPlaintext => "sasl_plaintext",
            SaslSsl => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        match (self.kafka_sasl_mechanism, self.kafka_security_protocol) {
            (SaslMechanism::AwsMskIam, SaslSsl) => {
                config.set("sasl.mechanism", self.kafka_sasl_mechanism.name());
            }
            (SaslMechanism::AwsMskIam, _) => {
                return Err(stop(
                    "KAFKA_SASL_MECHANISM is aws-msk-iam, whose tokens need TLS: set \
                     KAFKA_SECURITY_PROTOCOL=sasl-ssl",
                ));
            }
            (_, SaslPlaintext | SaslSsl) => self.with_password(config)?,
            (_, Plaintext | Ssl) => {}
        }
        for (name, setting, path) in [
            ("ssl.ca.location", "KAFKA_CA_FILE", &self.kafka_ca_file),
            ("ssl.certificate.location", "KAFKA_CERT_FILE", &self.kafka_cert_file),
            ("ssl.key.location", "KAFKA_KEY_FILE", &self.kafka_key_file),
        ] {
            if let Some(path) = path {
                config.set(name, readable(setting, path)?);
            }
        }
        Ok(())
    }

    fn with_password(&self, config: &mut ClientConfig) -> Result<(), LogError> {
        let password = secret::from_value_or_file(
            "KAFKA_PASSWORD",
            self.kafka_password.as_ref(),
            self.kafka_password_file.as_deref(),
        )
        .map_err(|text| LogError::Stop(text, None))?;
        let (Some(user), Some(password)) = (&self.kafka_username, password) else {
            return Err(stop(
                "--kafka-security-protocol asks for a user: set KAFKA_USERNAME and KAFKA_PASSWORD",
            ));
        };
        config
            .set("sasl.mechanism", self.kafka_sasl_mechanism.name())
            .set("sasl.username", user)
            .set("sasl.password", password.reveal());
        Ok(())
    }

    /// librdkafka's settings for the one producer of a log: every record acknowledged by all
    /// replicas in sync, sent again for as long as it takes, never doubled or reordered by that.
    ///
    /// # Errors
    /// [`LogError::Stop`] names the setting that is missing or cannot be read.
    pub fn producer(&self, client_id: &str) -> Result<ClientConfig, LogError> {
        let mut config = self.client(client_id)?;
        let compression = match self.kafka_compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", self.record_bytes_max.to_string())
            .set("compression.type", compression)
            .set("linger.ms", self.kafka_linger_ms.to_string())
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", self.unacknowledged_kib().to_string());
        self.with_options(config)
    }

    /// librdkafka's settings for readers, scans and claims.
    ///
    /// # Errors
    /// As [`KafkaArgs::producer`].
    pub fn consumer(&self, client_id: &str, group: &str) -> Result<ClientConfig, LogError> {
        let mut config = self.client(client_id)?;
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", FETCHED_KIB.to_string())
            .set("queued.min.messages", FETCHED_RECORDS.to_string())
            .set("fetch.max.bytes", FETCH_BYTES.to_string())
            .set("fetch.queue.backoff.ms", "20")
            // Other members take over this long after a crash; 6 s is the least that brokers allow.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500");
        self.with_options(config)
    }

    fn with_options(&self, mut config: ClientConfig) -> Result<ClientConfig, LogError> {
        let options = self.kafka_options.iter().zip(1..);
        for (option, number) in options.filter(|(option, _)| !option.is_empty()) {
            // Not repeated: it may be a secret.
            let Some((key, value)) = option.split_once('=') else {
                return Err(stop(&format!("--kafka-option: number {number} is not KEY=VALUE")));
            };
            config.set(key.trim(), value.trim());
        }
        Ok(config)
    }
}

fn stop(text: &str) -> LogError {
    LogError::Stop(text.to_owned(), None)
}

/// librdkafka's own message for a missing file names neither the file nor the setting.
fn readable<'p>(setting: &str, path: &'p Path) -> Result<&'p str, LogError> {
    std::fs::File::open(path).map_err(|error| {
        let text = format!("{setting}: cannot read {}: {error}", path.display());
        LogError::Stop(text, Some(Box::new(error)))
    })?;
    path.to_str().ok_or_else(|| stop(&format!("{setting}: {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    fn parse(arguments: &[&str]) -> KafkaArgs {
        Command::parse_from([&["test"], arguments].concat()).kafka
    }

    #[test]
    fn the_defaults_without_a_command_line_are_those_of_the_flags() {
        let parsed = parse(&["--kafka", "127.0.0.1:9092"]);
        assert_eq!(format!("{parsed:?}"), format!("{:?}", KafkaArgs::at("127.0.0.1:9092")));
    }

    #[test]
    fn a_password_reaches_librdkafka_and_no_debug_output() {
        let arguments = "--kafka a:1 --kafka-security-protocol sasl-ssl --kafka-username u";
        let mut arguments: Vec<_> = arguments.split(' ').collect();
        arguments.extend(["--kafka-password", "hunter2"]);
        let parsed = parse(&arguments);
        let config = parsed.client("c").expect("complete");
        assert_eq!(config.get("sasl.password"), Some("hunter2"));
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_missing_or_unreadable_is_named_by_its_setting() {
        let text = |arguments: &[&str]| {
            parse(arguments).producer("c").expect_err("incomplete").to_string()
        };
        assert!(text(&[]).contains("KAFKA_BOOTSTRAP_SERVERS"));
        let sasl = ["--kafka", "a:1", "--kafka-security-protocol", "sasl-plaintext"];
        assert!(text(&sasl).contains("KAFKA_USERNAME"));
        assert!(text(&["--kafka", "a:1", "--kafka-ca-file", "/none"]).contains("KAFKA_CA_FILE"));
        assert!(text(&["--kafka", "a:1", "--kafka-option", "x"]).contains("--kafka-option"));
    }

    #[test]
    fn a_token_for_msk_asks_for_tls_and_a_region_and_for_no_password() {
        let iam = ["--kafka", "127.0.0.1:1", "--kafka-sasl-mechanism", "AWS_MSK_IAM"];
        let error = parse(&iam).producer("c").expect_err("in the clear").to_string();
        assert!(error.contains("KAFKA_SECURITY_PROTOCOL"), "{error}");
        let secure = [&iam[..], &["--kafka-security-protocol", "sasl-ssl"]].concat();
        let config = parse(&secure).producer("c").expect("complete");
        assert_eq!(config.get("sasl.mechanism"), Some("OAUTHBEARER"));
        assert_eq!(config.get("sasl.password"), None);
        let wrong = [&secure[..], &["--kafka-aws-region", "eu west"]].concat();
        let error = parse(&wrong).login().err().expect("no region").to_string();
        assert!(error.contains("KAFKA_AWS_REGION"), "{error}");
    }

    #[test]
    fn records_too_large_for_msk_serverless_are_told_before_a_topic_is() {
        let brokers = "boot-x.c1.kafka-serverless.eu-central-1.amazonaws.com:9098";
        let error = parse(&["--kafka", brokers]).producer("c").expect_err("20 MiB").to_string();
        assert!(error.contains("KAFKA_RECORD_BYTES_MAX=8388608"), "{error}");
        let smaller = ["--kafka", brokers, "--kafka-record-bytes-max", "8388608"];
        assert!(parse(&smaller).producer("c").is_ok());
    }

    #[test]
    fn an_option_wins_over_what_we_set() {
        let parsed = parse(&["--kafka", "a:1", "--kafka-option", "linger.ms=50"]);
        assert_eq!(parsed.producer("c").expect("complete").get("linger.ms"), Some("50"));
    }
}
