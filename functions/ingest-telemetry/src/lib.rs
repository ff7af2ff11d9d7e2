//! `POST /telemetry` (HTTP API) → check → readings (stream of the analytics).

pub mod config;
pub mod handler;
pub mod reading_stream;

use aws_adapters::connection::Connection;
use aws_adapters::kinesis_records::KinesisRecords;
use aws_adapters::{lambda, telemetry};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let kinesis = Connection::from_env()?.kinesis();
    let handler = handler::Handler {
        stream: KinesisRecords::new(kinesis, config.analytics_stream),
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
