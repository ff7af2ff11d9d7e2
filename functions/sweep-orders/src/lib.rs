//! Every minute → look for orders that do not move → their event published again (the bus), or
//! `OrderCancelled(expired)` (event store).

pub mod call;
pub mod config;
pub mod handler;
pub mod open_orders;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::eventbridge_publisher::EventBridgePublisher;
use aws_adapters::metrics::Metrics;
use aws_adapters::order_tables::LiveOrderSummaries;
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
        store: DynamoDbEventStore::new(dynamodb.clone(), config.event_store_table),
        publisher: EventBridgePublisher::new(aws.eventbridge(), config.event_bus),
        open_orders: LiveOrderSummaries::new(
            dynamodb,
            &config.orders_table,
            &config.orders_green_table,
        ),
        clock: SystemClock,
        patience: config.patience,
        metrics: Metrics::from_env()?,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
