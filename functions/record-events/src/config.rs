//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};
use aws_adapters::order_contacts::{KeysConfig, seals_from_env};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Where customers' keys are.
    pub keys: KeysConfig,
    /// Whether contacts are sealed.
    pub seals: bool,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            dead_letter_queue: optional("DEAD_LETTER_QUEUE_URL"),
            event_store_table: required("EVENT_STORE_TABLE")?,
            keys: KeysConfig::from_env()?,
            seals: seals_from_env()?,
        })
    }
}
