//! Settings of this function.

use crate::call::Limits;
use aws_adapters::environment::{ConfigError, parsed, required};
use jiff::SignedDuration;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// The bus that events go to.
    pub event_bus: String,
    /// The log group that has the markers of what was published.
    pub publications_log_group: String,
    /// Name of the parameter that keeps how far it is.
    pub progress_parameter: String,
    /// Which periods can be reconciled.
    pub limits: Limits,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let settled_after = parsed::<u32>("SETTLED_AFTER_SECONDS", 600)?;
        let kept_days = parsed::<u16>("PUBLICATIONS_KEPT_DAYS", 30)?;
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
            event_bus: required("EVENT_BUS_NAME")?,
            publications_log_group: required("PUBLICATIONS_LOG_GROUP")?,
            progress_parameter: required("PROGRESS_PARAMETER")?,
            limits: Limits {
                settled_after: SignedDuration::from_secs(settled_after.into()),
                kept: SignedDuration::from_hours(24 * i64::from(kept_days)),
            },
        })
    }
}
