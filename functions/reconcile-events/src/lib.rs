//! Every hour → hold what was stored in the last day against what was published, if that was not
//! done yet → what is missing published again (the bus).

pub mod call;
pub mod config;
pub mod handler;
pub mod progress;

use aws_adapters::cloudwatch_markers::CloudWatchMarkers;
use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stored_events::DynamoDbStoredEvents;
use aws_adapters::eventbridge_publisher::EventBridgePublisher;
use aws_adapters::metrics::Metrics;
use aws_adapters::parameter_store::PlainParameter;
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
    let dynamodb = aws.dynamodb();
    let handler = handler::Handler {
        stored: DynamoDbStoredEvents::new(dynamodb.clone(), &config.event_store_table),
        store: DynamoDbEventStore::new(dynamodb, config.event_store_table),
        markers: CloudWatchMarkers::new(aws.cloudwatchlogs(), config.publications_log_group),
        publisher: EventBridgePublisher::new(aws.eventbridge(), config.event_bus),
        progress: PlainParameter::new(aws.ssm(), config.progress_parameter),
        clock: SystemClock,
        limits: config.limits,
        metrics: Metrics::from_env()?,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
