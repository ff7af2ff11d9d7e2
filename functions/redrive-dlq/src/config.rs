//! Settings of this function.

use aws_adapters::environment::{ConfigError, parsed, required};
use event_sourcing::dead_letter::RedrivePolicy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait between two rounds.
pub const LONGEST_DELAY: Duration = Duration::from_hours(4);

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Table of the dead letters.
    pub dead_letters_table: String,
    /// Table of the event store.
    pub event_store_table: String,
    /// Whose dead letters they are.
    pub consumers: Vec<Consumer>,
    /// When a letter's rounds are.
    pub policy: RedrivePolicy,
}

/// A consumer with a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Name of its program.
    pub name: String,
    /// URL of its dead-letter queue.
    pub queue: String,
    /// Name of its function.
    pub function: String,
    /// It takes events of the streams whose names begin so.
    pub streams: String,
}

/// A consumer as `CONSUMERS` tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    queue: String,
    function: String,
    #[serde(default)]
    streams: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let first_delay: u32 = parsed("REDRIVE_FIRST_DELAY_SECONDS", 60)?;
        Ok(Self {
            dead_letters_table: required("DEAD_LETTERS_TABLE")?,
            event_store_table: required("EVENT_STORE_TABLE")?,
            consumers: consumers(&required("CONSUMERS")?)?,
            policy: RedrivePolicy {
                first_delay: Duration::from_secs(first_delay.into()),
                longest_delay: LONGEST_DELAY,
                rounds: parsed("REDRIVE_ROUNDS", 8)?,
            },
        })
    }
}

/// Reads `{"process-payment": {"queue": URL, "function": NAME, "streams": PREFIX}, ..}`.
///
/// # Errors
/// [`ConfigError`], when it is something else.
pub fn consumers(json: &str) -> Result<Vec<Consumer>, ConfigError> {
    let told: BTreeMap<String, Told> = serde_json::from_str(json)
        .map_err(|error| ConfigError::new("CONSUMERS", format!("cannot be read: {error}")))?;
    let consumers = told.into_iter().map(|(name, told)| Consumer {
        name,
        queue: told.queue,
        function: told.function,
        streams: told.streams,
    });
    Ok(consumers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_are_told_by_name_and_a_mistake_names_the_variable() {
        let read = consumers(
            r#"{"notify-user": {"queue": "https://q", "function": "shop-notify-user"},
                "project-orders": {"queue": "https://r", "function": "f", "streams": "order-"}}"#,
        )
        .unwrap();
        assert_eq!(read[0].name, "notify-user");
        assert_eq!(read[0].function, "shop-notify-user");
        assert_eq!(
            (read[0].streams.as_str(), read[1].streams.as_str()),
            ("", "order-")
        );
        for wrong in ["", "[]", r#"{"a": {"queue": "q"}}"#] {
            assert_eq!(consumers(wrong).unwrap_err().variable, "CONSUMERS");
        }
    }
}
