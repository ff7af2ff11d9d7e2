//! `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::attributes::normalize_item;
use crate::ApiError;

/// The placeholders a request defines, and which of them its expressions used.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: Map<String, Value>,
    values: Map<String, Value>,
    used: RefCell<BTreeSet<String>>,
}

impl Placeholders {
    /// Takes both maps out of a request (or one action of a transaction).
    ///
    /// # Errors
    /// `ValidationException` for badly named placeholders or bad values.
    pub(crate) fn take(request: &mut Value) -> Result<Self, ApiError> {
        let mut section = |name: &str, sign: char| match request.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(entries)) if entries.is_empty() => {
                Err(ApiError::validation(format!("{name} must not be empty")))
            }
            Some(Value::Object(entries)) => {
                for key in entries.keys() {
                    let valid = key.strip_prefix(sign).is_some_and(|rest| {
                        !rest.is_empty()
                            && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    });
                    if !valid {
                        return Err(ApiError::validation(format!(
                            "{name} contains invalid key: Syntax error; key: \"{key}\""
                        )));
                    }
                }
                Ok(entries)
            }
            Some(_) => Err(ApiError::serialization(format!("{name} must be an object"))),
        };
        let names = section("ExpressionAttributeNames", '#')?;
        let mut values = section("ExpressionAttributeValues", ':')?;
        normalize_item(&mut values).map_err(|error| ApiError {
            message: format!(
                "ExpressionAttributeValues contains invalid value: {}",
                error.message
            ),
            ..error
        })?;
        Ok(Self {
            names,
            values,
            used: RefCell::default(),
        })
    }

    pub(super) fn name(&self, alias: &str, kind: &str) -> Result<String, ApiError> {
        self.used.borrow_mut().insert(alias.to_owned());
        match self.names.get(alias) {
            Some(Value::String(name)) => Ok(name.clone()),
            _ => Err(ApiError::validation(format!(
                "Invalid {kind}: An expression attribute name used in the document path is not \
                 defined; attribute name: {alias}"
            ))),
        }
    }

    pub(super) fn value(&self, alias: &str, kind: &str) -> Result<Value, ApiError> {
        self.used.borrow_mut().insert(alias.to_owned());
        self.values.get(alias).cloned().ok_or_else(|| {
            ApiError::validation(format!(
                "Invalid {kind}: An expression attribute value used in expression is not \
                 defined; attribute value: {alias}"
            ))
        })
    }

    /// To be called when all expressions are parsed: AWS refuses placeholders
    /// that nothing uses.
    pub(crate) fn check_all_used(&self) -> Result<(), ApiError> {
        let used = self.used.borrow();
        for (section, entries) in [
            ("ExpressionAttributeNames", &self.names),
            ("ExpressionAttributeValues", &self.values),
        ] {
            let unused: Vec<&str> = entries
                .keys()
                .filter(|key| !used.contains(*key))
                .map(String::as_str)
                .collect();
            if !unused.is_empty() {
                return Err(ApiError::validation(format!(
                    "Value provided in {section} unused in expressions: keys: {{{}}}",
                    unused.join(", ")
                )));
            }
        }
        Ok(())
    }
}
