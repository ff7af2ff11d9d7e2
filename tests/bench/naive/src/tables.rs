//! Clients, and what the tables and the bus are called.

use aws_adapters::connection::{Connection, Deferred};
use aws_adapters::environment::{ConfigError, required};

/// All that a function reaches. A name that the template does not give a function is empty.
#[derive(Debug, Clone)]
pub struct Tables {
    /// For tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For the bus.
    pub eventbridge: Deferred<aws_sdk_eventbridge::Client>,
    /// Name of the bus.
    pub bus: String,
    /// Every event that was published.
    pub events: String,
    /// What was handled.
    pub idempotency: String,
    /// The orders and their state.
    pub orders: String,
    /// What is in stock.
    pub stock: String,
    /// The orders as they are shown.
    pub views: String,
}

impl Tables {
    /// Reads the names from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let aws = Connection::from_env()?;
        let named = |name| aws_adapters::environment::optional(name).unwrap_or_default();
        Ok(Self {
            dynamodb: aws.dynamodb(),
            eventbridge: aws.eventbridge().made(),
            bus: named("EVENT_BUS_NAME"),
            events: named("EVENTS_TABLE"),
            idempotency: required("IDEMPOTENCY_TABLE")?,
            orders: named("ORDERS_TABLE"),
            stock: named("STOCK_TABLE"),
            views: named("ORDER_VIEWS_TABLE"),
        })
    }
}
