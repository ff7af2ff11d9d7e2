//! What a function answers to a batch when its mapping has `ReportBatchItemFailures`.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>

use serde_json::Value;

/// What the answer says of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchAnswer {
    /// Every record is done: no list, an empty one, `{}`, `null` or nothing at all.
    AllDone,
    /// The records with these identifiers failed.
    Failed(Vec<String>),
    /// The answer cannot be understood: the whole batch failed. Says why.
    Malformed(String),
}

impl BatchAnswer {
    /// Reads the answer of a function.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Self {
        if payload.iter().all(u8::is_ascii_whitespace) {
            return Self::AllDone;
        }
        let document = match serde_json::from_slice::<Value>(payload) {
            Ok(Value::Null) => return Self::AllDone,
            Ok(Value::Object(document)) => document,
            Ok(_) => return Self::Malformed("the answer is not a JSON object".to_owned()),
            Err(error) => return Self::Malformed(format!("the answer is not JSON: {error}")),
        };
        let items = match document.get("batchItemFailures") {
            None | Some(Value::Null) => return Self::AllDone,
            Some(Value::Array(items)) => items,
            Some(_) => return Self::Malformed("batchItemFailures is not a list".to_owned()),
        };
        let identifiers: Option<Vec<String>> = items.iter().map(identifier).collect();
        match identifiers {
            None => Self::Malformed("an itemIdentifier is missing, null or empty".to_owned()),
            Some(identifiers) if identifiers.is_empty() => Self::AllDone,
            Some(identifiers) => Self::Failed(identifiers),
        }
    }
}

fn identifier(item: &Value) -> Option<String> {
    let identifier = item.get("itemIdentifier")?.as_str()?;
    (!identifier.is_empty()).then(|| identifier.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_failures_means_all_done() {
        for answer in [
            "",
            "  \n",
            "null",
            "{}",
            r#"{"batchItemFailures":null}"#,
            r#"{"batchItemFailures":[]}"#,
            r#"{"statusCode":200}"#,
        ] {
            assert_eq!(
                BatchAnswer::parse(answer.as_bytes()),
                BatchAnswer::AllDone,
                "{answer}"
            );
        }
    }

    #[test]
    fn listed_items_failed() {
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"3"}]}"#;
        assert_eq!(
            BatchAnswer::parse(answer),
            BatchAnswer::Failed(vec!["7".to_owned(), "3".to_owned()])
        );
    }

    #[test]
    fn an_answer_that_names_an_item_wrongly_fails_the_whole_batch() {
        for answer in [
            "oops",
            "\"ok\"",
            "[]",
            "3",
            r#"{"batchItemFailures":"7"}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":7}]}"#,
            r#"{"batchItemFailures":[{"identifier":"7"}]}"#,
            r#"{"batchItemFailures":["7"]}"#,
        ] {
            assert!(
                matches!(
                    BatchAnswer::parse(answer.as_bytes()),
                    BatchAnswer::Malformed(_)
                ),
                "{answer}"
            );
        }
    }
}
