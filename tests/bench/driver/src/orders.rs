//! What is placed: happy orders of two SKUs.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

/// Pieces of the two SKUs of an order.
const PIECES: [u64; 2] = [1, 2];
/// What a piece of each costs, in cents.
const CENTS: [u64; 2] = [225, 300];

/// The orders of a run.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// SKUs that all orders share, or two of its own for each.
    pub skus: Option<usize>,
    /// How many orders there are.
    pub all: usize,
}

impl Orders {
    /// What is needed of each SKU, and what a piece of it costs, in cents.
    pub fn stock(&self) -> BTreeMap<String, (u64, u64)> {
        let mut stock = BTreeMap::new();
        for order in 0..self.all {
            for (line, pieces) in PIECES.iter().enumerate() {
                let (sku, cents) = self.line(order, line);
                stock.entry(sku).or_insert((0, cents)).0 += pieces;
            }
        }
        stock
    }

    /// Idempotency keys and bodies of some orders.
    pub fn bodies(&self, which: Range<usize>) -> Vec<(String, Value)> {
        which.map(|order| self.body(order)).collect()
    }

    fn body(&self, order: usize) -> (String, Value) {
        let items: Vec<Value> = PIECES
            .iter()
            .enumerate()
            .map(|(line, pieces)| {
                let (sku, cents) = self.line(order, line);
                json!({"sku": sku, "quantity": pieces, "unitPrice": price(cents)})
            })
            .collect();
        let body = json!({"userId": format!("u{order}"), "currency": "USD", "items": items});
        (format!("order-{order}"), body)
    }

    /// SKU of an order's line, and what a piece costs. Of shared SKUs an order has two neighbours.
    fn line(&self, order: usize, line: usize) -> (String, u64) {
        let number = order * PIECES.len() + line;
        let number = self.skus.map_or(number, |skus| number % skus);
        (format!("s{number}"), CENTS[number % CENTS.len()])
    }
}

/// Cents as an amount.
pub fn price(cents: u64) -> Value {
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    serde_json::from_str(&amount).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stocked_is_what_is_ordered() {
        let own = Orders { skus: None, all: 3 };
        assert_eq!(own.stock().len(), 6);
        assert_eq!(own.stock()["s5"], (2, 300));
        let shared = Orders {
            skus: Some(2),
            all: 3,
        };
        let expected = [("s0".to_owned(), (3, 225)), ("s1".to_owned(), (6, 300))];
        assert_eq!(shared.stock(), BTreeMap::from(expected));
    }
}
