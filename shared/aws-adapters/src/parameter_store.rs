//! Secrets from SSM Parameter Store, decrypted.

use crate::dynamodb_event_store::describe;
use aws_sdk_ssm::Client;

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
