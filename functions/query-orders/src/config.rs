//! Settings of this function.

use aws_adapters::environment::{ConfigError, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the event store.
    pub event_store_table: String,
    /// Blue table of the order summaries.
    pub orders_table: String,
    /// Green table of the order summaries.
    pub orders_green_table: String,
    /// Table of the stock.
    pub stock_table: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            event_store_table: required("EVENT_STORE_TABLE")?,
            orders_table: required("ORDERS_TABLE")?,
            orders_green_table: required("ORDERS_GREEN_TABLE")?,
            stock_table: required("STOCK_TABLE")?,
        })
    }
}
