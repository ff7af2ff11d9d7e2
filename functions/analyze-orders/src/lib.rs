//! Events and readings (stream of the analytics) → fold → parts of minutes (insights).

pub mod config;
pub mod handler;
pub mod window_call;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_insights::{DynamoDbInsights, Retention};
use aws_adapters::{lambda, telemetry};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let dynamodb = Connection::from_env()?.dynamodb();
    let table = DynamoDbInsights::new(dynamodb, config.insights_table, Retention::default());
    let handler = handler::Handler::new(table, config.lateness);
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
