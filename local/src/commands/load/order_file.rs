//! The file of orders: one POST /orders body per line.

use std::path::Path;

use serde_json::Value;
use uuid::Uuid;

use crate::error::LocalError;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OrderLine {
    /// 1-based.
    pub number: usize,
    /// The body, without `at`.
    pub body: Value,
    /// The `Idempotency-Key`: the same for the same line at the same place.
    pub key: String,
}

/// Reads all lines; blank ones are skipped.
pub(super) fn read(path: &Path) -> Result<Vec<OrderLine>, LocalError> {
    let text = std::fs::read(path).map_err(|error| LocalError::file(path, error))?;
    let refuse = |line, problem| LocalError::Input {
        path: path.to_owned(),
        line,
        problem,
    };
    let mut orders = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = index + 1;
        let order = parse(number, line).map_err(|problem| refuse(Some(number), problem))?;
        orders.push(order);
    }
    if orders.is_empty() {
        let problem = "has no orders; write one POST /orders body per line".to_owned();
        return Err(refuse(None, problem));
    }
    Ok(orders)
}

fn parse(number: usize, line: &[u8]) -> Result<OrderLine, String> {
    let mut body: Value = serde_json::from_slice(line)
        .map_err(|error| format!("is not JSON ({error}); write one POST /orders body per line"))?;
    let Some(fields) = body.as_object_mut() else {
        return Err("is not a JSON object; write one POST /orders body per line".to_owned());
    };
    fields.remove("at");
    let content = Uuid::new_v5(&Uuid::NAMESPACE_OID, line.trim_ascii());
    Ok(OrderLine {
        number,
        key: format!("line-{number}-{}", content.simple()),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Vec<OrderLine>, LocalError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn blank_lines_and_times_are_left_out_and_amounts_keep_their_digits() {
        let orders =
            file("{\"userId\":\"a\",\"at\":1,\"n\":1.50}\r\n\n  \n{\"userId\":\"a\"}").unwrap();
        assert_eq!(orders[0].body["n"].to_string(), "1.50");
        assert_eq!(orders[0].body.get("at"), None);
        assert_eq!(orders[1].number, 4);
    }

    #[test]
    fn a_key_is_the_same_for_the_same_line_and_another_for_another() {
        let twice = || file("{\"a\":1}\n{\"a\":1}\n").unwrap();
        assert_eq!(twice(), twice());
        assert_ne!(twice()[0].key, twice()[1].key);
        assert_ne!(file("{\"a\":2}").unwrap()[0].key, twice()[0].key);
    }

    #[test]
    fn a_malformed_line_is_named() {
        for (text, line) in [
            ("{}\n\n{oops\n", "line 3"),
            ("[1]", "line 1"),
            ("{}\n\"x\"", "line 2"),
        ] {
            let message = file(text).unwrap_err().to_string();
            assert!(message.contains(line), "{message}");
        }
        assert!(file("\n\n").is_err());
    }
}
