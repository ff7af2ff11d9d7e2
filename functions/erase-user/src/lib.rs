//! `DELETE /users/{id}/data` (HTTP API) → erase → nothing; the customer's key is destroyed.

pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_subject_keys::DynamoDbSubjectKeys;
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let handler = handler::Handler {
        keys: DynamoDbSubjectKeys::new(aws.dynamodb(), config.subject_keys_table),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
