//! Values from SSM Parameter Store: secrets, decrypted, and plain ones that may be absent.

use crate::dynamodb_event_store::describe;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{ProvideErrorMetadata as _, SdkError};
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
    client: Client,
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
    pub fn new(client: Client, name: impl Into<String>, kept_for: Duration) -> Self {
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

/// Why nobody knows whether a parameter is there.
#[derive(Debug, thiserror::Error)]
#[error("parameter {name} could not be looked up: {reason}")]
pub struct LookupError {
    name: String,
    reason: String,
    /// AWS's code of a refusal, such as `ExpiredTokenException`; none when nobody answered.
    pub code: Option<String>,
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
        Err(error) => {
            let service = error.as_service_error();
            Err(LookupError {
                name: name.to_owned(),
                code: service.and_then(|error| error.code()).map(str::to_owned),
                reason: describe(&error),
            })
        }
    }
}
