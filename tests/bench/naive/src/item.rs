//! Attributes of items, and what becomes of a failed call.

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::error::display::DisplayErrorContext;
use event_sourcing::failure::Failure;

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// A text.
#[must_use]
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
#[must_use]
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The text of an item; empty where it has none.
#[must_use]
pub fn text_of<'i>(item: &'i Item, name: &str) -> &'i str {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map_or("", String::as_str)
}

/// The whole number of an item; zero where it has none.
#[must_use]
pub fn number_of(item: &Item, name: &str) -> i64 {
    let value = item.get(name).and_then(|value| value.as_n().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Whether a conditional write was made, or its condition did not hold.
///
/// # Errors
/// [`Failure::Transient`].
pub fn written<T, E>(sent: Result<T, SdkError<E>>) -> Result<bool, Failure>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// A call that did not do what it should: the platform tries again.
#[must_use]
pub fn failed(error: impl Error) -> Failure {
    Failure::Transient(DisplayErrorContext(error).to_string())
}
