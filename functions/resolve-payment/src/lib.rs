//! A call by an operator → settle an unknown payment → `PaymentProcessed` | `PaymentFailed` |
//! `PaymentRefunded` (event store).
//!
//! A function of its own, so that who may decide about money is a right of its own
//! (`lambda:InvokeFunction` on this function alone), and so that a decision that is refused is an
//! answer to the operator, not a dead letter of the consumer.

pub mod call;
pub mod config;
pub mod handler;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;
use event_sourcing::failure::Failure;
use process_payment::chosen_gateway::ChosenGateway;

/// Serves the function.
///
/// # Errors
/// When a setting is missing, the gateway's key cannot be read, or the runtime API cannot be
/// reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let handler = handler::Handler {
        store: DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table),
        gateway: ChosenGateway::open(config.gateway, &aws).await?,
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move {
        let call = call::ResolvePayment::parse(&invocation.payload)?;
        let resolved = handler.handle(&call, &invocation.request_id).await?;
        serde_json::to_value(resolved).map_err(|error| Failure::Permanent(error.to_string()))
    })
    .await
}
