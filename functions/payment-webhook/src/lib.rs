//! `POST /payments/webhook` (HTTP API) → settle → `PaymentProcessed` | `PaymentFailed` |
//! `PaymentRefunded` (event store).
//!
//! Stripe tells here what became of a charge, also of one whose answer was lost
//! (<https://docs.stripe.com/webhooks>). It tells everything at least once, late and in any order.

pub mod config;
pub mod handler;
pub mod signature;
pub mod signing_secret;
pub mod stripe_event;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::parameter_store::KeptParameter;
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;
use process_payment::chosen_gateway::ChosenGateway;
use std::time::Duration;

/// So long a secret is kept before it is read again: a new one is known within this time, while
/// Stripe still signs with the old one, too.
const SECRET_KEPT: Duration = Duration::from_mins(5);

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
        secret: KeptParameter::new(aws.ssm(), config.secret_parameter, SECRET_KEPT),
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_http(|request| async move { handler.handle(&request).await }).await
}
