//! Stock in a table, moved in the transactions that store the events.
//!
//! A SKU has one item, or, where it is hot, several ([`domain::inventory::buckets`]). Bucket 0 is
//! the item that each SKU has: with it are the layout, and the end of the SKU's own stream. The
//! price is in every bucket.

mod appending;
mod item;
mod splitting;
mod writes;

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::ids::Sku;
use domain::inventory::StockLevel;
use domain::inventory::buckets::{Buckets, KnownStock, MAX_BUCKETS};
use event_sourcing::store::ReadError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use item::sku_of_key;
pub use splitting::SplitError;

/// So often the buckets of a SKU are read again that is being split meanwhile.
const READS: usize = 5;

/// Reads stock levels, and splits a SKU's stock into buckets; moves are made through
/// [`DynamoDbEventStore::with_stock`](crate::dynamodb_event_store::DynamoDbEventStore::with_stock).
#[derive(Debug, Clone)]
pub struct DynamoDbStock {
    client: Client,
    table: String,
}

/// What is stored of a SKU.
#[derive(Debug, Clone, PartialEq)]
struct Stored {
    level: StockLevel,
    buckets: Buckets,
}

/// The stock that a store moves, and what it has learnt of its buckets.
#[derive(Debug)]
pub(crate) struct MovedStock {
    stock: DynamoDbStock,
    known: Mutex<KnownStock>,
}

impl MovedStock {
    pub(crate) fn new(stock: DynamoDbStock, split_up_to: u16) -> Self {
        Self {
            stock,
            known: Mutex::new(KnownStock::new(split_up_to)),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownStock> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DynamoDbStock {
    /// The stock in `table`, by `sku`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// The level of a SKU, read consistently; `None` for one that nobody stocked.
    ///
    /// The buckets of a hot SKU are read one after the other: a reservation and a release that
    /// are made meanwhile are in it or not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        Ok(self.stored(sku).await?.map(|stored| stored.level))
    }

    async fn stored(&self, sku: &Sku) -> Result<Option<Stored>, ReadError> {
        for _ in 0..READS {
            let answer = self
                .client
                .get_item()
                .table_name(&self.table)
                .key("sku", AttributeValue::S(sku.as_str().to_owned()))
                .consistent_read(true)
                .send();
            let answer = Box::pin(answer)
                .await
                .map_err(|error| ReadError::Unavailable(describe(&error).into()))?;
            let Some(whole) = answer.item() else {
                return Ok(None);
            };
            let mut level = item::level(sku, whole)?;
            let layout = item::layout(whole).ok_or_else(|| item::corrupt(sku, "layoutVersion"))?;
            let mut available = vec![level.available];
            let others = self.buckets(sku, level.buckets).await?;
            for bucket in 1..level.buckets {
                let there = others.get(&item::key(sku, bucket));
                available.extend(
                    there
                        .filter(|there| item::layout(there) == Some(layout))
                        .and_then(item::available),
                );
            }
            let buckets = Buckets { layout, available };
            // Else the SKU was split or merged between the two reads.
            if buckets.count() == level.buckets {
                level.available = buckets.total();
                return Ok(Some(Stored { level, buckets }));
            }
        }
        let busy = format!("the stock of {sku} is being split");
        Err(ReadError::Unavailable(busy.into()))
    }

    /// The items of all buckets but the first, by their keys.
    async fn buckets(&self, sku: &Sku, count: u16) -> Result<BTreeMap<String, Item>, ReadError> {
        let unavailable = |reason: String| ReadError::Unavailable(reason.into());
        let mut keys: Vec<_> = (1..count.min(MAX_BUCKETS))
            .map(|bucket| Item::from([("sku".into(), AttributeValue::S(item::key(sku, bucket)))]))
            .collect();
        let mut found = BTreeMap::new();
        for _ in 0..READS {
            if keys.is_empty() {
                return Ok(found);
            }
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|error| unavailable(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send();
            let mut answer = Box::pin(answer)
                .await
                .map_err(|error| unavailable(describe(&error)))?;
            let items = answer
                .responses
                .as_mut()
                .and_then(|tables| tables.remove(&self.table));
            for item in items.into_iter().flatten() {
                if let Some(AttributeValue::S(key)) = item.get("sku") {
                    found.insert(key.clone(), item);
                }
            }
            keys = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.table))
                .map(|left| left.keys)
                .unwrap_or_default();
        }
        Err(unavailable(format!("not all buckets of {sku} were read")))
    }
}
