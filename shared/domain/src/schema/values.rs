//! The schemas of values that say more than their JSON type: ids, amounts, currencies.

use crate::alarm::Measured;
use crate::ids::{MAX_ID_CHARS, OrderId, RuleName, Sku, UserId};
use crate::money::{Amount, Currency, MAX_AMOUNT};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! schema {
    ($value:ty, $($schema:tt)+) => {
        impl JsonSchema for $value {
            fn schema_name() -> Cow<'static, str> {
                stringify!($value).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

schema!(OrderId, {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS});
schema!(UserId, {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS});
schema!(Sku, {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS});
schema!(RuleName, {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS});
schema!(Measured, {"type": "number"});
schema!(Amount, {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT});
schema!(Currency, {"type": "string", "pattern": "^[A-Z]{3}$"});
