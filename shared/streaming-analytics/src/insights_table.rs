//! The ports to the table of insights: who folds writes parts, who closes windows makes results of
//! them, who answers reads these.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "contract")]
mod in_memory;

#[cfg(feature = "contract")]
pub use in_memory::InMemoryInsights;

use crate::alarms::Rule;
use crate::devices::{DeviceKey, DeviceSpan};
use crate::ids::Ids;
use crate::part::{Part, PartKey};
use crate::result::{MinuteResult, RollUp};
use crate::window::{Day, Hour, Minute};
use domain::ids::{DeviceId, RuleName};
use event_sourcing::retry::{Retry, Retryable};
use std::future::Future;

/// Why the table did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It cannot answer now; a write may have happened.
    #[error("the table of insights did not answer ({0}); ask again, writes are idempotent")]
    Unavailable(String),
    /// It will never do what was asked.
    #[error("the table of insights refuses ({0}); it needs an operator")]
    Refused(String),
    /// What it has was written by other software, or by hand.
    #[error("an item of the table of insights cannot be read ({0}); it needs an operator")]
    Damaged(String),
}

impl Retryable for TableError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) | Self::Damaged(_) => Retry::Never,
        }
    }
}

/// What became of a part that was to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum PutPart {
    /// It is in the table now.
    Written,
    /// There is one under its key already, which stays.
    There(Box<Part>),
}

/// How far windows are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The last minute that is closed: what is written for it from now on, and for minutes before
    /// it, is a correction.
    pub closed_through: Option<Minute>,
    /// The last minute whose result is made, and those of all before it. Between the two a call
    /// did not end; they are made again.
    pub made_through: Option<Minute>,
}

/// What everybody needs of the table.
pub trait MinuteTable: Send + Sync {
    /// How far windows are closed. An adapter MUST read it consistently.
    fn progress(&self) -> impl Future<Output = Result<Progress, TableError>> + Send;

    /// All parts of a minute. An adapter MUST read all of them, and consistently.
    fn parts_of(
        &self,
        minute: Minute,
    ) -> impl Future<Output = Result<Vec<Part>, TableError>> + Send;
}

/// What who folds needs of the table.
pub trait PartTable: MinuteTable {
    /// Keys and ids of all parts of a minute. An adapter MUST read all of them, and consistently.
    fn ids_of(
        &self,
        minute: Minute,
    ) -> impl Future<Output = Result<Vec<(PartKey, Ids)>, TableError>> + Send;

    /// Writes a part, unless one is there under its key. An adapter MUST decide that and write in
    /// one step.
    fn put_part(&self, part: &Part) -> impl Future<Output = Result<PutPart, TableError>> + Send;

    /// Writes a part in place of the one that was read under its key, unless another one is there
    /// by now.
    fn replace_part(
        &self,
        part: &Part,
        stored: &Part,
    ) -> impl Future<Output = Result<PutPart, TableError>> + Send;

    /// Notes that a minute has a part which its result may lack.
    fn note_correction(
        &self,
        part: &PartKey,
    ) -> impl Future<Output = Result<(), TableError>> + Send;
}

/// A minute whose result may lack a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Which minute.
    pub minute: Minute,
    /// The last part that was noted for it.
    pub noted: String,
}

/// What who closes windows needs of the table.
pub trait ResultTable: MinuteTable {
    /// Sets how far it is done, unless somebody else went on from `from` in between; false then.
    fn advance(
        &self,
        from: Progress,
        to: Progress,
    ) -> impl Future<Output = Result<bool, TableError>> + Send;

    /// Minutes whose results may lack a part; at most `limit`.
    fn corrections(
        &self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Correction>, TableError>> + Send;

    /// Forgets a correction, unless another part was noted for its minute since.
    fn forget_correction(
        &self,
        correction: &Correction,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// A minute's result with its devices, if there is one.
    fn minute(
        &self,
        minute: Minute,
    ) -> impl Future<Output = Result<Option<MinuteResult>, TableError>> + Send;

    /// Writes a minute's result, unless one of a higher revision is there. Minutes in which nothing
    /// happened need none.
    fn put_minute(
        &self,
        result: &MinuteResult,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// An hour's roll-up with its devices, if there is one.
    fn hour(
        &self,
        hour: Hour,
    ) -> impl Future<Output = Result<Option<RollUp<Hour>>, TableError>> + Send;

    /// Writes an hour's roll-up, unless one of a higher revision is there.
    fn put_hour(&self, hour: &RollUp<Hour>) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Writes a day's roll-up, unless one of a higher revision is there.
    fn put_day(&self, day: &RollUp<Day>) -> impl Future<Output = Result<(), TableError>> + Send;

    /// What was kept of each rule's alarm, by the rule's name.
    fn alarm_states(
        &self,
    ) -> impl Future<Output = Result<Vec<(RuleName, Vec<u8>)>, TableError>> + Send;

    /// Keeps it.
    fn keep_alarm_state(
        &self,
        rule: &RuleName,
        state: &[u8],
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Forgets it.
    fn forget_alarm_state(
        &self,
        rule: &RuleName,
    ) -> impl Future<Output = Result<(), TableError>> + Send;
}

/// The rules of alarms, which operators write.
pub trait RuleTable: Send + Sync {
    /// All of them, by name. An adapter MUST read all, and consistently.
    fn rules(&self) -> impl Future<Output = Result<Vec<Rule>, TableError>> + Send;

    /// Writes one, in place of one with its name; false if there are `limit` others already.
    fn put_rule(
        &self,
        rule: &Rule,
        limit: usize,
    ) -> impl Future<Output = Result<bool, TableError>> + Send;

    /// Removes one; false if there was none.
    fn remove_rule(&self, name: &RuleName)
    -> impl Future<Output = Result<bool, TableError>> + Send;
}

/// What who answers needs of the table. Results come without their devices, in the order of time.
pub trait InsightsTable: MinuteTable {
    /// Results of the minutes from `from` on, and before `until`; minutes without one are left out.
    fn minutes(
        &self,
        from: Minute,
        until: Minute,
    ) -> impl Future<Output = Result<Vec<MinuteResult>, TableError>> + Send;

    /// The same of hours.
    fn hours(
        &self,
        from: Hour,
        until: Hour,
    ) -> impl Future<Output = Result<Vec<RollUp<Hour>>, TableError>> + Send;

    /// The same of days.
    fn days(
        &self,
        from: Day,
        until: Day,
    ) -> impl Future<Output = Result<Vec<RollUp<Day>>, TableError>> + Send;

    /// Readings of a device in the given windows, which have results.
    fn device(
        &self,
        device: &DeviceId,
        windows: &[DeviceWindow],
    ) -> impl Future<Output = Result<Vec<(DeviceWindow, DeviceKey, DeviceSpan)>, TableError>> + Send;
}

/// A window of some length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceWindow {
    /// A minute.
    Minute(Minute),
    /// An hour.
    Hour(Hour),
    /// A day.
    Day(Day),
}
