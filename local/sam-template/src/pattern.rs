//! EventBridge's event patterns, also the language of mapping filters.
//!
//! The semantics are those of EventBridge's documentation and of its open-source rule engine:
//!
//! - a pattern is its `$or` alternatives, each a list of fields that must all match;
//! - a field's values are alternatives; an array of the event matches if one item does, and two
//!   fields never match in different items of the same array;
//! - keys are joined with dots, so `{"a.b": …}` is the same as `{"a": {"b": …}}`;
//! - a number without an operator is compared by its text: `300` is not `300.0`.
//!
//! No crate is behind it: quamina 0.7, the one there is, lacks the nested operators and `$or`,
//! and loses or invents matches with two `exists` and with objects in arrays.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

mod compile;
mod leaves;
mod operator;

use compile::Branch;

/// Longest pattern that `PutRule` takes, in characters.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
const MAXIMUM_LENGTH: usize = 4_096;

/// A valid event pattern, ready to match.
#[derive(Clone)]
pub struct EventPattern {
    source: Value,
    branches: Arc<Vec<Branch>>,
}

/// Why a pattern is refused. `path` is the dotted path inside the pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is a string that is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// The pattern is not an object.
    #[error("it must be an object of fields, such as {{\"source\": [\"orderflow\"]}}")]
    NotAnObject,
    /// The pattern is too long.
    #[error("it has {0} characters; AWS takes {MAXIMUM_LENGTH}")]
    TooLong(usize),
    /// A leaf that is not an array.
    #[error("`{path}` is {found}; a value to match stands in an array: [{found}]")]
    NotAnArray {
        /// Where.
        path: String,
        /// The value as written.
        found: String,
    },
    /// `[]` or `{}`.
    #[error("`{path}` is empty; an empty array or object matches nothing and is not allowed")]
    Empty {
        /// Where.
        path: String,
    },
    /// An operator that EventBridge does not have.
    #[error("`{path}` uses the operator `{operator}`, which EventBridge does not have{hint}")]
    UnknownOperator {
        /// Where.
        path: String,
        /// The operator as written.
        operator: String,
        /// "; did you mean …" or empty.
        hint: String,
    },
    /// An operator with a value that it does not take.
    #[error("`{path}`: {problem}")]
    Operand {
        /// Where.
        path: String,
        /// What is wrong, and what the operator takes.
        problem: String,
    },
    /// The alternatives of `$or` multiply to too many.
    #[error("its $or alternatives make {0} combinations; AWS takes 1,000")]
    TooManyAlternatives(usize),
}

impl EventPattern {
    /// Parses and checks a pattern as `PutRule` does.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
    ///
    /// # Errors
    /// [`PatternError`] for what EventBridge would refuse.
    ///
    /// # Example
    /// ```
    /// use sam_template::EventPattern;
    /// use serde_json::json;
    ///
    /// let recorded = EventPattern::parse(&json!({"detail": {"version": [{"exists": true}]}}))?;
    /// assert!(recorded.matches(&json!({"detail": {"version": 1}})));
    /// assert!(!recorded.matches(&json!({"detail": {"eventId": "12345"}})));
    /// # Ok::<(), sam_template::PatternError>(())
    /// ```
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        let length = pattern.to_string().chars().count();
        if length > MAXIMUM_LENGTH {
            return Err(PatternError::TooLong(length));
        }
        Ok(Self {
            source: pattern.clone(),
            branches: Arc::new(compile::branches(pattern)?),
        })
    }

    /// Parses a pattern given as a string of JSON.
    ///
    /// # Errors
    /// As [`EventPattern::parse`], and [`PatternError::NotJson`].
    pub fn parse_text(text: &str) -> Result<Self, PatternError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| PatternError::NotJson(error.to_string()))?;
        Self::parse(&value)
    }

    /// Whether the event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        let leaves = leaves::leaves(event);
        let satisfied = |branch: &Branch| leaves::satisfy(branch, &leaves);
        self.branches.iter().any(satisfied)
    }

    /// The pattern as given.
    #[must_use]
    pub const fn source(&self) -> &Value {
        &self.source
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventPattern({})", self.source)
    }
}

impl PartialEq for EventPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
