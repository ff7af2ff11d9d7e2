//! Every minute → merge the parts of minutes that are over → results (insights), alarms (event
//! store).

pub mod alarms;
pub mod config;
pub mod figures;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_alarm_rules::DynamoDbAlarmRules;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_insights::{DynamoDbInsights, Retention};
use aws_adapters::metrics::Metrics;
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
    let retention = Retention::default();
    let handler = handler::Handler {
        table: DynamoDbInsights::new(dynamodb.clone(), config.insights_table, retention),
        rules: DynamoDbAlarmRules::new(dynamodb.clone(), config.alarm_rules_table),
        store: DynamoDbEventStore::new(dynamodb, config.event_store_table),
        clock: SystemClock,
        waits: config.waits,
        metrics: Metrics::from_env()?,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(&invocation.request_id).await }).await
}
