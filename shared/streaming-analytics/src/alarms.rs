//! Alarms on a minute's results: thresholds with hysteresis, and deviation from the recent past.
//!
//! # Episodes
//! A rule looks at one [`Metric`] of each minute, in order, once. It *breaches* when its condition
//! says so; after `forWindows` breaching minutes in a row the alarm is raised, once. It is cleared
//! after `forWindows` minutes in a row on the clearing side; between the two bounds nothing changes
//! but that the row is broken. Raised to cleared is one episode, with one alarm.
//!
//! # Minutes without records
//! A minute in which nothing happened is a window like any other: counts, sums of money and
//! numbers of readings are 0 in it. Ratios, percentiles and values of sensors are unknown; an
//! unknown minute neither breaches nor clears nor breaks a row. Minutes that nobody evaluated (an
//! outage of the evaluation) are taken as empty, up to a day of them.
//!
//! # Corrections
//! A minute is judged by the first result that comes to it. A correction changes figures, no
//! alarms: it would raise them for what is long over.
//!
//! # Deviation
//! For each hour of the day (UTC), which stands for the daily season, the rule keeps an
//! exponentially weighted mean and variance of the metric:
//! `d = x - mean; mean += a d; variance = (1 - a) (variance + a d²)`, with
//! `a = 1 - 0.5^(1 / halfLife)`, and `1 / n` for the first minutes, so that the mean starts as the
//! plain mean. (Finch 2009, "Incremental calculation of weighted mean and variance".) An hour has a
//! baseline once 60 minutes of it were seen, which is after the first day; before, nothing is
//! judged. A minute breaches when it is more than `raise` standard deviations from the mean of its
//! hour, and at least `atLeast` away from it; it clears within `clear` of them, or nearer than
//! `atLeast`. A value beyond `raise` is learnt as if it stood there: an outlier does not widen the
//! band at once, and a new level becomes the normal one within some half-lives. A rule that
//! changes begins anew.

mod condition;
mod deciding;
mod metric;
mod rule;
mod season;

pub use condition::{Condition, Direction};
pub use deciding::{Change, RuleState, decide, withdraw};
pub use metric::{DeviceFigure, Metric, OrderFigure, Value};
pub use rule::{InvalidRule, MAX_WINDOWS, Rule};

#[cfg(test)]
mod tests;
