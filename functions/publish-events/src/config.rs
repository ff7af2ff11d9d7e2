//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
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
            event_bus: required("EVENT_BUS_NAME")?,
        })
    }
}
