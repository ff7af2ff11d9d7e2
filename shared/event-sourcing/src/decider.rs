//! The shape of every decision: state and command in, events or a rejection out.

use crate::upcaster::Upcaster;
use jiff::Timestamp;

/// A fact that can be stored: a name and data.
///
/// Stored format: add a version and an upcaster, never rename.
pub trait Event: Clone + std::fmt::Debug + PartialEq {
    /// The `eventType` of the envelope.
    fn event_type(&self) -> &'static str;

    /// The `data` of the envelope.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    fn to_data(&self) -> Result<serde_json::Value, serde_json::Error>;

    /// Reads data of the current version; `None` for a type that this aggregate does not know.
    /// What is stored is read with [`crate::upcaster::decode`], which lifts older versions first.
    ///
    /// # Errors
    /// When the data lacks what the type needs.
    fn from_data(
        event_type: &str,
        data: &serde_json::Value,
    ) -> Result<Option<Self>, serde_json::Error>;

    /// What lifts older versions of these types to the current one: a type has one version more
    /// than it has upcasters.
    #[must_use]
    fn upcasters() -> &'static [Upcaster] {
        &[]
    }
}

/// An aggregate's decisions, as a pure and total pair of functions.
///
/// `decide` says what a command does in a state; `evolve` says what an event does to a state.
/// Neither performs I/O nor reads a clock, so the same inputs always give the same outputs.
pub trait Decider {
    /// What the stream amounts to; never serialized.
    type State: Clone + std::fmt::Debug + PartialEq;
    /// What somebody wants (imperative).
    type Command;
    /// What happened (past tense).
    type Event: Event;
    /// A business "no". It is an answer, not a failure.
    type Rejection: std::error::Error;

    /// The state of a stream without events.
    fn initial() -> Self::State;

    /// The events that `command` causes in `state`; none when it has been done already.
    ///
    /// # Errors
    /// The rejection, when the business forbids the command in this state.
    fn decide(
        command: &Self::Command,
        state: &Self::State,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`, which happened at `at`. Cannot fail: history is fact.
    fn evolve(state: Self::State, event: &Self::Event, at: Timestamp) -> Self::State;

    /// The state after a whole history.
    fn fold<'a>(history: impl IntoIterator<Item = (&'a Self::Event, Timestamp)>) -> Self::State
    where
        Self::Event: 'a,
    {
        history
            .into_iter()
            .fold(Self::initial(), |state, (event, at)| {
                Self::evolve(state, event, at)
            })
    }
}
