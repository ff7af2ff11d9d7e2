//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};
use aws_adapters::order_contacts::KeysConfig;

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Where customers' keys are.
    pub keys: KeysConfig,
    /// How customers are notified.
    pub notifier: NotifierChoice,
}

/// Which notifier, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifierChoice {
    /// A log line.
    Log,
    /// A mail through SES.
    Ses {
        /// The sender, verified in SES.
        sender: String,
    },
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let notifier = match required("NOTIFIER")?.as_str() {
            "log" => NotifierChoice::Log,
            "ses" => NotifierChoice::Ses {
                sender: required("SENDER_ADDRESS")?,
            },
            other => {
                return Err(ConfigError::new(
                    "NOTIFIER",
                    format!("must be log or ses, is {other:?}"),
                ));
            }
        };
        Ok(Self {
            dead_letter_queue: optional("DEAD_LETTER_QUEUE_URL"),
            event_store_table: required("EVENT_STORE_TABLE")?,
            keys: KeysConfig::from_env()?,
            notifier,
        })
    }
}
