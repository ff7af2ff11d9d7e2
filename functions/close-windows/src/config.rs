//! Settings of this function.

use aws_adapters::environment::{ConfigError, parsed, required};
use jiff::SignedDuration;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the insights.
    pub insights_table: String,
    /// Table of the rules of alarms.
    pub alarm_rules_table: String,
    /// Table of the event store.
    pub event_store_table: String,
    /// How long after its end a minute is closed: its lateness, and the length of Lambda's windows,
    /// in which records that came in time may still be, with some time for their last call.
    pub waits: SignedDuration,
}

/// What the last call of a Lambda window may take.
const LAST_CALL: SignedDuration = SignedDuration::from_secs(15);

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let lateness: u32 = parsed("LATENESS_SECONDS", 120)?;
        let window: u32 = parsed("WINDOW_SECONDS", 60)?;
        let seconds = i64::from(lateness) + i64::from(window);
        Ok(Self {
            insights_table: required("INSIGHTS_TABLE")?,
            alarm_rules_table: required("ALARM_RULES_TABLE")?,
            event_store_table: required("EVENT_STORE_TABLE")?,
            waits: SignedDuration::from_secs(seconds) + LAST_CALL,
        })
    }
}
