//! An event on its way to a function, and where it is kept until it is done with.

use serde::{Deserialize, Serialize};

/// Where an event came from; for the observer's eyes only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Origin {
    /// Somebody called the function.
    Direct,
    /// A rule of a bus, by name.
    Rule(String),
    /// A schedule, by name.
    Schedule(String),
    /// The destination of another function, by that function's name.
    Destination(String),
    /// Something else.
    Other(String),
}

/// An event that was accepted and is not done with.
///
/// Stored format: the journal keeps it over a restart. Add fields with a default, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingInvocation {
    /// Request id: the same on every attempt.
    pub id: String,
    /// Name of the function.
    pub function: String,
    /// The event, JSON.
    pub payload: String,
    /// X-Ray trace header.
    #[serde(default)]
    pub trace: Option<String>,
    /// Where it came from.
    pub source: Origin,
    /// When it was submitted, in milliseconds since 1970. Its age counts from here.
    pub submitted_ms: u64,
    /// Not to be tried before this time, in milliseconds since 1970.
    pub not_before_ms: u64,
    /// How often the function ran with it, and failed.
    #[serde(default)]
    pub attempts: u32,
    /// How often in a row it did not reach the function (throttles, system errors).
    #[serde(default)]
    pub throttles: u32,
    /// What the function answered last, if it ran: an error document.
    #[serde(default)]
    pub last_response: Option<String>,
}

/// Keeps accepted events where they outlive this process.
///
/// Called while an event is submitted and settled: must be quick, and durable when it returns.
pub trait Journal: Send + Sync + 'static {
    /// Keeps the event, in place of what was kept under the same id.
    ///
    /// # Errors
    /// When it is not kept: then the event is not accepted.
    fn record(&self, pending: &PendingInvocation) -> std::io::Result<()>;

    /// Forgets the event: it is done with.
    ///
    /// # Errors
    /// When it is still kept: then the event may be delivered again after a restart.
    fn done(&self, id: &str) -> std::io::Result<()>;
}

/// Keeps nothing: what is pending is lost with the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn record(&self, _pending: &PendingInvocation) -> std::io::Result<()> {
        Ok(())
    }

    fn done(&self, _id: &str) -> std::io::Result<()> {
        Ok(())
    }
}
