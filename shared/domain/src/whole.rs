//! Whole numbers as JSON means them: `2`, `2.0` and `2e0` are the same number.

use serde::{Deserialize, Deserializer, de};

use crate::money::Amount;

/// A whole number from 0 to 4,294,967,295.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom(format!("must be a whole number from 0 to {}", u32::MAX));
        let number = serde_json::Number::deserialize(deserializer)?;
        Amount::parse(number.as_str())
            .and_then(|number| number.in_units_of(0))
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .map(Self)
            .ok_or_else(wrong)
    }
}

/// For a field that is kept as a plain number.
///
/// # Errors
/// When it is no whole number from 0 to 4,294,967,295.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Whole::deserialize(deserializer).map(|Whole(number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u32, String> {
        serde_json::from_str::<Whole>(text)
            .map(|Whole(number)| number)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way_of_json() {
        for text in ["2", "2.0", "2e0", "0.2e1"] {
            assert_eq!(read(text), Ok(2), "{text}");
        }
        assert_eq!(read("4294967295"), Ok(u32::MAX));
        for text in ["2.5", "-1", "4294967296", "1e300", "\"2\"", "null"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
