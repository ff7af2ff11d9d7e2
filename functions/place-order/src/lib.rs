//! `POST /orders` (HTTP API) → place → `OrderPlaced` (event store).

pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::order_contacts::{self, Contacts};
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
    let handler = handler::Handler {
        store: DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table),
        contacts: Contacts {
            keys: order_contacts::keys(&aws, config.keys),
            seals: config.seals,
        },
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
