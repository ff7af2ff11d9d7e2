//! DynamoDB's expression language: conditions, filters, key conditions,
//! updates, projections. Parsed strictly, so that an expression that AWS
//! refuses is refused here, and evaluated on the stored (normalised) JSON.
//! The storage engine's own evaluator is never asked.

mod condition;
mod key_condition;
mod lexer;
mod operands;
mod parser;
mod path;
mod placeholders;
#[cfg(test)]
mod tests;
mod update;

use serde_json::Value;

pub(crate) use condition::Condition;
pub(crate) use key_condition::{KeyCondition, RangeCondition};
pub(crate) use path::Projection;
pub(crate) use placeholders::Placeholders;
pub(crate) use update::Update;

use crate::ApiError;

/// Longest expression that AWS takes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>).
const MAX_EXPRESSION_BYTES: usize = 4096;

fn expression_text<'request>(
    request: &'request Value,
    kind: &str,
) -> Result<Option<&'request str>, ApiError> {
    match request.get(kind) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > MAX_EXPRESSION_BYTES => {
            Err(ApiError::validation(format!(
                "Invalid {kind}: Expression size has exceeded the maximum allowed size; \
                 expression size: {}",
                text.len()
            )))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::serialization(format!("{kind} must be a string"))),
    }
}
