//! A rule as an operator writes it.

use super::{Condition, Metric};
use domain::ids::RuleName;
use domain::whole::whole;
use serde::{Deserialize, Serialize};

/// Most windows that a rule waits for: two hours.
pub const MAX_WINDOWS: u32 = 120;

/// `{"name": "failures", "metric": {..}, "condition": {"kind": "above", "threshold": 0.2,
/// "clear": 0.1}, "forWindows": 3}`. What is read is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct Rule {
    name: RuleName,
    metric: Metric,
    condition: Condition,
    for_windows: u32,
}

/// A rule that nobody looked at yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    name: RuleName,
    metric: Metric,
    condition: Condition,
    #[serde(default = "one", deserialize_with = "whole")]
    for_windows: u32,
}

fn one() -> u32 {
    1
}

/// Why a rule cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct InvalidRule {
    /// The field at fault.
    pub field: &'static str,
    /// What it must be.
    pub reason: String,
}

impl TryFrom<Unchecked> for Rule {
    type Error = InvalidRule;

    fn try_from(rule: Unchecked) -> Result<Self, InvalidRule> {
        Self::new(rule.name, rule.metric, rule.condition, rule.for_windows)
    }
}

impl Rule {
    /// A rule that raises after `for_windows` breaching minutes in a row, 1 to [`MAX_WINDOWS`].
    ///
    /// # Errors
    /// [`InvalidRule`], which names the field at fault.
    pub fn new(
        name: RuleName,
        metric: Metric,
        condition: Condition,
        for_windows: u32,
    ) -> Result<Self, InvalidRule> {
        if let Some((field, reason)) = condition.fault() {
            let reason = reason.to_owned();
            return Err(InvalidRule { field, reason });
        }
        if !(1..=MAX_WINDOWS).contains(&for_windows) {
            return Err(InvalidRule {
                field: "forWindows",
                reason: format!("must be from 1 to {MAX_WINDOWS}"),
            });
        }
        Ok(Self {
            name,
            metric,
            condition,
            for_windows,
        })
    }

    /// Its name, which names its alarm's stream as well.
    #[must_use]
    pub fn name(&self) -> &RuleName {
        &self.name
    }

    /// What it looks at.
    #[must_use]
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// When that is not as it should be.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// After so many windows in a row it raises, and clears.
    #[must_use]
    pub fn for_windows(&self) -> u32 {
        self.for_windows
    }
}
