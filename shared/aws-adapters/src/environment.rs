//! Reading settings from the environment; every function's `Config::from_env` uses this.

use std::env;
use std::str::FromStr;

/// A setting that is absent or not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} {reason}; template.yaml sets it for this function")]
pub struct ConfigError {
    /// Which variable.
    pub variable: &'static str,
    /// What it must be.
    pub reason: String,
}

impl ConfigError {
    /// A variable with what is wrong with it.
    #[must_use]
    pub fn new(variable: &'static str, reason: impl Into<String>) -> Self {
        Self {
            variable,
            reason: reason.into(),
        }
    }
}

/// A setting that must be there.
///
/// # Errors
/// [`ConfigError`], when it is absent or empty.
pub fn required(variable: &'static str) -> Result<String, ConfigError> {
    optional(variable).ok_or_else(|| ConfigError::new(variable, "is not set"))
}

/// A setting that may be absent; an empty one counts as absent.
#[must_use]
pub fn optional(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// A setting with a value other than text.
///
/// # Errors
/// [`ConfigError`], when it is there and cannot be read.
pub fn parsed<T: FromStr>(variable: &'static str, default: T) -> Result<T, ConfigError> {
    optional(variable).map_or(Ok(default), |value| {
        value
            .parse()
            .map_err(|_| ConfigError::new(variable, format!("cannot be read: {value:?}")))
    })
}
