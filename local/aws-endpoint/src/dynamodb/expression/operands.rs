//! What AWS says against the operands of a condition before it looks at any
//! item. The functions get the expression's kind for their errors.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::attributes::type_of;
use super::condition::{Operand, order};
use crate::ApiError;

/// Types of which one value is less than another.
pub(super) const ORDERED: &[&str] = &["S", "N", "B"];
/// Types that `begins_with` compares.
pub(super) const TEXTS: &[&str] = &["S", "B"];
/// Types that can contain something.
pub(super) const CONTAINERS: &[&str] = &["S", "SS", "NS", "BS", "L"];

/// Refuses a literal of a type that the operator or function does not take.
/// The type of an attribute is known with the item only.
pub(super) fn check_types(
    kind: &str,
    operator: &str,
    operands: &[&Operand],
    allowed: &[&str],
) -> Result<(), ApiError> {
    let wrong = operands
        .iter()
        .filter_map(|operand| operand.literal())
        .map(type_of)
        .find(|found| !allowed.contains(found));
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(ApiError::validation(format!(
            "Invalid {kind}: Incorrect operand type for operator or function; operator or \
             function: {operator}, operand type: {wrong}"
        ))),
    }
}

/// Refuses an attribute that is compared with itself.
pub(super) fn check_distinct(
    kind: &str,
    operator: &str,
    first: &Operand,
    second: &Operand,
) -> Result<(), ApiError> {
    match (first, second) {
        (Operand::Path(first), Operand::Path(second)) if first == second => {
            Err(ApiError::validation(format!(
                "Invalid {kind}: The first operand must be distinct from the remaining operands \
                 for this operator or function; operator: {operator}, first operand: {}",
                first.display()
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses literal bounds between which nothing lies, or of two types.
pub(super) fn check_bounds(kind: &str, low: &Operand, high: &Operand) -> Result<(), ApiError> {
    let (Some(low), Some(high)) = (low.literal(), high.literal()) else {
        return Ok(());
    };
    let problem = if type_of(low) != type_of(high) {
        "same data type for lower and upper bounds"
    } else if order(low, high) == Some(Ordering::Greater) {
        "upper bound to be greater than or equal to lower bound"
    } else {
        return Ok(());
    };
    let shown = |value: &Value| {
        let text = value.as_object().and_then(|tagged| tagged.iter().next());
        text.map_or_else(String::new, |(tag, content)| {
            format!("{tag}:{}", content.as_str().unwrap_or_default())
        })
    };
    Err(ApiError::validation(format!(
        "Invalid {kind}: The BETWEEN operator requires {problem}; lower bound operand: \
         AttributeValue: {{{}}}, upper bound operand: AttributeValue: {{{}}}",
        shown(low),
        shown(high)
    )))
}
