//! How clients reach AWS. Built once in `main`; every client of a function shares it.
//!
//! Made for a fast start: credentials come from the environment only, as Lambda gives them; TLS
//! is rustls on ring (aws-lc seeds its random numbers for 20 ms); the trusted roots are Amazon's
//! own (<https://www.amazontrust.com/repository/>), because parsing the machine's takes most of a
//! default start. `AWS_CA_BUNDLE` names another bundle. No call of any client outlives the
//! invocation that it is made in.

mod deferred;
mod in_time;
mod one_connector;

pub use deferred::Deferred;

use crate::environment::{ConfigError, optional, required};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use in_time::InTime;
use one_connector::OneConnector;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::ops::Deref as _;
use std::time::Duration;

/// How long an object of a bucket may take.
#[cfg(feature = "archive")]
const LONGEST_READ: Duration = Duration::from_mins(2);
const AMAZON_ROOTS: &[u8] = include_bytes!("../roots/amazon.pem");

/// The shared way to AWS.
#[derive(Debug, Clone)]
pub struct Connection {
    sdk: SdkConfig,
    tables: Deferred<aws_sdk_dynamodb::Client>,
}

/// Keys of an account, as an operator has them.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKeys {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// The token of keys that are valid for some time only.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secrets are in no log.
        f.debug_struct("AccessKeys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The authorities that are trusted, as PEM: those of the bundle and nobody else, or Amazon's.
fn roots(bundle: Option<&str>) -> Result<Vec<u8>, ConfigError> {
    let Some(path) = bundle else {
        return Ok(AMAZON_ROOTS.to_vec());
    };
    let refused = |why: String| ConfigError::new("AWS_CA_BUNDLE", format!("{path}: {why}"));
    let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    // The client would panic at what is no certificate, and trust nobody for want of one.
    let mut read = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        let added = read.add(certificate);
        added.map_err(|error| refused(error.to_string()))?;
    }
    if read.is_empty() {
        return Err(refused("has no certificate".to_owned()));
    }
    Ok(pem)
}

fn roots_from_env() -> Result<Vec<u8>, ConfigError> {
    roots(optional("AWS_CA_BUNDLE").as_deref())
}

impl Connection {
    /// Reads region, credentials, endpoint and roots from the environment: `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL`,
    /// `AWS_CA_BUNDLE`.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable that is absent or cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Self::new(
            &required("AWS_REGION")?,
            credentials,
            optional("AWS_ENDPOINT_URL").as_deref(),
            roots_from_env()?,
        )
    }

    /// A connection with an operator's keys, to a region, or to an endpoint that stands for it;
    /// `AWS_CA_BUNDLE` names other roots.
    ///
    /// # Errors
    /// [`ConfigError`], when the roots cannot be used.
    pub fn of_operator(
        region: &str,
        keys: AccessKeys,
        endpoint: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let credentials = Credentials::new(
            keys.id,
            keys.secret,
            keys.session_token,
            None,
            "the operator",
        );
        Self::new(region, credentials, endpoint, roots_from_env()?)
    }

    /// A connection to an endpoint with given credentials, for tests and tools.
    ///
    /// # Errors
    /// [`ConfigError`], should the roots not be usable.
    pub fn to_endpoint(endpoint: &str, access_key: &str) -> Result<Self, ConfigError> {
        let credentials = Credentials::new(access_key, "local", None, None, "local");
        Self::new(
            "us-east-1",
            credentials,
            Some(endpoint),
            AMAZON_ROOTS.to_vec(),
        )
    }

    /// The same connection with so much time for each answer, for a slow emulator.
    #[must_use]
    pub fn with_patience(self, longest: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(longest)
            .build();
        Self::of(self.sdk.into_builder().timeout_config(timeouts).build())
    }

    fn new(
        region: &str,
        credentials: Credentials,
        endpoint: Option<&str>,
        roots: Vec<u8>,
    ) -> Result<Self, ConfigError> {
        let tls = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
            .build()
            .map_err(|error| ConfigError::new("AWS_CA_BUNDLE", error.to_string()))?;
        // Two attempts, so that a connection that died while the function was frozen costs nobody
        // anything; what still fails goes through the command loop's own backoff, and more here
        // would only multiply with that. A lost answer costs one attempt's time, not the
        // invocation: of its 30 s, four calls can hang.
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(7))
            .build();
        let mut sdk = SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(OneConnector::new(tls))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts);
        if let Some(endpoint) = endpoint {
            sdk = sdk.endpoint_url(endpoint);
        }
        Ok(Self::of(sdk.build()))
    }

    fn of(sdk: SdkConfig) -> Self {
        let tables = Deferred::new(&sdk, |sdk| {
            let config = aws_sdk_dynamodb::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_dynamodb::Client::from_conf(config.build())
        });
        Self { sdk, tables }
    }

    /// The client for tables.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.tables.deref().clone()
    }

    /// A client for the streams of tables.
    #[cfg(any(feature = "feed", feature = "dead-letters"))]
    #[must_use]
    pub fn dynamodbstreams(&self) -> Deferred<aws_sdk_dynamodbstreams::Client> {
        Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_dynamodbstreams::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_dynamodbstreams::Client::from_conf(config.build())
        })
    }

    /// A client for log groups.
    #[cfg(feature = "logs")]
    #[must_use]
    pub fn cloudwatchlogs(&self) -> Deferred<aws_sdk_cloudwatchlogs::Client> {
        Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_cloudwatchlogs::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_cloudwatchlogs::Client::from_conf(config.build())
        })
    }

    /// A client for the bus.
    #[must_use]
    pub fn eventbridge(&self) -> Deferred<aws_sdk_eventbridge::Client> {
        Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_eventbridge::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_eventbridge::Client::from_conf(config.build())
        })
    }

    /// The dead-letter queue at this URL.
    #[cfg(feature = "dead-letter-queue")]
    #[must_use]
    pub fn dead_letter_queue(
        &self,
        url: impl Into<String>,
    ) -> crate::sqs_dead_letter_queue::SqsDeadLetterQueue {
        let client = Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_sqs::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_sqs::Client::from_conf(config.build())
        });
        crate::sqs_dead_letter_queue::SqsDeadLetterQueue::new(client, url)
    }

    /// A client for mail.
    #[cfg(feature = "ses")]
    #[must_use]
    pub fn sesv2(&self) -> Deferred<aws_sdk_sesv2::Client> {
        Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_sesv2::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_sesv2::Client::from_conf(config.build())
        })
    }

    /// A client for streams of records.
    #[cfg(feature = "kinesis")]
    #[must_use]
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        let config = aws_sdk_kinesis::config::Builder::from(&self.sdk).interceptor(InTime);
        aws_sdk_kinesis::Client::from_conf(config.build())
    }

    /// A client for functions. A call is waited for as long as `longest` and not sent again by
    /// itself: what gets no answer may have been done.
    #[cfg(feature = "invoke")]
    #[must_use]
    pub fn lambda(&self, longest: Duration) -> Deferred<aws_sdk_lambda::Client> {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(longest)
            .operation_timeout(longest)
            .build();
        let sdk = self.sdk.to_builder().timeout_config(timeouts);
        let sdk = sdk.retry_config(RetryConfig::disabled()).build();
        Deferred::new(&sdk, |sdk| {
            let config = aws_sdk_lambda::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_lambda::Client::from_conf(config.build())
        })
    }

    /// A client for buckets. An object may take minutes: it has some 100 MB at most.
    #[cfg(feature = "archive")]
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(LONGEST_READ)
            .operation_timeout(2 * LONGEST_READ)
            .build();
        let config = aws_sdk_s3::config::Builder::from(&self.sdk)
            .timeout_config(timeouts)
            // What stands for AWS has one host name for all buckets.
            .force_path_style(self.sdk.endpoint_url().is_some());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A client for keys.
    #[cfg(feature = "sealing")]
    #[must_use]
    pub fn kms(&self) -> Deferred<aws_sdk_kms::Client> {
        Deferred::new(&self.sdk, aws_sdk_kms::Client::new)
    }

    /// A client for parameters.
    #[cfg(feature = "ssm")]
    #[must_use]
    pub fn ssm(&self) -> Deferred<aws_sdk_ssm::Client> {
        Deferred::new(&self.sdk, |sdk| {
            let config = aws_sdk_ssm::config::Builder::from(sdk).interceptor(InTime);
            aws_sdk_ssm::Client::from_conf(config.build())
        })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
