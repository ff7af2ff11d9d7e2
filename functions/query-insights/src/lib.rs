//! `GET /insights`, `/insights/top-skus`, `/devices/{id}` (HTTP API) → read (insights).

pub mod config;
pub mod csv;
pub mod handler;
pub mod reading;
pub mod span;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_insights::{DynamoDbInsights, Retention};
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let dynamodb = Connection::from_env()?.dynamodb();
    let handler = handler::Handler {
        table: DynamoDbInsights::new(dynamodb, config.insights_table, Retention::default()),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
