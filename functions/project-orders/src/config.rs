//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Blue table of the order summaries.
    pub orders_table: String,
    /// Green table of the order summaries.
    pub orders_green_table: String,
    /// Name of the parameter that says which of the two are to be written.
    pub orders_written_parameter: String,
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
            orders_table: required("ORDERS_TABLE")?,
            orders_green_table: required("ORDERS_GREEN_TABLE")?,
            orders_written_parameter: required("ORDERS_WRITTEN_PARAMETER")?,
        })
    }
}
