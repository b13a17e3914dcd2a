//! Logins at Amazon MSK by IAM: each client shows a token that is signed anew every few minutes.
//!
//! librdkafka asks for a token where a client is polled, and ours are not always: one that waits for
//! a store, or for work, would show its old one, and be refused. So a thread makes the tokens, long
//! before they end, and hands each of them to every client.

mod credentials;
mod region;
mod token;

use std::ffi::{CStr, CString, c_char};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaRespErr;

use self::credentials::Chain;
pub use self::region::{find as find_region, is_serverless};
use self::token::Token;
use crate::clock;
use crate::lock::lock;
use crate::log::start_thread;
use crate::retry::Backoff;
use crate::seams::LogError;

/// A `--check` has ten seconds, of which the brokers need some.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// A machine that slept finds its clock on another day: so often it is looked at.
const LOOK: Duration = Duration::from_secs(20);

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A setting must change.
    Final(String),
    /// The next attempt may do better.
    Passing(String),
}

impl Failure {
    fn text(&self) -> &str {
        let (Self::Final(text) | Self::Passing(text)) = self;
        text
    }
}

/// Where credentials come from: the chain, or what a test has.
type Ask = Box<dyn FnMut() -> Result<Credentials, Failure> + Send>;

/// The tokens of one log.
pub struct Tokens {
    region: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    latest: Option<Arc<Token>>,
    /// Of the last attempt.
    failure: Option<Failure>,
    clients: Vec<Weak<dyn ShowsToken>>,
    ended: bool,
}

impl State {
    /// The token if it still holds, or why there is none, if that is known.
    fn told(&self) -> Option<Result<&Arc<Token>, LogError>> {
        if let Some(token) = self.latest.as_ref().filter(|token| token.holds()) {
            return Some(Ok(token));
        }
        let worked = self.latest.is_some();
        Some(Err(match self.failure.as_ref()? {
            Failure::Final(text) if !worked => LogError::Stop(text.clone(), None),
            failure => LogError::Retry(failure.text().to_owned(), None),
        }))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Tokens {
    /// Begins to make tokens for MSK in that region; waits for none.
    ///
    /// # Errors
    /// [`LogError::Retry`] if the system gives no more threads.
    pub fn begin(region: &str) -> Result<Self, LogError> {
        let mut chain = None;
        let of = region.to_owned();
        let ask = move || match &chain {
            None => chain.insert(Chain::open(&of)?).ask(),
            Some(chain) => chain.ask(),
        };
        Self::begin_with(region, Box::new(ask))
    }

    fn begin_with(region: &str, ask: Ask) -> Result<Self, LogError> {
        let shared = Arc::<Shared>::default();
        let mut maker =
            Maker { shared: Arc::clone(&shared), region: region.to_owned(), ask, known: None };
        start_thread("log-token", move || maker.renew())?;
        Ok(Self { region: region.to_owned(), shared })
    }

    /// The region that tokens are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A token that holds, waiting a little for the first one.
    ///
    /// # Errors
    /// What the credentials failed at, with the setting to change.
    pub fn current(&self) -> Result<Arc<Token>, LogError> {
        let deadline = Instant::now() + FIRST_WITHIN;
        let mut state = self.shared.state();
        // Is it late, as after a sleep, it looks at the clock now.
        self.shared.changed.notify_all();
        loop {
            if let Some(told) = state.told() {
                return told.cloned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (within, set) = (FIRST_WITHIN.as_secs(), credentials::set_variables());
                let text = format!("no AWS credentials came within {within} s ({set})");
                return Err(LogError::Retry(text, None));
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The latest token's owner, if it still holds: then it was not its age that was refused. If
    /// not, why there is none, if that is known.
    pub fn holder(&self) -> Option<Result<String, LogError>> {
        let state = self.shared.state();
        state.told().map(|told| told.map(|token| token.principal.clone()))
    }

    /// Gives each token to a client, for as long as it lives.
    pub fn supply<C: ShowsToken + 'static>(&self, client: &Arc<C>) {
        let client: Arc<dyn ShowsToken> = Arc::<C>::clone(client);
        let mut state = self.shared.state();
        if let Some(Ok(token)) = state.told() {
            client.take(token);
        }
        state.clients.push(Arc::downgrade(&client));
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Token {
    fn holds(&self) -> bool {
        self.expires > clock::now()
    }

    fn expires_ms(&self) -> i64 {
        let since = self.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The thread that makes tokens.
struct Maker {
    shared: Arc<Shared>,
    region: String,
    ask: Ask,
    /// The last that came: while their endpoint is away, they are used to their end.
    known: Option<Credentials>,
}

impl Maker {
    fn renew(&mut self) {
        let mut backoff = Backoff::usual();
        let mut told = String::new();
        loop {
            let due = match self.token() {
                Ok(token) => {
                    backoff.reset();
                    let due = token.renewed_from();
                    self.publish(token);
                    due
                }
                Err(failure) => {
                    if told != failure.text() {
                        failure.text().clone_into(&mut told);
                        tracing::warn!(error = told, "no token for MSK");
                    }
                    self.shared.state().failure = Some(failure);
                    self.shared.changed.notify_all();
                    clock::now() + backoff.pause()
                }
            };
            if self.ended_before(due) {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Token, Failure> {
        let asked = (self.ask)();
        let now = clock::now();
        let credentials = match (asked, &self.known) {
            (Ok(credentials), _) => credentials,
            (Err(failure), Some(known)) if known.expiry().is_none_or(|expiry| expiry > now) => {
                tracing::warn!(error = failure.text(), "the known AWS credentials are used on");
                known.clone()
            }
            (Err(failure), _) => return Err(failure),
        };
        let token = Token::sign(&credentials, &self.region, now).map_err(Failure::Passing)?;
        self.known = Some(credentials);
        Ok(token)
    }

    fn publish(&self, token: Token) {
        let token = Arc::new(token);
        let mut state = self.shared.state();
        state.clients.retain(|client| client.strong_count() > 0);
        let clients: Vec<_> = state.clients.iter().filter_map(Weak::upgrade).collect();
        clients.iter().for_each(|client| client.take(&token));
        tracing::debug!(principal = token.principal, "a new token for MSK");
        state.latest = Some(token);
        state.failure = None;
        // A client may end here, and with the last of them the tokens, which takes the lock.
        drop(state);
        drop(clients);
        self.shared.changed.notify_all();
    }

    fn ended_before(&self, due: SystemTime) -> bool {
        let mut state = self.shared.state();
        while !state.ended {
            let Ok(left) = due.duration_since(clock::now()) else { return false };
            let waited = self.shared.changed.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A client that logs in with a token.
pub trait ShowsToken: Send + Sync {
    /// Uses that token from now on.
    fn take(&self, token: &Token);
}

impl<C: ClientContext> ShowsToken for AdminClient<C> {
    fn take(&self, token: &Token) {
        set(self.inner(), token);
    }
}

impl<C: ConsumerContext> ShowsToken for BaseConsumer<C> {
    fn take(&self, token: &Token) {
        set(self.client(), token);
    }
}

impl<C: ProducerContext + 'static> ShowsToken for ThreadedProducer<C> {
    fn take(&self, token: &Token) {
        set(self.client(), token);
    }
}

fn set(client: &Client<impl ClientContext>, token: &Token) {
    let text = CString::new(token.text.as_str()).expect("Base64 has no zeros");
    let principal = CString::new(token.principal.as_str()).unwrap_or_default();
    let mut reason = [0u8; 512];
    // SAFETY: the client is there while it is borrowed and the texts until the call returns, which
    // copies them under a lock of librdkafka's own; there are no extensions, and `reason` is as
    // long as it says. The crate has this call for clients that are polled alone.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.expires_ms(),
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            reason.as_mut_ptr().cast::<c_char>(),
            reason.len(),
        )
    };
    if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        let reason = CStr::from_bytes_until_nul(&reason).unwrap_or_default();
        tracing::warn!(?reason, "librdkafka does not take the token");
    }
}

#[cfg(test)]
impl Tokens {
    /// Those of an access key, which are there already.
    pub fn of(key: &str, region: &str) -> Self {
        let credentials = Credentials::new(key, "secret", None, None, "test");
        let ask = move || Ok(credentials.clone());
        let tokens = Self::begin_with(region, Box::new(ask)).expect("a thread");
        tokens.current().expect("a token");
        tokens
    }

    /// Those of somebody who has no credentials now.
    pub fn without_one(region: &str) -> Self {
        let ask = || Err(Failure::Passing("away".to_owned()));
        Self::begin_with(region, Box::new(ask)).expect("a thread")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn credentials(key: &str, expiry: Option<SystemTime>) -> Credentials {
        Credentials::new(key, "secret", None, expiry, "test")
    }

    fn after(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::now() + Duration::from_secs(seconds))
    }

    fn tokens(ask: impl FnMut() -> Result<Credentials, Failure> + Send + 'static) -> Tokens {
        Tokens::begin_with("eu-central-1", Box::new(ask)).expect("a thread")
    }

    #[test]
    fn without_credentials_it_stops_and_without_their_endpoint_it_asks_again() {
        let none = tokens(|| Err(Failure::Final("none at all".to_owned())));
        let error = none.current().err().expect("no token");
        assert!(matches!(&error, LogError::Stop(text, _) if text == "none at all"), "{error}");
        let away = tokens(|| Err(Failure::Passing("away".to_owned())));
        let error = away.current().err().expect("no token");
        assert!(matches!(&error, LogError::Retry(text, _) if text == "away"), "{error}");
        let mut attempts = 0;
        let late = tokens(move || {
            attempts += 1;
            match attempts {
                3.. => Ok(credentials("K", None)),
                _ => Err(Failure::Passing("away".to_owned())),
            }
        });
        while late.current().is_err() {
            std::thread::yield_now();
        }
        assert_eq!(late.current().ok().map(|token| token.principal.clone()).as_deref(), Some("K"));
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_given_to_who_asks_for_nothing() {
        struct Idle(Mutex<mpsc::Sender<String>>);
        impl ShowsToken for Idle {
            fn take(&self, token: &Token) {
                let given = self.0.lock().expect("nobody panicked");
                given.send(token.principal.clone()).expect("the test listens");
            }
        }
        let mut asked = 0;
        let tokens = tokens(move || {
            asked += 1;
            Ok(credentials(&format!("K{asked}"), after(3)))
        });
        tokens.current().expect("the first");
        let (given, taken) = mpsc::channel();
        let idle = Arc::new(Idle(Mutex::new(given)));
        tokens.supply(&idle);
        assert_eq!(taken.recv().as_deref(), Ok("K1"));
        assert_eq!(taken.recv().as_deref(), Ok("K2"));
        let holder = tokens.holder().and_then(Result::ok);
        assert_eq!(holder.as_deref(), Some("K2"));
        drop(idle);
        assert!(taken.recv().is_err(), "a client that is gone is held");
    }

    #[test]
    fn known_credentials_are_used_to_their_end_while_there_are_no_others() {
        let mut answers = vec![
            Err(Failure::Passing("away".to_owned())),
            Ok(credentials("PAST", Some(UNIX_EPOCH))),
            Err(Failure::Passing("away".to_owned())),
            Ok(credentials("K", after(3_600))),
        ];
        let mut maker = Maker {
            shared: Arc::default(),
            region: "eu-central-1".to_owned(),
            ask: Box::new(move || answers.pop().expect("asked four times")),
            known: None,
        };
        assert_eq!(maker.token().ok().map(|token| token.principal).as_deref(), Some("K"));
        assert_eq!(maker.token().ok().map(|token| token.principal).as_deref(), Some("K"));
        let expired = maker.token().err().expect("of the past");
        assert!(expired.text().contains("expired"), "{expired:?}");
        maker.known = Some(credentials("OLD", Some(UNIX_EPOCH)));
        assert_eq!(maker.token().err(), Some(Failure::Passing("away".to_owned())));
    }
}
