//! AWS credentials from where AWS's own tools take them, in their order: the environment, the
//! shared profile, a web identity, the container's endpoint (a task's role), the instance's.
//! Nothing of them reaches a log: what failed is told by its cause alone.

use std::error::Error;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::{Builder, Runtime};
use tracing::subscriber::{NoSubscriber, with_default};

use super::Failure;

/// Variables that lead to credentials: which of them are set says where they were looked for.
const VARIABLES: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
];

/// The variables that are set, for people.
pub fn set_variables() -> String {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let set: Vec<_> = VARIABLES.into_iter().filter(set).collect();
    match set.is_empty() {
        true => "none of AWS's variables is set".to_owned(),
        false => format!("set: {}", set.join(", ")),
    }
}

/// What asks for credentials, on a runtime of its own: the callers are librdkafka's threads.
pub struct Chain {
    runtime: Runtime,
    chain: DefaultCredentialsChain,
}

impl Chain {
    /// Reads no credentials yet. `region` is for those that a service of AWS gives.
    ///
    /// # Errors
    /// The system gives no more threads or sockets.
    pub fn open(region: &str) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Passing(error.to_string()))?;
        let tls = Provider::Rustls(CryptoMode::Ring);
        let client = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let region = Region::new(region.to_owned());
        let config = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(region.clone()))
            .with_http_client(client);
        let chain = DefaultCredentialsChain::builder().configure(config).region(region).build();
        let chain = runtime.block_on(chain);
        Ok(Self { runtime, chain })
    }

    /// Asks for them now; each answer has its own end.
    ///
    /// # Errors
    /// [`Failure::Final`] if there are none to be had.
    pub fn ask(&self) -> Result<Credentials, Failure> {
        let ask = || self.runtime.block_on(self.chain.provide_credentials());
        // What AWS's crates trace of an answer is theirs to change, and secrets are in it.
        let given = with_default(NoSubscriber::new(), ask);
        given.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => Failure::Final(format!(
                "KAFKA_SASL_MECHANISM is aws-msk-iam, and there are no AWS credentials ({}): set \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the task or \
                 instance a role",
                set_variables()
            )),
            CredentialsError::InvalidConfiguration(_) => {
                Failure::Final(format!("the AWS credentials cannot be read ({})", causes(&error)))
            }
            _ => Failure::Passing(format!(
                "no AWS credentials are to be had now ({}; {})",
                causes(&error),
                set_variables()
            )),
        })
    }
}

/// An error's own text says little: the cause is below it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        below = cause.source();
    }
    text
}
