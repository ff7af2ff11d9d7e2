//! `GET /orders/{id}`, `/orders/{id}/events`, `/orders/{id}/diff`, `/users/{id}/orders`,
//! `/inventory/{sku}` (HTTP API) → read (read models, event store).

pub mod config;
pub mod diff;
pub mod handler;
pub mod own_write;
pub mod read_models;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::DynamoDbStock;
use aws_adapters::order_tables::LiveOrderSummaries;
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
        store: DynamoDbEventStore::new(dynamodb.clone(), config.event_store_table),
        read_models: read_models::DynamoDbReadModels {
            summaries: LiveOrderSummaries::new(
                dynamodb.clone(),
                &config.orders_table,
                &config.orders_green_table,
            ),
            stock: DynamoDbStock::new(dynamodb, config.stock_table),
        },
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
