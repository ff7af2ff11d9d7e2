//! The names of a stack's parts, as the template writes them into a parameter.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::SystemError;

/// The names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Resources {
    /// By logical id.
    tables: BTreeMap<String, String>,
    /// By program.
    functions: BTreeMap<String, String>,
    /// URLs of dead-letter queues, by consumer.
    #[serde(default)]
    queues: BTreeMap<String, String>,
    /// By what they are for; an empty name where the stack has none.
    #[serde(default)]
    buckets: BTreeMap<String, String>,
    #[serde(skip)]
    parameter: String,
}

impl Resources {
    pub(super) fn parse(value: &str, parameter: &str) -> Result<Self, SystemError> {
        let parsed = serde_json::from_str::<Self>(value);
        let mut resources = parsed.map_err(|error| SystemError::Unreadable {
            parameter: parameter.to_owned(),
            reason: error.to_string(),
        })?;
        parameter.clone_into(&mut resources.parameter);
        Ok(resources)
    }

    pub(super) fn table(&self, id: &str) -> Result<&str, SystemError> {
        self.named(&self.tables, "table", id)
    }

    pub(super) fn function(&self, program: &str) -> Result<&str, SystemError> {
        self.named(&self.functions, "function", program)
    }

    pub(super) fn queues(&self) -> Result<&BTreeMap<String, String>, SystemError> {
        if self.queues.is_empty() {
            return Err(SystemError::Missing {
                kind: "dead-letter queues",
                name: "of consumers".to_owned(),
                parameter: self.parameter.clone(),
            });
        }
        Ok(&self.queues)
    }

    pub(super) fn archive(&self) -> Result<&str, SystemError> {
        let name = self.named(&self.buckets, "bucket", "archive")?;
        if name.is_empty() {
            return Err(SystemError::NoArchive);
        }
        Ok(name)
    }

    fn named<'a>(
        &self,
        names: &'a BTreeMap<String, String>,
        kind: &'static str,
        name: &str,
    ) -> Result<&'a str, SystemError> {
        let found = names.get(name).map(String::as_str);
        found.ok_or_else(|| SystemError::Missing {
            kind,
            name: name.to_owned(),
            parameter: self.parameter.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_there_is_named_with_what_to_do() {
        let value = r#"{"tables": {"Orders": "shop-Orders"}, "functions": {}, "later": 1}"#;
        let resources = Resources::parse(value, "/p").unwrap();
        assert_eq!(resources.table("Orders").unwrap(), "shop-Orders");
        let message = resources.function("redrive-dlq").unwrap_err().to_string();
        assert!(message.contains("redrive-dlq") && message.contains("deploy"));
        assert!(resources.queues().is_err());
        assert!(Resources::parse("none", "/p").is_err());
    }
}
