//! What can be wrong with a template, said with the resource, the property and the line.

use std::fmt;

use crate::pattern::PatternError;
use crate::schedule::ScheduleError;

/// Where in the template something is: the resource's logical id (or the section, such as
/// `Outputs`), the property path inside it, and the line it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Logical id of the resource, or the name of the section for what is not a resource.
    pub resource: String,
    /// Dotted path of the property, such as `Properties.Events.Placed.Pattern`; may be empty.
    pub path: String,
    /// Line in the template, 1-based.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`", self.line, self.resource)?;
        if self.path.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.path)
        }
    }
}

/// Why a template cannot be run locally. Every message names the place and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML, or uses YAML that CloudFormation does not take.
    #[error("line {line}, column {column}: not valid YAML: {problem}")]
    Syntax {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
        /// What the parser found.
        problem: String,
    },
    /// A top-level section that neither CloudFormation nor SAM has, or that is not supported here.
    #[error("line {line}: the section `{section}` is not known to the local run{hint}")]
    UnknownSection {
        /// The section's name.
        section: String,
        /// 1-based line.
        line: usize,
        /// "; did you mean …" or empty.
        hint: String,
    },
    /// A template parameter has no usable value.
    #[error("line {line}: parameter `{name}` {problem}")]
    Parameter {
        /// The parameter's name.
        name: String,
        /// 1-based line (0 for an override that the template does not declare).
        line: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A resource type that the local run neither acts on nor knows to be without local effect.
    #[error(
        "line {line}: `{resource}` has the type {type_name}, which the local run does not know{hint}; \
         remove the resource, put it behind a Condition that is false locally, or teach \
         sam-template the type"
    )]
    UnknownResourceType {
        /// Logical id.
        resource: String,
        /// The `Type` as written.
        type_name: String,
        /// 1-based line.
        line: usize,
        /// "; did you mean …" or empty.
        hint: String,
    },
    /// A property that the local run neither acts on nor knows to be without local effect.
    #[error(
        "line {line}: `{resource}` {path} is not known to the local run{hint}; nothing is skipped \
         silently, so correct the name, remove it, or teach sam-template what it does"
    )]
    UnknownProperty {
        /// Logical id.
        resource: String,
        /// Dotted path of the property.
        path: String,
        /// 1-based line.
        line: usize,
        /// "; did you mean …" or empty.
        hint: String,
    },
    /// A property that the resource type requires is absent.
    #[error("{place} is missing and required")]
    Missing {
        /// Where it should be.
        place: Place,
    },
    /// A property's value is of the wrong type, out of AWS's limits or unsupported locally.
    #[error("{place} {problem}")]
    Invalid {
        /// Where the value is.
        place: Place,
        /// What is wrong, and what AWS takes instead.
        problem: String,
    },
    /// An intrinsic function or reference cannot be resolved.
    #[error("{place} cannot be resolved: {problem}")]
    Unresolved {
        /// Where the intrinsic is.
        place: Place,
        /// What it names and why that does not resolve.
        problem: String,
    },
    /// An event pattern or mapping filter that `PutRule` would refuse.
    #[error("{place} is not a valid event pattern: {source}")]
    Pattern {
        /// Where the pattern is.
        place: Place,
        /// What is wrong inside the pattern.
        source: Box<PatternError>,
    },
    /// A schedule expression that EventBridge would refuse.
    #[error("{place} is not a valid schedule: {source}")]
    Schedule {
        /// Where the expression is.
        place: Place,
        /// What is wrong inside the expression.
        source: Box<ScheduleError>,
    },
}

/// "; did you mean `X`?" when one of `known` is close to `name`, else empty.
pub(crate) fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let limit = name.len().max(3) / 3;
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map_or_else(String::new, |(_, candidate)| {
            format!("; did you mean `{candidate}`?")
        })
}

/// Edits (insert, remove, replace, swap neighbours) between two words, ASCII case ignored.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_ascii_lowercase().chars().collect();
    let right: Vec<char> = right.to_ascii_lowercase().chars().collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let change = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j - 1] + change)
                .min(rows[i - 1][j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}
