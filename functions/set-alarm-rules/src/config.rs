//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the rules of alarms.
    pub alarm_rules_table: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            alarm_rules_table: required("ALARM_RULES_TABLE")?,
        })
    }
}
