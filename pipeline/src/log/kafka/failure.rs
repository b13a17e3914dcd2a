//! The one place where Kafka's errors become decisions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::iam::{ShowsToken, Tokens};
use crate::lock::lock;
use crate::seams::LogError;

/// How a client proves who it is.
#[derive(Clone, Default)]
pub(super) enum Login {
    /// As librdkafka's own settings say.
    #[default]
    Configured,
    /// By tokens for MSK.
    Iam(Arc<Tokens>),
}

/// What librdkafka said last, since its calls only say that they timed out. One per log, shared by
/// all its clients, with where and how they log in.
#[derive(Clone, Default)]
pub(super) struct Faults {
    brokers: Arc<str>,
    state: Arc<Mutex<State>>,
    let_in: Arc<AtomicBool>,
    login: Login,
}

#[derive(Default)]
struct State {
    latest: Option<Fault>,
    /// The last warning. librdkafka repeats itself with every attempt to connect, 20 times a second.
    warned: Option<(RDKafkaErrorCode, Instant)>,
}

struct Fault {
    code: RDKafkaErrorCode,
    reason: String,
    at: Instant,
}

/// An older fault is no reason for a call that fails now.
const FRESH: Duration = Duration::from_secs(15);

impl Faults {
    /// Nothing was said yet.
    pub fn of(brokers: &str, login: Login) -> Self {
        Self { brokers: brokers.into(), state: Arc::default(), let_in: Arc::default(), login }
    }

    /// The brokers that the clients begin with, as they are set.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What a client needs before it asks the brokers for anything.
    ///
    /// # Errors
    /// Why there is no token, where one is needed.
    pub fn can_log_in(&self) -> Result<(), LogError> {
        match &self.login {
            Login::Configured => Ok(()),
            Login::Iam(tokens) => tokens.current().map(drop),
        }
    }

    /// Sees to the tokens of a client, where it shows any.
    pub fn supply<C: ShowsToken + 'static>(&self, client: &Arc<C>) {
        if let Login::Iam(tokens) = &self.login {
            tokens.supply(client);
        }
    }

    /// Remembers an error that was raised in the background.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            let fault = Fault { code, reason: reason.to_owned(), at: Instant::now() };
            let mut state = lock(&self.state);
            // Every client of the log says the same, and that all brokers are down says less than why
            // the last of them is.
            let fresh = state.warned.filter(|(_, at)| at.elapsed() < FRESH);
            let vague = code == RDKafkaErrorCode::AllBrokersDown;
            if fresh.is_none_or(|(warned, _)| warned != code && !vague) {
                tracing::warn!(%error, reason, "kafka");
                state.warned = Some((code, Instant::now()));
            }
            let known = state.latest.as_ref().is_some_and(|known| known.at.elapsed() < FRESH);
            if !vague || !known {
                state.latest = Some(fault);
            }
        }
    }

    /// Brokers have answered, and so they take the login.
    pub fn answered(&self) {
        self.let_in.store(true, Ordering::Relaxed);
    }

    /// What was said last, if no waiting helps.
    pub fn take_final(&self) -> Option<LogError> {
        let mut state = lock(&self.state);
        let fault = state.latest.as_ref().filter(|fault| fault.at.elapsed() < FRESH)?;
        let decided = self.judge(fault.code, &fault.reason, None);
        let is_final = matches!(decided, LogError::Stop(..));
        is_final.then(|| {
            state.latest = None;
            decided
        })
    }

    /// What to do about a failed call on `topic`, if it was about one.
    pub fn decide(&self, error: &KafkaError, topic: Option<&str>) -> LogError {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let latest = lock(&self.state).latest.take();
        let vague = matches!(
            code,
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::CoordinatorNotAvailable
        );
        let explains = |fault: &Fault| vague || fault.code == code;
        match latest.filter(|fault| explains(fault) && fault.at.elapsed() < FRESH) {
            Some(fault) => self.judge(fault.code, &fault.reason, topic),
            None => self.judge(code, &error.to_string(), topic),
        }
    }

    /// What to do about `code`; `reason` is for people.
    pub fn judge(&self, code: RDKafkaErrorCode, reason: &str, topic: Option<&str>) -> LogError {
        use RDKafkaErrorCode as Code;
        let brokers = &*self.brokers;
        let stop = |text: String| LogError::Stop(text, None);
        let code = match code {
            _ if is_about_certificates(reason) => Code::SSL,
            Code::Authentication if is_too_soon(reason) => Code::IllegalSASLState,
            code => code,
        };
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                LogError::NoTopic(topic.unwrap_or("of the subscription").to_owned())
            }
            Code::IllegalSASLState if self.let_in.load(Ordering::Relaxed) => {
                LogError::Retry(format!("{brokers} ended a connection ({reason})"), None)
            }
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState => self.login.refused(brokers, reason),
            Code::SSL => stop(format!(
                "no TLS with {brokers} ({reason}): check KAFKA_CA_FILE, KAFKA_CERT_FILE, \
                 KAFKA_KEY_FILE and KAFKA_SECURITY_PROTOCOL"
            )),
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed => stop(format!(
                "the user may not do this{} ({reason}): grant it (`tahoe setup --acl` prints how), \
                 or check {}",
                topic.map(|topic| format!(" on {topic}")).unwrap_or_default(),
                self.login.who()
            )),
            Code::InvalidReplicationFactor => stop(format!("{reason}: set KAFKA_REPLICATION")),
            Code::InvalidConfig | Code::PolicyViolation | Code::InvalidTopic => {
                stop(format!("{brokers} refuses {}: {reason}", topic.unwrap_or("a setting")))
            }
            Code::PurgeQueue | Code::PurgeInflight => LogError::Stopped,
            _ => LogError::Retry(
                format!(
                    "{brokers} cannot do it now ({reason}): if that lasts, check \
                     KAFKA_BOOTSTRAP_SERVERS and KAFKA_SECURITY_PROTOCOL"
                ),
                None,
            ),
        }
    }
}

/// Whether OpenSSL says that a certificate is not as it must be. librdkafka tells it as a connection
/// that broke where the handshake fails in its first call, since the broker answered so soon, and
/// where the broker refuses the client's certificate behind the handshake, as in TLS 1.3.
fn is_about_certificates(reason: &str) -> bool {
    reason.contains("SSL routines")
        && ["certificate", "unknown ca"].iter().any(|word| reason.contains(word))
}

/// Whether a broker did not even look at a login: it expects none, since the listener is another, or
/// it expects none yet. It takes a connection's login again when its token ends, but not twice
/// within a second, which a token near its end leads to; the next connection is let in.
fn is_too_soon(reason: &str) -> bool {
    reason.contains("Request not valid in current SASL state")
}

impl Login {
    /// What to do about a login that the brokers refuse, or that could not even be tried.
    fn refused(&self, brokers: &str, reason: &str) -> LogError {
        let Self::Iam(tokens) = self else {
            let text = format!(
                "{brokers} refuses the login ({reason}): check KAFKA_USERNAME, KAFKA_PASSWORD, \
                 KAFKA_SASL_MECHANISM and KAFKA_SECURITY_PROTOCOL"
            );
            return LogError::Stop(text, None);
        };
        let principal = match tokens.holder() {
            Some(Ok(principal)) => principal,
            Some(Err(why)) => return why,
            // It ended before the next one came, as on a machine that slept.
            None => return LogError::Retry(format!("the token for {brokers} has expired"), None),
        };
        let text = format!(
            "{brokers} refuses the token of AWS access key {principal} ({reason}): check the AWS \
             credentials, their policy (kafka-cluster:Connect), KAFKA_AWS_REGION ({}), this \
             machine's clock, and that KAFKA_BOOTSTRAP_SERVERS has MSK's port for IAM (9098)",
            tokens.region()
        );
        LogError::Stop(text, None)
    }

    /// What says who the user is.
    fn who(&self) -> &'static str {
        match self {
            Self::Configured => "KAFKA_USERNAME",
            Self::Iam(_) => "the AWS credentials and their policy",
        }
    }
}

/// librdkafka's own messages, in our log.
pub(super) fn journal(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        _ => tracing::debug!(facility, message, "librdkafka"),
    }
}

/// A client without callbacks of its own.
#[derive(Clone, Default)]
pub(super) struct Plain(pub Faults);

impl rdkafka::ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        journal(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Plain {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_after_a_refused_login_is_about_the_login() {
        let faults = Faults::of("a:1", Login::Configured);
        faults.note(&KafkaError::Global(RDKafkaErrorCode::Authentication), "wrong password");
        let timed_out = KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure);
        let error = faults.decide(&timed_out, None);
        assert!(matches!(&error, LogError::Stop(text, _) if text.contains("KAFKA_PASSWORD")));
        assert!(matches!(faults.decide(&timed_out, None), LogError::Retry(..)));
    }

    #[test]
    fn a_certificate_that_is_refused_is_said_however_soon_the_connection_breaks() {
        let faults = Faults::of("a:1", Login::Configured);
        let said = |reason: &str| {
            let reason = format!("sasl_ssl://a:1/bootstrap: {reason} (after 5ms in state X)");
            faults.judge(RDKafkaErrorCode::BrokerTransportFailure, &reason, None)
        };
        for certificate in [
            "error:0A000086:SSL routines::certificate verify failed",
            "error:0A00045C:SSL routines::tlsv13 alert certificate required",
            "error:0A000418:SSL routines::tlsv1 alert unknown ca",
        ] {
            let decided = said(certificate);
            let is_named =
                |text: &str| text.contains("KAFKA_CA_FILE") && text.contains(certificate);
            assert!(matches!(&decided, LogError::Stop(text, _) if is_named(text)), "{decided}");
        }
        // A broker that stops says no good-bye.
        let decided = said("error:0A000126:SSL routines::unexpected eof while reading");
        assert!(matches!(decided, LogError::Retry(..)), "{decided}");
    }

    #[test]
    fn a_login_that_comes_too_soon_is_none_that_is_refused() {
        let said = "GroupCoordinator: a:1: SASL OAUTHBEARER mechanism handshake failed: Broker: \
                    Request not valid in current SASL state: broker's supported mechanisms:  \
                    (after 1ms in state AUTH_HANDSHAKE)";
        let code = RDKafkaErrorCode::Authentication;
        let faults = Faults::of("a:1", Login::Configured);
        let decide = || {
            faults.note(&KafkaError::Global(code), said);
            faults.decide(&KafkaError::MessageConsumption(code), None)
        };
        let decided = decide();
        assert!(matches!(decided, LogError::Stop(..)), "a listener without SASL: {decided}");
        faults.answered();
        let decided = decide();
        assert!(matches!(&decided, LogError::Retry(text, _) if text.contains(said)), "{decided}");
        faults.note(&KafkaError::Global(code), "wrong password");
        let decided = faults.decide(&KafkaError::MessageConsumption(code), None);
        assert!(matches!(decided, LogError::Stop(..)), "{decided}");
    }

    #[test]
    fn no_token_is_no_reason_to_stop_and_a_refused_one_is() {
        let tokens = Tokens::of("AKIATEST", "eu-central-1");
        let faults = Faults::of("a:1", Login::Iam(Arc::new(tokens)));
        let authentication = RDKafkaErrorCode::Authentication;
        let decided = faults.judge(authentication, "Access denied", None);
        let LogError::Stop(text, _) = &decided else { panic!("{decided}") };
        for part in ["AKIATEST", "Access denied", "eu-central-1", "kafka-cluster:Connect"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("KAFKA_PASSWORD"), "{text}");
        let without = Login::Iam(Arc::new(Tokens::without_one("eu-central-1")));
        let sleeper = Faults::of("a:1", without);
        let decided = || sleeper.judge(authentication, "Access denied", None);
        while !matches!(decided(), LogError::Retry(text, _) if text == "away") {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_missing_topic_is_named() {
        let error = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        let decided = Faults::default().decide(&error, Some("laravel_logs"));
        assert!(matches!(decided, LogError::NoTopic(topic) if topic == "laravel_logs"));
    }
}
