//! Attribute values in their JSON form (`{"S": "…"}`), brought into one normal
//! form on the way in, so that equal values are equal JSON afterwards:
//! numbers in plain notation, sets sorted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::number::Number;
use crate::ApiError;

/// An item, or a key: attribute name to attribute value.
pub(crate) type Item = Map<String, Value>;

/// Deepest nesting of lists and maps that AWS takes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>).
const MAX_DEPTH: usize = 32;

/// Normalises every attribute of an item or key.
pub(crate) fn normalize_item(item: &mut Item) -> Result<(), ApiError> {
    for (name, value) in item.iter_mut() {
        if name.is_empty() {
            return Err(ApiError::validation(
                "One or more parameter values were invalid: An attribute name must not be empty",
            ));
        }
        normalize(value, 0)?;
    }
    Ok(())
}

/// Normalises one attribute value.
pub(crate) fn normalize(value: &mut Value, depth: usize) -> Result<(), ApiError> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let Value::Object(tagged) = value else {
        return Err(ApiError::serialization(
            "an AttributeValue must be a JSON object",
        ));
    };
    if tagged.len() != 1 {
        let what = if tagged.is_empty() {
            "is empty"
        } else {
            "has more than one datatypes set"
        };
        return Err(ApiError::validation(format!(
            "Supplied AttributeValue {what}, must contain exactly one of the supported datatypes"
        )));
    }
    for (tag, content) in tagged.iter_mut() {
        normalize_content(tag, content, depth)?;
    }
    Ok(())
}

/// Checks the nesting of an item that an update made: each value it is made of
/// may be fine alone.
pub(crate) fn check_depth(item: &Item) -> Result<(), ApiError> {
    fn within(value: &Value, depth: usize) -> bool {
        let inner = match tagged(value) {
            _ if depth > MAX_DEPTH => return false,
            Some(("L", Value::Array(elements))) => elements.iter().collect(),
            Some(("M", Value::Object(members))) => members.values().collect(),
            _ => Vec::new(),
        };
        inner.into_iter().all(|value| within(value, depth + 1))
    }
    if item.values().all(|value| within(value, 0)) {
        Ok(())
    } else {
        Err(too_deep())
    }
}

fn too_deep() -> ApiError {
    ApiError::validation("Nesting Levels have exceeded supported limits")
}

fn normalize_content(tag: &str, content: &mut Value, depth: usize) -> Result<(), ApiError> {
    let wrong_type =
        || ApiError::serialization(format!("unexpected JSON type for attribute type {tag}"));
    match (tag, &mut *content) {
        ("S", Value::String(_)) | ("BOOL", Value::Bool(_)) => Ok(()),
        ("NULL", Value::Bool(is_null)) => {
            if *is_null {
                Ok(())
            } else {
                Err(ApiError::validation(
                    "One or more parameter values were invalid: Null attribute value types must \
                     have the value of true",
                ))
            }
        }
        ("N", Value::String(text)) => {
            *text = normal_number(text)?;
            Ok(())
        }
        ("B", Value::String(text)) => decode(text).map(|_| ()),
        ("SS" | "NS" | "BS", Value::Array(elements)) => normalize_set(tag, elements),
        ("L", Value::Array(elements)) => elements
            .iter_mut()
            .try_for_each(|element| normalize(element, depth + 1)),
        ("M", Value::Object(members)) => members
            .iter_mut()
            .try_for_each(|(_, member)| normalize(member, depth + 1)),
        ("S" | "N" | "B" | "BOOL" | "NULL" | "SS" | "NS" | "BS" | "L" | "M", _) => {
            Err(wrong_type())
        }
        _ => Err(ApiError::validation(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        )),
    }
}

fn normalize_set(tag: &str, elements: &mut [Value]) -> Result<(), ApiError> {
    if elements.is_empty() {
        let kind = match tag {
            "SS" => "string",
            "NS" => "number",
            _ => "binary",
        };
        return Err(ApiError::validation(format!(
            "One or more parameter values were invalid: An {kind} set may not be empty"
        )));
    }
    for element in elements.iter_mut() {
        let Value::String(text) = element else {
            return Err(ApiError::serialization(format!(
                "elements of {tag} must be JSON strings"
            )));
        };
        match tag {
            "NS" => *text = normal_number(text)?,
            "BS" => {
                decode(text)?;
            }
            _ => {}
        }
    }
    sort_set(elements);
    if elements.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiError::validation(
            "One or more parameter values were invalid: Input collection contains duplicates.",
        ));
    }
    Ok(())
}

/// The order in which set elements are kept.
pub(crate) fn sort_set(elements: &mut [Value]) {
    elements.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
}

fn normal_number(text: &str) -> Result<String, ApiError> {
    Number::parse(text)
        .map(|number| number.to_string())
        .map_err(|error| ApiError::validation(error.message(text)))
}

/// The bytes of a `B` value.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(text)
        .map_err(|_| ApiError::serialization("a binary attribute must be valid base64"))
}

/// Type tag and content of a value, e.g. `("S", "x")`.
pub(crate) fn tagged(value: &Value) -> Option<(&str, &Value)> {
    let (tag, content) = value.as_object()?.iter().next()?;
    Some((tag, content))
}

/// Type tag of a value, `""` for none.
pub(crate) fn type_of(value: &Value) -> &str {
    tagged(value).map_or("", |(tag, _)| tag)
}

/// Size of an item as AWS counts it for limits and capacity
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub(crate) fn item_size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

/// Size of one value as AWS counts it.
pub(crate) fn value_size(value: &Value) -> usize {
    match tagged(value) {
        Some((tag, Value::String(text))) => scalar_size(tag, text),
        Some(("L", Value::Array(elements))) => {
            3 + elements.iter().map(|v| 1 + value_size(v)).sum::<usize>()
        }
        Some(("M", Value::Object(members))) => {
            3 + members
                .iter()
                .map(|(name, member)| 1 + name.len() + value_size(member))
                .sum::<usize>()
        }
        Some((tag, Value::Array(elements))) => elements
            .iter()
            .filter_map(Value::as_str)
            .map(|text| scalar_size(&tag[..1], text))
            .sum(),
        _ => 1,
    }
}

fn scalar_size(tag: &str, text: &str) -> usize {
    match tag {
        "N" => Number::parse(text).map_or(text.len(), |number| number.size()),
        "B" => text.trim_end_matches('=').len() * 3 / 4,
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::{item_size, normalize};
    use serde_json::{Value, json};

    fn normal(mut value: Value) -> Result<Value, String> {
        normalize(&mut value, 0)
            .map(|()| value)
            .map_err(|error| error.message)
    }

    #[test]
    fn equal_values_written_differently_become_the_same_json() {
        assert_eq!(normal(json!({"N": "1.50"})), Ok(json!({"N": "1.5"})));
        assert_eq!(
            normal(json!({"NS": ["2.0", "1"]})),
            Ok(json!({"NS": ["1", "2"]}))
        );
        assert_eq!(
            normal(json!({"M": {"l": {"L": [{"N": "01"}]}}})),
            Ok(json!({"M": {"l": {"L": [{"N": "1"}]}}}))
        );
    }

    #[test]
    fn values_that_aws_refuses_are_refused() {
        for value in [
            json!({}),
            json!({"S": "x", "N": "1"}),
            json!({"X": "x"}),
            json!({"N": "one"}),
            json!({"N": 1}),
            json!({"SS": []}),
            json!({"SS": ["a", "a"]}),
            json!({"NS": ["1", "1.0"]}),
            json!({"B": "%"}),
            json!({"NULL": false}),
            json!("x"),
        ] {
            assert!(normal(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn nesting_beyond_32_levels_is_refused() {
        let nested =
            |levels: usize| (0..levels).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
        assert!(normal(nested(32)).is_ok());
        assert!(normal(nested(33)).is_err());
    }

    #[test]
    fn sizes_follow_the_documented_rules() {
        let size = |value: Value| item_size(json!({"ab": value}).as_object().expect("object"));
        assert_eq!(size(json!({"S": "häh"})), 2 + 4);
        assert_eq!(size(json!({"N": "12345"})), 2 + 4);
        assert_eq!(size(json!({"N": "-1"})), 2 + 3);
        assert_eq!(size(json!({"B": "AAECAw=="})), 2 + 4);
        assert_eq!(size(json!({"BOOL": true})), 2 + 1);
        assert_eq!(size(json!({"NULL": true})), 2 + 1);
        assert_eq!(size(json!({"L": [{"S": "a"}, {"S": "b"}]})), 2 + 3 + 4);
        assert_eq!(size(json!({"M": {"k": {"S": "v"}}})), 2 + 3 + 3);
        assert_eq!(size(json!({"SS": ["a", "bc"]})), 2 + 3);
    }
}
