//! Settings of this function.

use aws_adapters::environment::{ConfigError, parsed, required};
use jiff::SignedDuration;
use streaming_analytics::window::Lateness;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the insights.
    pub insights_table: String,
    /// How long a minute waits for its records.
    pub lateness: Lateness,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let seconds: u32 = parsed("LATENESS_SECONDS", 120)?;
        let allowed = SignedDuration::from_secs(seconds.into());
        Ok(Self {
            insights_table: required("INSIGHTS_TABLE")?,
            lateness: Lateness::waiting(allowed)
                .map_err(|error| ConfigError::new("LATENESS_SECONDS", error.to_string()))?,
        })
    }
}
