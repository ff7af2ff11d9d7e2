//! Every minute, or a call by an operator → messages of all dead-letter queues become letters →
//! the consumer of each letter that is due is called again: itself, and not the whole bus.

pub mod call;
pub mod config;
pub mod handler;
pub mod ports;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_dead_letters::DynamoDbDeadLetters;
use aws_adapters::function_calls::FunctionCalls;
use aws_adapters::metrics::Metrics;
use aws_adapters::stream_history::StreamHistory;
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
        letters: DynamoDbDeadLetters::new(dynamodb.clone(), config.dead_letters_table),
        platform: ports::Aws {
            queues: config
                .consumers
                .iter()
                .map(|one| (one.name.clone(), aws.dead_letter_queue(&one.queue)))
                .collect(),
            history: StreamHistory::new(dynamodb, aws.dynamodbstreams(), config.event_store_table),
            calls: FunctionCalls::new(aws.lambda(handler::PATIENCE)),
        },
        consumers: config.consumers,
        policy: config.policy,
        metrics: Metrics::from_env()?,
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move { handler.handle(invocation.payload).await }).await
}
