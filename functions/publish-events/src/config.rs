//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// The bus that events go to.
    pub event_bus: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            dead_letter_queue: optional("DEAD_LETTER_QUEUE_URL"),
            event_bus: required("EVENT_BUS_NAME")?,
        })
    }
}
