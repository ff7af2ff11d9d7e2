//! Values from SSM Parameter Store: secrets, decrypted, and plain ones that may be absent.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::ParameterType;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a parameter could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "parameter {name} could not be read ({reason}); create it as a SecureString and let the function read it"
)]
pub struct ParameterError {
    name: String,
    reason: String,
}

/// The value of a parameter.
///
/// # Errors
/// [`ParameterError`], which never holds the value.
pub async fn read(client: &Client, name: &str) -> Result<String, ParameterError> {
    let failed = |reason: String| ParameterError {
        name: name.to_owned(),
        reason,
    };
    client
        .get_parameter()
        .name(name)
        .with_decryption(true)
        .send()
        .await
        .map_err(|error| failed(describe(&error)))?
        .parameter
        .and_then(|parameter| parameter.value)
        .ok_or_else(|| failed("it has no value".into()))
}

/// A parameter that is kept for a while after it was read.
pub struct KeptParameter {
    client: Deferred<Client>,
    name: String,
    kept_for: Duration,
    kept: Mutex<Option<(Instant, String)>>,
}

impl fmt::Debug for KeptParameter {
    /// Never shows the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptParameter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl KeptParameter {
    /// The parameter of this name.
    #[must_use]
    pub fn new(client: Deferred<Client>, name: impl Into<String>, kept_for: Duration) -> Self {
        Self {
            client,
            name: name.into(),
            kept_for,
            kept: Mutex::default(),
        }
    }

    /// The value, as it was at most so long ago.
    ///
    /// # Errors
    /// [`ParameterError`]; a parameter that is not there yet is looked for each time.
    pub async fn read(&self) -> Result<String, ParameterError> {
        if let Some((read_at, value)) = &*self.kept()
            && read_at.elapsed() < self.kept_for
        {
            return Ok(value.clone());
        }
        let value = read(&self.client, &self.name).await?;
        *self.kept() = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plain parameter that a function keeps something in.
#[derive(Debug, Clone)]
pub struct PlainParameter {
    client: Deferred<Client>,
    name: String,
}

impl PlainParameter {
    /// Longest value (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>).
    pub const MAX_BYTES: usize = 4096;

    /// The parameter of this name.
    #[must_use]
    pub fn new(client: Deferred<Client>, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Its value; none while nothing was kept in it.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn read(&self) -> Result<Option<String>, LookupError> {
        find(&self.client, &self.name).await
    }

    /// Keeps another value, of at most [`Self::MAX_BYTES`].
    ///
    /// # Errors
    /// [`LookupError`]; it may be kept nevertheless.
    pub async fn write(&self, value: impl Into<String>) -> Result<(), LookupError> {
        let request = self
            .client
            .put_parameter()
            .name(&self.name)
            .r#type(ParameterType::String)
            .value(value)
            .overwrite(true);
        let answer = Box::pin(request.send()).await;
        answer
            .map(|_| ())
            .map_err(|error| LookupError::of(&self.name, &error))
    }
}

/// Why nobody knows whether a parameter is there.
#[derive(Debug, thiserror::Error)]
#[error("parameter {name} did not answer as it should: {reason}")]
pub struct LookupError {
    name: String,
    reason: String,
    /// AWS's code of a refusal, such as `ExpiredTokenException`; none when nobody answered.
    pub code: Option<String>,
}

impl LookupError {
    fn of<E>(name: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        Self {
            name: name.to_owned(),
            code: error.code().map(str::to_owned),
            reason: describe(error),
        }
    }
}

/// The value of a plain parameter; none when there is no parameter of that name.
///
/// # Errors
/// [`LookupError`].
pub async fn find(client: &Client, name: &str) -> Result<Option<String>, LookupError> {
    let request = client.get_parameter().name(name);
    match Box::pin(request.send()).await {
        Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
        Err(SdkError::ServiceError(context)) if context.err().is_parameter_not_found() => Ok(None),
        Err(error) => Err(LookupError::of(name, &error)),
    }
}
