//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the stream that the windows are made of.
    pub analytics_stream: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            analytics_stream: required("ANALYTICS_STREAM")?,
        })
    }
}
