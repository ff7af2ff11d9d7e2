//! `OrderPlaced` (bus) → reserve → `InventoryUpdated(reserved)` | `InventoryRejected`;
//! `PaymentFailed`, `OrderCancelled` (bus) → release → `InventoryUpdated(released)` (event store,
//! with the stock).

pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
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
    let dead_letters = config
        .dead_letter_queue
        .map(|url| aws.dead_letter_queue(url));
    let handler = handler::Handler {
        store: DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table)
            .with_stock(config.stock_table, config.hot_sku_buckets),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_consumer(dead_letters, |invocation| async move {
        let event = lambda::event_of(invocation.payload)?;
        handler
            .handle(&event)
            .await
            .map(|()| serde_json::Value::Null)
    })
    .await
}
