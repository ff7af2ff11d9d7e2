//! Filling the stock through the HTTP API, as a shop would.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::inventory::MAX_RESTOCK;
use domain::money::Currency;
use domain::order::OrderLine;
use serde_json::{Value, json};

use crate::error::LocalError;
use crate::http_client::{HttpClient, path_segment};
use crate::issuer::ask::{self, Wanted};

/// A restock that is throttled is sent again so often.
const THROTTLES: u32 = 100;
/// Wait before it is sent again.
const WAIT: Duration = Duration::from_millis(50);

/// What is needed of one SKU.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Need {
    /// Pieces.
    pub pieces: u64,
    /// The price of a piece and its currency, as JSON; none where orders disagree or say nothing.
    pub price: Option<(Value, Value)>,
    /// Orders disagree about the price.
    disputed: bool,
}

/// What is needed, by SKU.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs(BTreeMap<String, Need>);

impl Needs {
    /// Adds what an order needs.
    pub fn add_order(&mut self, items: &[OrderLine], currency: Currency) {
        for line in items {
            let price = (json!(line.unit_price), json!(currency));
            self.add(line.sku.as_str(), u64::from(line.quantity), Some(price));
        }
    }

    /// Adds pieces of one SKU, at a price where one is given.
    pub fn add(&mut self, sku: &str, pieces: u64, price: Option<(Value, Value)>) {
        let need = self.0.entry(sku.to_owned()).or_default();
        need.pieces = need.pieces.saturating_add(pieces);
        match (&need.price, price) {
            (Some(known), Some(price)) if !same_price(known, &price) => {
                need.price = None;
                need.disputed = true;
            }
            (None, Some(price)) if !need.disputed => need.price = Some(price),
            _ => {}
        }
    }

    /// The SKUs and what is needed of each.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Need)> {
        self.0.iter()
    }

    /// Stocks everything, as an operator of the system with this API and AWS endpoint.
    ///
    /// # Errors
    /// [`LocalError::Http`] for no answer; [`LocalError::Refused`] names the SKU;
    /// [`LocalError::Token`], when the system takes another issuer's tokens.
    pub async fn restock(
        &self,
        client: &HttpClient,
        api: &str,
        aws: &str,
    ) -> Result<(), LocalError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let operator = ask::bearer(client, aws, &Wanted::operator()).await?;
        for (sku, need) in &self.0 {
            let mut left = need.pieces;
            let mut price = need.price.clone();
            loop {
                let pieces = left.min(u64::from(MAX_RESTOCK));
                let mut body = json!({"restock": pieces});
                if let Some((price, currency)) = price.take() {
                    body["unitPrice"] = price;
                    body["currency"] = currency;
                }
                restock(client, (api, &operator), sku, &body).await?;
                left -= pieces;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

async fn restock(
    client: &HttpClient,
    (api, operator): (&str, &str),
    sku: &str,
    body: &Value,
) -> Result<(), LocalError> {
    let url = format!("{api}/inventory/{}", path_segment(sku));
    let headers = [
        ("content-type", "application/json"),
        ("authorization", operator),
    ];
    let mut throttled = 0;
    let answer = loop {
        let answer = client.send("PUT", &url, &headers, body.to_string()).await?;
        match answer.status {
            200 => return Ok(()),
            // Nothing was done.
            429 if throttled < THROTTLES => {
                throttled += 1;
                tokio::time::sleep(WAIT).await;
            }
            _ => break answer,
        }
    };
    Err(LocalError::Refused {
        request: format!("stocking {sku}"),
        answer: format!("{} {}", answer.status, answer.text()),
    })
}

fn same_price(one: &(Value, Value), other: &(Value, Value)) -> bool {
    let amount = |price: &Value| price.to_string().parse::<rust_decimal::Decimal>().ok();
    one.1 == other.1
        && (one.0 == other.0 || amount(&one.0).is_some_and(|a| Some(a) == amount(&other.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::Sku;
    use domain::money::Amount;

    #[test]
    fn pieces_add_up_and_a_disputed_price_is_left_open() {
        let line = |sku: &str, quantity: u32, price: &str| OrderLine {
            sku: Sku::parse(sku).unwrap(),
            quantity,
            unit_price: Amount::parse(price).unwrap(),
        };
        let dollars = Currency::default();
        let mut needs = Needs::default();
        needs.add_order(&[line("tea", 2, "4.5"), line("cup", 1, "1")], dollars);
        needs.add_order(&[line("tea", 3, "4.50")], dollars);
        needs.add_order(&[line("cup", 1, "2"), line("cup", 1, "2")], dollars);
        let all: BTreeMap<_, _> = needs.iter().collect();
        assert_eq!(all[&"tea".to_owned()].pieces, 5);
        assert!(all[&"tea".to_owned()].price.is_some());
        assert_eq!(all[&"cup".to_owned()].pieces, 3);
        assert_eq!(all[&"cup".to_owned()].price, None);
    }
}
