//! Every event of an order (stream of the event store) → project → its row (read model).

pub mod config;
pub mod handler;
pub mod summaries;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_order_summaries::DynamoDbOrderSummaries;
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
        summaries: DynamoDbOrderSummaries::new(dynamodb, config.orders_table),
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
