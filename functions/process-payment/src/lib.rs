//! `InventoryUpdated(reserved)` (bus) → charge → `PaymentProcessed` | `PaymentFailed`;
//! `OrderCancelled` (bus) → refund → `PaymentRefunded` (event store).

pub mod config;
pub mod gateway;
pub mod handler;
pub mod settlement;
pub mod simulated_gateway;
pub mod stripe_gateway;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::{lambda, parameter_store, telemetry};
use config::GatewayChoice;
use event_sourcing::clock::SystemClock;
use simulated_gateway::SimulatedGateway;
use stripe_gateway::StripeGateway;

/// Serves the function.
///
/// # Errors
/// When a setting is missing, the gateway's key cannot be read, or the runtime API cannot be
/// reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let store = DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table);
    match config.gateway {
        GatewayChoice::Simulated => serve(store, SimulatedGateway::default()).await,
        GatewayChoice::Stripe { key_parameter, url } => {
            let key = parameter_store::read(&aws.ssm(), &key_parameter).await?;
            serve(store, StripeGateway::new(url, key)?).await
        }
    }
}

async fn serve(
    store: DynamoDbEventStore,
    gateway: impl gateway::PaymentGateway,
) -> Result<(), lambda_runtime::Error> {
    let handler = handler::Handler {
        store,
        gateway,
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve(|invocation| async move {
        let event = lambda::event_of(invocation.payload)?;
        handler
            .handle(&event)
            .await
            .map(|()| serde_json::Value::Null)
    })
    .await
}
