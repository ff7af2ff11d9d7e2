//! The file of orders: one POST /orders body per line.

use std::path::Path;

use domain::ids::IdempotencyKey;
use domain::order::{OrderPlaced, OrderRequest};
use serde_json::Value;
use uuid::Uuid;

use crate::error::LocalError;

/// What some editors write before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

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

impl OrderLine {
    /// The order that the API makes of the line; none where it refuses it.
    pub(super) fn accepted(&self) -> Option<OrderPlaced> {
        // By way of the text, as the API reads it: amounts keep their digits.
        let request: OrderRequest = serde_json::from_str(&self.body.to_string()).ok()?;
        let key = IdempotencyKey::parse(self.key.as_str()).ok()?;
        request.accept(&key).ok()
    }
}

/// Reads all lines; blank ones are skipped.
pub(super) fn read(path: &Path) -> Result<Vec<OrderLine>, LocalError> {
    let text = std::fs::read(path).map_err(|error| LocalError::file(path, error))?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
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
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let marked = file("\u{feff}{\"a\":1}\n").unwrap();
        assert_eq!(marked, file("{\"a\":1}\n").unwrap());
    }

    #[test]
    fn only_a_line_that_the_api_accepts_is_an_order() {
        let line = |currency: &str, sku: &str, quantity: &str, price: &str| {
            let line = format!(
                r#"{{"userId":"u","at":1,"currency":"{currency}","items":[{{"sku":"{sku}","quantity":{quantity},"unitPrice":{price}}}]}}"#
            );
            file(&line).unwrap().remove(0).accepted()
        };
        let accepted = line("USD", "tea", "2", "4.50").unwrap();
        assert_eq!(accepted.items[0].quantity, 2);
        assert_eq!(line("usd", "tea", "2", "4.50"), None);
        assert_eq!(line("USD", "", "2", "4.50"), None);
        assert_eq!(line("USD", "tea", "9007199254740991", "4.50"), None);
        assert_eq!(line("USD", "tea", "2", "-1"), None);
        assert_eq!(file("{}").unwrap()[0].accepted(), None);
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
