//! Every event of an order (stream of the event store) → project → its row (read model).

pub mod config;
pub mod handler;
pub mod tables;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::order_tables::{Remembered, Sides};
use aws_adapters::written_tables::WrittenTables;
use aws_adapters::{lambda, telemetry};

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
    let dynamodb = aws.dynamodb();
    let handler = handler::Handler {
        store: DynamoDbEventStore::new(dynamodb.clone(), config.event_store_table),
        tables: tables::DynamoDbOrderTables {
            tables: Sides::new(&dynamodb, config.orders_table, config.orders_green_table),
            written: WrittenTables::new(aws.ssm(), config.orders_written_parameter),
            remembered: Remembered::default(),
        },
    };
    let handler = &handler;
    lambda::serve_stream(dead_letters, |payload| async move {
        handler.handle(payload).await
    })
    .await
}
