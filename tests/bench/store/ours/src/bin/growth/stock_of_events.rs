//! Filling a store with many events at once.

use aws_adapters::dynamodb_item::{self, Item};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use event_sourcing::chain::{self, Head};
use event_sourcing::envelope::Envelope;
use flow::{Facts, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::task::JoinSet;

/// Most items of one `BatchWriteItem`.
const BATCH: usize = 25;
/// Batches that are on their way at the same time.
const AT_ONCE: usize = 4;
/// Events of an order.
pub(crate) const EVENTS: usize = 10;

/// Sends items in batches.
pub(crate) struct Filling {
    client: Client,
    table: String,
    batch: Vec<WriteRequest>,
    sent: JoinSet<Result<(), Failure>>,
}

impl Filling {
    pub(crate) fn of(client: &Client, table: &str) -> Self {
        Self {
            client: client.clone(),
            table: table.to_owned(),
            batch: Vec::with_capacity(BATCH),
            sent: JoinSet::new(),
        }
    }

    /// Adds recorded events, whoever numbered them.
    pub(crate) async fn add(&mut self, events: &[Envelope]) -> Result<(), Failure> {
        for event in events {
            let item: Item = dynamodb_item::from_envelope(event)?;
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            self.batch
                .push(WriteRequest::builder().put_request(put).build());
            if self.batch.len() == BATCH {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        if batch.is_empty() {
            return Ok(());
        }
        let (client, table) = (self.client.clone(), self.table.clone());
        self.sent.spawn(async move {
            let mut left = Some(HashMap::from([(table, batch)]));
            while let Some(items) = left.filter(|items| !items.is_empty()) {
                let request = client.batch_write_item().set_request_items(Some(items));
                left = request.send().await?.unprocessed_items;
            }
            Ok(())
        });
        while self.sent.len() >= AT_ONCE {
            self.one_answered().await?;
        }
        Ok(())
    }

    async fn one_answered(&mut self) -> Result<(), Failure> {
        if let Some(answered) = self.sent.join_next().await {
            answered??;
        }
        Ok(())
    }

    /// Waits until everything is stored.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        self.send().await?;
        while !self.sent.is_empty() {
            self.one_answered().await?;
        }
        Ok(())
    }
}

/// The events of an order: placed, reserved, paid, called off, its stock released, its payment
/// refunded, and then stock that is released again, by nothing.
pub(crate) fn order(stream: &str, id: &str) -> Vec<Envelope> {
    let facts = |more: Value| {
        let mut data = json!({
            "orderId": id, "userId": format!("user-{}", id.chars().take(5).collect::<String>()), "totalAmount": 34.99,
            "currency": "USD",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            data[name.as_str()] = value.clone();
        }
        data
    };
    let lines = json!([
        {"sku": "tea-100", "quantity": 2, "unitPrice": 12.5},
        {"sku": "cup-7", "quantity": 1, "unitPrice": 9.99},
    ]);
    let changes = json!([{"sku": "tea-100", "quantity": -2}, {"sku": "cup-7", "quantity": -1}]);
    let payment = format!("pay-{id}");
    let nothing = || facts(json!({"reason": "released", "changes": []}));
    let mut events = vec![
        ("OrderPlaced", facts(json!({"items": lines}))),
        (
            "InventoryUpdated",
            facts(json!({"reason": "reserved", "changes": changes})),
        ),
        ("PaymentProcessed", facts(json!({"paymentId": payment}))),
        ("OrderCancelled", facts(json!({"reason": "requested"}))),
        ("InventoryUpdated", nothing()),
        ("PaymentRefunded", facts(json!({"paymentId": payment}))),
    ];
    events.resize_with(EVENTS, || ("InventoryUpdated", nothing()));
    recorded(stream, &Head::START, events)
}

/// So many events of a long stream, after `head`.
pub(crate) fn notes(stream: &str, head: &Head, events: usize) -> Result<Vec<Envelope>, Failure> {
    let data = serde_json::to_value(Facts::of(stream))?;
    let events = std::iter::repeat_n(("OrderNoted", data), events);
    Ok(recorded(stream, head, events))
}

fn recorded<'t>(
    stream: &str,
    head: &Head,
    events: impl IntoIterator<Item = (&'t str, Value)>,
) -> Vec<Envelope> {
    let now = Timestamp::now();
    let events = events
        .into_iter()
        .zip(head.version + 1..)
        .map(|((event_type, data), version)| {
            let id = event_sourcing::ids::event_id(stream, "bench", "growth", 0);
            let mut event = Envelope::new(&format!("{id}-{version}"), event_type, now, data);
            event.correlation_id = Some(stream.to_owned());
            event
        })
        .collect();
    chain::record(stream, head, events)
}
