//! `InventoryUpdated(reserved)` (bus) → charge → `PaymentProcessed` | `PaymentFailed`;
//! `OrderCancelled` (bus) → refund → `PaymentRefunded` (event store).
//!
//! What is the payment's own lives here, too, and `payment-webhook` and `resolve-payment` use it:
//! the port to a gateway with its adapters, and the settlement.

pub mod chosen_gateway;
pub mod circuit_breaker;
pub mod config;
pub mod gateway;
pub mod guarded_gateway;
pub mod handler;
pub mod metered_gateway;
pub mod settlement;
pub mod simulated_gateway;
pub mod stripe_gateway;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::metrics::Metrics;
use aws_adapters::{lambda, telemetry};
use chosen_gateway::ChosenGateway;
use event_sourcing::clock::SystemClock;
use guarded_gateway::GuardedGateway;
use metered_gateway::MeteredGateway;

/// Serves the function.
///
/// # Errors
/// When a setting is missing, the gateway's key cannot be read, or the runtime API cannot be
/// reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let dead_letters = config
        .dead_letter_queue
        .map(|url| aws.dead_letter_queue(url));
    let gateway = ChosenGateway::open(config.gateway, &aws).await?;
    let gateway = MeteredGateway::new(gateway, Metrics::from_env()?, SystemClock);
    let handler = handler::Handler {
        store: DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table),
        gateway: GuardedGateway::new(gateway, SystemClock),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_consumer(dead_letters, |invocation| async move {
        if invocation.is_replay() {
            return Ok(lambda::muted());
        }
        let is_redrive = invocation.is_redrive();
        let event = lambda::event_of(invocation.payload)?;
        let work = handler.handle(&event);
        let done = if is_redrive {
            guarded_gateway::redriven(work).await
        } else {
            work.await
        };
        done.map(|()| serde_json::Value::Null)
    })
    .await
}
