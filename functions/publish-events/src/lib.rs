//! Every event stored (stream of the event store) → publish → the bus.

pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::eventbridge_publisher::EventBridgePublisher;
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
    let handler = handler::Handler {
        publisher: EventBridgePublisher::new(aws.eventbridge().made(), config.event_bus),
    };
    let handler = &handler;
    lambda::serve_stream(dead_letters, |payload| handler.handle(payload)).await
}
