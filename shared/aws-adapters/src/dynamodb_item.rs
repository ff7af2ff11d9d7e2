//! Events as items of a table, to the digit and the letter.

use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::envelope::Envelope;
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::str::FromStr;

/// Largest item, in bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Most significant digits of a number, from the same page.
pub const MAX_DIGITS: usize = 38;
/// Deepest nesting of lists and maps, from the same page.
pub const MAX_DEPTH: usize = 32;

/// An item of a table.
pub type Item = HashMap<String, AttributeValue>;

/// Why JSON is no item, or an item no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A number with more digits than the table keeps.
    #[error("the number {0} has more than {MAX_DIGITS} significant digits or is out of range")]
    Number(String),
    /// Lists and maps in each other, too deep.
    #[error("the data is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An attribute of a kind that events don't have.
    #[error("attribute {0} is of a kind that events don't have")]
    Kind(String),
    /// The item lacks an envelope's field.
    #[error("{0}")]
    Envelope(String),
}

/// The item of a recorded event.
///
/// # Errors
/// [`ItemError`].
pub fn from_envelope(event: &Envelope) -> Result<Item, ItemError> {
    let mut item = Item::with_capacity(12 + event.extra.len());
    let mut text = |name: &str, value: &str| {
        item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
    };
    text("eventId", &event.event_id);
    text("eventType", &event.event_type);
    text("timestamp", &event.timestamp);
    for (name, value) in event.optional_texts() {
        text(name, value);
    }
    if let Some(version) = event.version {
        item.insert("version".into(), AttributeValue::N(version.to_string()));
    }
    if let Some(version) = event.schema_version {
        item.insert(
            "schemaVersion".into(),
            AttributeValue::N(version.to_string()),
        );
    }
    item.insert("data".into(), from_json(&event.data, 1)?);
    for (name, value) in &event.extra {
        item.insert(name.clone(), from_json(value, 1)?);
    }
    Ok(item)
}

/// The event in an item.
///
/// # Errors
/// [`ItemError`].
pub fn to_envelope(item: &Item) -> Result<Envelope, ItemError> {
    into_envelope(item.clone())
}

/// The event that an item is, without copying its texts.
///
/// # Errors
/// [`ItemError`].
pub fn into_envelope(item: Item) -> Result<Envelope, ItemError> {
    Envelope::from_value(Value::Object(into_fields(item)?))
        .map_err(|error| ItemError::Envelope(error.to_string()))
}

fn into_fields(item: Item) -> Result<Map<String, Value>, ItemError> {
    item.into_iter()
        .map(|(name, value)| {
            let value = into_json(&name, value)?;
            Ok((name, value))
        })
        .collect()
}

/// A JSON value as an attribute; `depth` counts from 1.
///
/// # Errors
/// [`ItemError`], for what a table cannot keep.
pub fn from_json(value: &Value, depth: usize) -> Result<AttributeValue, ItemError> {
    if depth > MAX_DEPTH {
        return Err(ItemError::TooDeep);
    }
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(checked_number(number)?),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(
            values
                .iter()
                .map(|value| from_json(value, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => AttributeValue::M(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), from_json(value, depth + 1)?)))
                .collect::<Result<_, ItemError>>()?,
        ),
    })
}

/// An attribute as a JSON value; `name` is for the error.
///
/// # Errors
/// [`ItemError::Kind`], for sets and binary values, which events don't have.
pub fn to_json(name: &str, value: &AttributeValue) -> Result<Value, ItemError> {
    into_json(name, value.clone())
}

fn into_json(name: &str, value: AttributeValue) -> Result<Value, ItemError> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(number) => {
            Value::Number(Number::from_str(&number).map_err(|_| ItemError::Number(number))?)
        }
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(
            values
                .into_iter()
                .map(|value| into_json(name, value))
                .collect::<Result<_, _>>()?,
        ),
        AttributeValue::M(fields) => Value::Object(into_fields(fields)?),
        _ => return Err(ItemError::Kind(name.to_owned())),
    })
}

/// The number's text, if the table keeps all its digits: at most 38 significant ones, magnitude
/// from 1E-130 to 9.99E+125.
fn checked_number(number: &Number) -> Result<String, ItemError> {
    let text = number.as_str();
    // As many characters have no more digits, and without an exponent no greater magnitude.
    if text.len() <= MAX_DIGITS && !text.contains(['e', 'E']) {
        return Ok(text.to_owned());
    }
    let refused = || ItemError::Number(text.to_owned());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| refused())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = whole
        .trim_start_matches('-')
        .chars()
        .chain(fraction.chars())
        .collect();
    let significant = digits.trim_start_matches('0');
    if significant.trim_end_matches('0').is_empty() {
        return Ok(text.to_owned());
    }
    let point = i64::try_from(significant.len()).map_err(|_| refused())?
        - i64::try_from(fraction.len()).map_err(|_| refused())?;
    let magnitude = point.saturating_add(exponent) - 1;
    if significant.trim_end_matches('0').len() > MAX_DIGITS || !(-130..=125).contains(&magnitude) {
        return Err(refused());
    }
    Ok(text.to_owned())
}

/// The size of an item as the table counts it
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
#[must_use]
pub fn item_bytes(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_bytes(value))
        .sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // Two digits a byte and one more; a sign takes another.
        AttributeValue::N(number) => {
            number
                .bytes()
                .filter(u8::is_ascii_digit)
                .count()
                .div_ceil(2)
                + 1
                + usize::from(number.starts_with('-'))
        }
        AttributeValue::L(values) => {
            3 + values
                .iter()
                .map(|value| 1 + value_bytes(value))
                .sum::<usize>()
        }
        AttributeValue::M(fields) => {
            3 + fields
                .iter()
                .map(|(name, value)| 1 + name.len() + value_bytes(value))
                .sum::<usize>()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<String, ItemError> {
        checked_number(&Number::from_str(text).unwrap())
    }

    #[test]
    fn numbers_keep_their_digits_or_are_refused() {
        for kept in [
            "0",
            "0.000",
            "150.75",
            "-1e-130",
            "9.9e+125",
            "12345678901234567890123456789012345678",
            "1234567890123456789012345678901234567800000",
        ] {
            assert_eq!(number(kept).as_deref(), Ok(kept));
        }
        for refused in [
            "123456789012345678901234567890123456789",
            "1e126",
            "1e-131",
            "1e99999999999999999999",
        ] {
            assert!(number(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_event_comes_back_from_its_item() {
        let text = r#"{"eventId":"1","eventType":"T","timestamp":"2025-01-01T12:00:00Z",
            "streamId":"s","version":3,"schemaVersion":2,"causationId":"c",
            "data":{"n":150.75,"deep":{"x":[1,null,true,"",{}]}},"later":{"y":1.5}}"#;
        let event: Envelope = serde_json::from_str(text).unwrap();
        let item = from_envelope(&event).unwrap();
        assert_eq!(to_envelope(&item).unwrap(), event);
        assert!(item_bytes(&item) > 100);
    }

    #[test]
    fn data_nested_too_deep_is_refused() {
        let mut deep = Value::Null;
        for _ in 0..40 {
            deep = Value::Array(vec![deep]);
        }
        assert_eq!(from_json(&deep, 1), Err(ItemError::TooDeep));
    }
}
