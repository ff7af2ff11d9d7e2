//! When a rule's metric is not as it should be.

use crate::exact::Exact;
use crate::record::MAX_READING;
use domain::whole::whole;
use serde::{Deserialize, Serialize};
use std::fmt;

/// When a metric is not as it should be, and when it is again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Condition {
    /// Breaches above `threshold`, clears at `clear` and below.
    Above {
        /// Not breached itself.
        threshold: Exact,
        /// At most `threshold`.
        clear: Exact,
    },
    /// Breaches below `threshold`, clears at `clear` and above.
    Below {
        /// Not breached itself.
        threshold: Exact,
        /// At least `threshold`.
        clear: Exact,
    },
    /// Breaches away from the recent past, as [`crate::alarms`] says.
    Deviation {
        /// Breaches beyond so many standard deviations; more than 0, at most 100.
        raise: Exact,
        /// Clears within so many; at most `raise`.
        clear: Exact,
        /// Which side breaches.
        #[serde(default)]
        direction: Direction,
        /// What is nearer to the mean than this never breaches; 0 or more.
        #[serde(default)]
        at_least: Exact,
        /// After so many minutes of its hour a value weighs half; 60 of them are one day. From 1
        /// to 100,000.
        #[serde(default = "two_days", deserialize_with = "whole")]
        half_life: u32,
    },
}

fn two_days() -> u32 {
    120
}

/// On which side of the mean a deviation breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// On both.
    #[default]
    Either,
    /// Above it only.
    Above,
    /// Below it only.
    Below,
}

impl Condition {
    /// What contradicts itself: the field and why.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Above { threshold, .. } | Self::Below { threshold, .. }
                if !is_figure(*threshold) =>
            {
                Some(("condition.threshold", "must lie within 10^12 of 0"))
            }
            Self::Above { clear, .. } | Self::Below { clear, .. } if !is_figure(*clear) => {
                Some(("condition.clear", "must lie within 10^12 of 0"))
            }
            Self::Above { threshold, clear } if clear > threshold => {
                Some(("condition.clear", "must be at most the threshold"))
            }
            Self::Below { threshold, clear } if clear < threshold => {
                Some(("condition.clear", "must be at least the threshold"))
            }
            Self::Above { .. } | Self::Below { .. } => None,
            Self::Deviation {
                raise,
                clear,
                at_least,
                half_life,
                ..
            } => {
                if *raise <= Exact::ZERO || *raise > Exact::from(100) {
                    Some(("condition.raise", "must be above 0 and at most 100"))
                } else if *clear < Exact::ZERO || clear > raise {
                    Some(("condition.clear", "must be from 0 to raise"))
                } else if *at_least < Exact::ZERO || !is_figure(*at_least) {
                    Some(("condition.atLeast", "must be from 0 to 10^12"))
                } else if !(1..=100_000).contains(half_life) {
                    Some(("condition.halfLife", "must be from 1 to 100000"))
                } else {
                    None
                }
            }
        }
    }
}

/// Whether a metric can come to it, by what a reading can be.
fn is_figure(number: Exact) -> bool {
    number.is_within(MAX_READING)
}

/// `above 0.2, clears at 0.1`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above { threshold, clear } => write!(f, "above {threshold}, clears at {clear}"),
            Self::Below { threshold, clear } => write!(f, "below {threshold}, clears at {clear}"),
            Self::Deviation {
                raise,
                clear,
                direction,
                ..
            } => {
                let side = match direction {
                    Direction::Either => "from",
                    Direction::Above => "above",
                    Direction::Below => "below",
                };
                write!(
                    f,
                    "more than {raise} standard deviations {side} the recent mean of its hour, \
                     clears within {clear}"
                )
            }
        }
    }
}
