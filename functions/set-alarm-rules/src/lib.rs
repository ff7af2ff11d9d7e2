//! `GET /alarm-rules`, `PUT|DELETE /alarm-rules/{name}` (HTTP API) → check → the rules of alarms.

pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_alarm_rules::DynamoDbAlarmRules;
use aws_adapters::{lambda, telemetry};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let dynamodb = Connection::from_env()?.dynamodb();
    let handler = handler::Handler {
        rules: DynamoDbAlarmRules::new(dynamodb, config.alarm_rules_table),
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
