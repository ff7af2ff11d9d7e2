//! Settings of this function.

use aws_adapters::environment::{ConfigError, parsed, required};
use jiff::SignedDuration;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// How long after its confirmation an order can be cancelled.
    pub grace: SignedDuration,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
            grace: SignedDuration::from_secs(parsed("CANCEL_GRACE_SECONDS", 0_u32)?.into()),
        })
    }
}
