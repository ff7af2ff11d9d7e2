//! Which of the two systems: its template and programs, its stock, and what it stored.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use clap::ValueEnum;
use local::commands::restock::Needs;
use local::http_client::HttpClient;
use local::store_view::Store;
use local::{Programs, Stack, StackOptions};
use serde_json::{Value, json};

use crate::orders::price;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Events are stored first, and the table's stream publishes them.
    Orderflow,
    /// Every handler writes its rows, stores an event and publishes it.
    Naive,
}

impl System {
    /// How it is started.
    pub fn options(self, programs: &Path) -> StackOptions {
        match self {
            Self::Orderflow => {
                let program = programs.join("orderflow-local");
                StackOptions::new("template.yaml", Programs::One(program))
            }
            Self::Naive => {
                let programs = Programs::Folder(programs.to_owned());
                StackOptions::new("tests/bench/naive/template.yaml", programs)
            }
        }
    }

    /// Table of the events.
    pub fn events_table(self) -> &'static str {
        match self {
            Self::Orderflow => "EventStore",
            Self::Naive => "Events",
        }
    }

    /// Puts pieces of each SKU into the stock, at a price in cents.
    pub async fn stock(
        self,
        stack: &Stack,
        wanted: &BTreeMap<String, (u64, u64)>,
    ) -> Result<(), Box<dyn Error>> {
        if self == Self::Orderflow {
            let mut needs = Needs::default();
            for (sku, (pieces, cents)) in wanted {
                needs.add(sku, *pieces, Some((price(*cents), json!("USD"))));
            }
            let aws = stack.endpoint().url();
            needs
                .restock(&HttpClient::new(), &stack.api_url(), &aws)
                .await?;
            return Ok(());
        }
        for (sku, (pieces, _)) in wanted {
            let item = json!({"sku": {"S": sku}, "available": {"N": pieces.to_string()},
                "version": {"N": "1"}});
            let put = json!({"TableName": "Stock", "Item": item});
            stack.endpoint().call("dynamodb", "PutItem", put).await?;
        }
        Ok(())
    }

    /// Pieces that are left in the stock.
    pub async fn left(self, stack: &Stack) -> Result<u64, Box<dyn Error>> {
        let items = Store::Endpoint(stack.endpoint()).scan("Stock").await?;
        Ok(items
            .iter()
            .filter_map(|item| item["available"].as_u64())
            .sum())
    }

    /// When each order was confirmed, by order id: the timestamp of the event that says so, in
    /// milliseconds since 1970, which the handler takes before it stores it.
    pub async fn confirmed(self, stack: &Stack) -> Result<BTreeMap<String, i64>, Box<dyn Error>> {
        let events = Store::Endpoint(stack.endpoint())
            .scan(self.events_table())
            .await?;
        let paid = events
            .iter()
            .filter(|event| event["eventType"] == "PaymentProcessed");
        paid.map(|event| Ok((self.order_of(event), moment(event)?)))
            .collect()
    }

    fn order_of(self, event: &Value) -> String {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        match self {
            Self::Orderflow => text("streamId").trim_start_matches("order-").to_owned(),
            Self::Naive => text("orderId").to_owned(),
        }
    }
}

fn moment(event: &Value) -> Result<i64, Box<dyn Error>> {
    let text = event["timestamp"]
        .as_str()
        .ok_or("an event without a timestamp")?;
    Ok(text.parse::<jiff::Timestamp>()?.as_millisecond())
}
