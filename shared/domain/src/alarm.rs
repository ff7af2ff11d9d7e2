//! The alarm of a rule of analytics: raised and cleared, one event each per episode.
//!
//! Who evaluates a rule keeps the state of that elsewhere and may come to the same decision again,
//! after a crash or a lost answer. The alarm knows what it was told: windows grow, and a window
//! that is not after what it knows is a repeat.

use crate::ids::RuleName;
use crate::moment;
use crate::stored_events::stored_events;
use event_sourcing::decider::Decider;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Who appends the events of alarms: part of their derived ids.
pub const CLOSE_WINDOWS: &str = "close-windows";

impl RuleName {
    /// The stream that holds the events of this rule's alarm.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("alarm-{self}")
    }
}

/// A measured number, of either sign, to 28 digits; a JSON number outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured(Decimal);

/// The text is no decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a decimal number below 7e28")]
pub struct NotMeasured;

impl Measured {
    /// Reads a number; digits beyond the 28th are rounded.
    ///
    /// # Errors
    /// [`NotMeasured`].
    pub fn parse(text: &str) -> Result<Self, NotMeasured> {
        if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            Decimal::from_str(text)
        }
        .map(|number| Self(number.normalize()))
        .map_err(|_| NotMeasured)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Number::from_str(&self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Measured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::parse(number.as_str()).map_err(serde::de::Error::custom)
    }
}

/// One fact about an alarm. Stored format: add a version and an upcaster, never rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmEvent {
    /// An episode began.
    Raised(AlarmRaised),
    /// It ended.
    Cleared(AlarmCleared),
}

/// Data of `AlarmRaised`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AlarmRaised {
    /// Which rule.
    pub rule: RuleName,
    /// What it looks at, for example `orders.failureRatio`.
    pub metric: String,
    /// When it raises and clears, in words.
    pub condition: String,
    /// After so many windows in a row.
    pub for_windows: u32,
    /// Start of the minute that completed the row.
    #[serde(with = "moment")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub window: Timestamp,
    /// What the metric was in it.
    pub value: Measured,
    /// What it was expected to be; for rules on deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Measured>,
}

/// Why an alarm was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClearReason {
    /// The metric is as it should be.
    Recovered,
    /// The rule is another one now.
    RuleChanged,
    /// The rule is gone.
    RuleRemoved,
}

/// Data of `AlarmCleared`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AlarmCleared {
    /// Which rule.
    pub rule: RuleName,
    /// Start of the minute that ended the episode.
    #[serde(with = "moment")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub window: Timestamp,
    /// What the metric was in it; absent where the rule changed or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Measured>,
    /// Start of the minute that raised it.
    #[serde(with = "moment")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub raised_with: Timestamp,
    /// Why.
    pub reason: ClearReason,
}

stored_events! {
    AlarmEvent, upcasters: &[];
    "AlarmRaised" => Raised(AlarmRaised),
    "AlarmCleared" => Cleared(AlarmCleared),
}

/// Where the alarm of a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// It was never raised.
    Silent,
    /// An episode is on.
    Raised {
        /// Start of the minute that raised it.
        window: Timestamp,
    },
    /// The last episode is over.
    Cleared {
        /// Start of the minute that ended it.
        window: Timestamp,
    },
}

/// What the evaluation of a rule tells its alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmCommand {
    /// An episode began.
    Raise(AlarmRaised),
    /// It ended.
    Clear(AlarmCleared),
}

/// An alarm never says no: what it knows already changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlarmRejection {}

impl Decider for Alarm {
    type State = Self;
    type Command = AlarmCommand;
    type Event = AlarmEvent;
    type Rejection = AlarmRejection;

    fn initial() -> Self {
        Self::Silent
    }

    fn decide(command: &AlarmCommand, state: &Self) -> Result<Vec<AlarmEvent>, AlarmRejection> {
        Ok(match (command, state) {
            (AlarmCommand::Raise(raised), Self::Silent) => {
                vec![AlarmEvent::Raised(raised.clone())]
            }
            (AlarmCommand::Raise(raised), Self::Cleared { window }) if raised.window > *window => {
                vec![AlarmEvent::Raised(raised.clone())]
            }
            (AlarmCommand::Raise(_), Self::Raised { .. } | Self::Cleared { .. }) => vec![],
            (AlarmCommand::Clear(cleared), Self::Raised { window })
                if cleared.window >= *window =>
            {
                vec![AlarmEvent::Cleared(cleared.clone())]
            }
            (AlarmCommand::Clear(_), Self::Silent | Self::Raised { .. } | Self::Cleared { .. }) => {
                vec![]
            }
        })
    }

    fn evolve(_: Self, event: &AlarmEvent, _: Timestamp) -> Self {
        match event {
            AlarmEvent::Raised(raised) => Self::Raised {
                window: raised.window,
            },
            AlarmEvent::Cleared(cleared) => Self::Cleared {
                window: cleared.window,
            },
        }
    }
}

#[cfg(test)]
mod tests;
