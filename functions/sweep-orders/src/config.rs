//! Settings of this function.

use aws_adapters::environment::{ConfigError, parsed, required};
use domain::order::Patience;
use jiff::SignedDuration;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// The bus that events go to.
    pub event_bus: String,
    /// Blue table of the order summaries.
    pub orders_table: String,
    /// Green table of the order summaries.
    pub orders_green_table: String,
    /// How long orders are left alone.
    pub patience: Patience,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
            event_bus: required("EVENT_BUS_NAME")?,
            orders_table: required("ORDERS_TABLE")?,
            orders_green_table: required("ORDERS_GREEN_TABLE")?,
            patience: Patience {
                stuck_after: seconds("STUCK_AFTER_SECONDS", 300)?,
                payment_deadline: seconds("PAYMENT_DEADLINE_SECONDS", 86_400)?,
            },
        })
    }
}

fn seconds(variable: &'static str, default: u32) -> Result<SignedDuration, ConfigError> {
    parsed(variable, default).map(|seconds| SignedDuration::from_secs(seconds.into()))
}
