//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
        })
    }
}
