//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, parsed, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// The bus that events go to.
    pub event_bus: String,
    /// Whether the mapping takes answers for parts of a batch: only in provisioned mode. Where it
    /// does not, such an answer would count as success, and records would be lost.
    pub answers_in_parts: bool,
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
            answers_in_parts: parsed("KAFKA_ANSWERS_IN_PARTS", false)?,
        })
    }
}
