//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};
use process_payment::config::GatewayChoice;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// Name of the SSM parameter with the endpoint's signing secret.
    pub secret_parameter: String,
    /// Who gives charges back.
    pub gateway: GatewayChoice,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
            secret_parameter: required("STRIPE_WEBHOOK_SECRET_PARAMETER")?,
            gateway: GatewayChoice::from_env()?,
        })
    }
}
