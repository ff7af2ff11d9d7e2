//! A call by an operator → fold all events anew → rows beside the live ones, then live (read
//! model). It writes rows and nothing else: no event is published or acted upon again.

pub mod call;
pub mod config;
pub mod folding;
pub mod handler;
pub mod ports;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_feed::DynamoDbFeed;
use aws_adapters::dynamodb_order_summaries::DynamoDbOrderSummaries;
use aws_adapters::order_tables::{DynamoDbSwitch, Sides};
use aws_adapters::written_tables::WrittenTables;
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;
use std::sync::Arc;

/// Parts of the event store that are read at the same time.
const SEGMENTS: u16 = 4;

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let dynamodb = aws.dynamodb();
    let events = config.event_store_table;
    let rows = |table| Arc::new(DynamoDbOrderSummaries::new(dynamodb.clone(), table));
    let handler = handler::Handler {
        feed: DynamoDbFeed::new(dynamodb.clone(), aws.dynamodbstreams(), &events, SEGMENTS),
        store: Arc::new(DynamoDbEventStore::new(dynamodb.clone(), events)),
        rows: Sides {
            blue: rows(config.orders_table.clone()),
            green: rows(config.orders_green_table),
        },
        board: ports::AwsBoard {
            switch: DynamoDbSwitch::new(dynamodb.clone(), config.orders_table),
            written: WrittenTables::new(aws.ssm(), config.orders_written_parameter),
        },
        clock: SystemClock,
        drop_after: config.drop_after,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
