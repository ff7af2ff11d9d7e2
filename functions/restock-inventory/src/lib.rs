//! `PUT /inventory/{sku}` (HTTP API) → restock → `InventoryUpdated(restocked)` (event store, with
//! the stock).

pub mod config;
pub mod handler;
pub mod stock_levels;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::DynamoDbStock;
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
        store: DynamoDbEventStore::new(dynamodb.clone(), config.event_store_table)
            .with_stock(&config.stock_table, 1),
        stock: DynamoDbStock::new(dynamodb, config.stock_table),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
