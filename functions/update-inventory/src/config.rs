//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, parsed, required};
use domain::inventory::buckets::MAX_BUCKETS;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Table of the stock.
    pub stock_table: String,
    /// Into how many buckets a SKU is split at most that turns out to be hot; 1 splits none.
    pub hot_sku_buckets: u16,
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
            stock_table: required("STOCK_TABLE")?,
            hot_sku_buckets: parsed("HOT_SKU_BUCKETS", MAX_BUCKETS)?,
        })
    }
}
