//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};
use process_payment::config::GatewayChoice;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// Who knows of the charge, and gives it back where it has to be.
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
            gateway: GatewayChoice::from_env()?,
        })
    }
}
