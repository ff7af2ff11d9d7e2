//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Who charges.
    pub gateway: GatewayChoice,
}

/// Which gateway, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayChoice {
    /// Moves no money.
    Simulated,
    /// Stripe.
    Stripe {
        /// Name of the SSM parameter with the secret key.
        key_parameter: String,
        /// Where the API is, without a path.
        url: String,
    },
}

impl GatewayChoice {
    /// Reads the choice: `PAYMENT_GATEWAY`, and with `stripe` `STRIPE_KEY_PARAMETER` and
    /// `STRIPE_URL`.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        match required("PAYMENT_GATEWAY")?.as_str() {
            "simulated" => Ok(Self::Simulated),
            "stripe" => Ok(Self::Stripe {
                key_parameter: required("STRIPE_KEY_PARAMETER")?,
                url: optional("STRIPE_URL").unwrap_or_else(|| "https://api.stripe.com".to_owned()),
            }),
            other => Err(ConfigError::new(
                "PAYMENT_GATEWAY",
                format!("must be simulated or stripe, is {other:?}"),
            )),
        }
    }
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
            gateway: GatewayChoice::from_env()?,
        })
    }
}
