//! Settings of this function.

use aws_adapters::environment::{ConfigError, optional, required};

/// What the template sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the function's own dead-letter queue; without one the platform gets every failure.
    pub dead_letter_queue: Option<String>,
    /// Table of the event store.
    pub event_store_table: String,
    /// Table of how far each stream is mirrored.
    pub positions_table: String,
    /// Where events are mirrored; nowhere while the mirror is off.
    pub cluster: Option<Cluster>,
}

/// A topic of a cluster, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `host:port` of some of its brokers.
    pub bootstrap: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Certificates (PEM) that are trusted instead of the public authorities'.
    pub authorities: Option<String>,
    /// Name of the SSM parameter with `user:password` of SASL/SCRAM-SHA-512; without one nobody
    /// signs in.
    pub credentials_parameter: Option<String>,
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
            positions_table: required("MIRROR_POSITIONS_TABLE")?,
            cluster: Cluster::from_env()?,
        })
    }
}

impl Cluster {
    fn from_env() -> Result<Option<Self>, ConfigError> {
        let Some(bootstrap) = optional("KAFKA_BOOTSTRAP_SERVERS") else {
            return Ok(None);
        };
        let security = optional("KAFKA_SECURITY").unwrap_or_else(|| "tls".to_owned());
        let tls = match security.as_str() {
            "tls" => true,
            "plaintext" => false,
            other => {
                let reason = format!("must be tls or plaintext, is {other:?}");
                return Err(ConfigError::new("KAFKA_SECURITY", reason));
            }
        };
        Ok(Some(Self {
            bootstrap: bootstrap.split(',').map(|one| one.trim().into()).collect(),
            topic: required("KAFKA_TOPIC")?,
            tls,
            authorities: optional("KAFKA_CA"),
            credentials_parameter: optional("KAFKA_CREDENTIALS_PARAMETER"),
        }))
    }
}
