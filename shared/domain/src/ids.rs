//! Opaque identifiers. Every id is a bounded, printable string; nothing is read out of one.

use event_sourcing::ids::derive;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest id that is accepted, in characters. Partition keys of `DynamoDB` may have 2,048 bytes;
/// ours are short because every event repeats them and each started KB is a write unit.
pub const MAX_ID_CHARS: usize = 128;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_CHARS`].
    #[error("must have at most {MAX_ID_CHARS} characters, has {0}")]
    TooLong(usize),
    /// Control characters or white space at an end would make two ids look alike.
    #[error("must have no control characters and no white space at its ends")]
    Unprintable,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    let characters = text.chars().count();
    if characters > MAX_ID_CHARS {
        return Err(IdError::TooLong(characters));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(IdError::Unprintable);
    }
    Ok(())
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text and takes it as an id.
            ///
            /// # Errors
            /// [`IdError`], when the text is empty, too long or not printable.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

opaque_id!(
    /// An order.
    OrderId
);
opaque_id!(
    /// A customer.
    UserId
);
opaque_id!(
    /// A stock keeping unit: one kind of thing that is sold.
    Sku
);
opaque_id!(
    /// A client's own name for one request, so that a repeat is recognised.
    IdempotencyKey
);

opaque_id!(
    /// A device that measures.
    DeviceId
);
opaque_id!(
    /// One of a device's sensors.
    SensorName
);
opaque_id!(
    /// A rule that raises alarms.
    RuleName
);

impl OrderId {
    /// The id of the order that `user` places under `key`: the same pair gives the same order,
    /// which is what makes placing idempotent without a table for it.
    #[must_use]
    pub fn derive(user: &UserId, key: &IdempotencyKey) -> Self {
        Self(derive(&[user.as_str(), key.as_str()]))
    }

    /// The stream that holds this order's events.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("order-{}", self.0)
    }
}

impl Sku {
    /// The stream that holds this SKU's restocks.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("inventory-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bounded_and_printable() {
        assert_eq!(OrderId::parse("67890").unwrap().as_str(), "67890");
        assert_eq!(OrderId::parse("żółw-🐢").unwrap().as_str(), "żółw-🐢");
        assert_eq!(OrderId::parse(""), Err(IdError::Empty));
        assert_eq!(OrderId::parse("x".repeat(129)), Err(IdError::TooLong(129)));
        assert!(OrderId::parse("茶".repeat(128)).is_ok());
        for odd in [" a", "a\t", "a\u{0}b", "\n"] {
            assert_eq!(OrderId::parse(odd), Err(IdError::Unprintable), "{odd:?}");
        }
    }

    #[test]
    fn an_order_id_depends_on_user_and_key_and_nothing_else() {
        let user = |text: &str| UserId::parse(text).unwrap();
        let key = |text: &str| IdempotencyKey::parse(text).unwrap();
        let id = OrderId::derive(&user("abc"), &key("1"));
        assert_eq!(id, OrderId::derive(&user("abc"), &key("1")));
        assert_ne!(id, OrderId::derive(&user("abc"), &key("2")));
        assert_ne!(id, OrderId::derive(&user("ab"), &key("c1")));
    }
}
