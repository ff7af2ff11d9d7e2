//! What happens in the system, told as it happens: one [`Step`] for each event that a function
//! got, and for what became of it.

use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What became of it.
    pub kind: StepKind,
    /// Stream of the event, or of the order that a request was about; empty where there is none.
    pub stream: String,
    /// The event's type and version, or the request's method and path.
    pub event: String,
    /// The function.
    pub function: String,
    /// How long the function took; none where it did not run.
    pub duration: Option<Duration>,
    /// Most memory that the function's process has used, in bytes; none where it did not run.
    pub memory: Option<u64>,
    /// More: the HTTP status, the error, the queue. May be empty.
    pub note: String,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// The function did it.
    Done,
    /// The function failed, or could not be reached.
    Failed,
    /// It is tried again.
    Retried,
    /// It was given up and lies in a queue.
    DeadLetter,
    /// It was given up and is nowhere.
    Lost,
}

impl StepKind {
    /// The word for a line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "",
            Self::Failed => "FAILED",
            Self::Retried => "RETRIED",
            Self::DeadLetter => "DEAD LETTER",
            Self::Lost => "LOST",
        }
    }
}

/// Is told every step. Called from the deliveries' tasks: must not block for long.
pub trait StepSink: Send + Sync + 'static {
    /// Takes one step.
    fn step(&self, step: Step);

    /// Whether anybody looks; if not, no steps are made.
    fn wanted(&self) -> bool {
        true
    }
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSteps;

impl StepSink for NoSteps {
    fn step(&self, _step: Step) {}

    fn wanted(&self) -> bool {
        false
    }
}
