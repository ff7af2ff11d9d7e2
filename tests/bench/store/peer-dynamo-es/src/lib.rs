//! dynamo-es as its documentation uses it: `CqrsFramework` over one of its stores, with the SDK's
//! defaults.

pub mod order;

use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore};
use cqrs_es::{CqrsFramework, EventStore};
use dynamo_es::{DynamoCqrs, DynamoEventRepository};
use flow::{COMMITS, Client, Facts, Failure, STEPS};
use order::{Order, OrderCommand, OrderEvent};
use std::collections::HashMap;

/// One of the stores.
pub struct DynamoEs {
    cqrs: DynamoCqrs<Order>,
    store: PersistedEventStore<DynamoEventRepository, Order>,
    /// Whether the aggregate is stored, too.
    stores_aggregates: bool,
}

impl DynamoEs {
    /// `events` or `aggregates`.
    ///
    /// # Errors
    /// For another store.
    pub fn new(client: &aws_sdk_dynamodb::Client, store: &str) -> Result<Self, Failure> {
        let (events, snapshots) = match store {
            "events" => ("Events", "Snapshots"),
            // Tables of its own, so that no store reads what another wrote.
            "aggregates" => ("AggregateEvents", "Aggregates"),
            other => return Err(format!("dynamo-es has no store {other}").into()),
        };
        let open = || {
            let repository =
                DynamoEventRepository::new(client.clone()).with_tables(events, snapshots);
            if store == "aggregates" {
                PersistedEventStore::new_aggregate_store(repository)
            } else {
                PersistedEventStore::new_event_store(repository)
            }
        };
        Ok(Self {
            cqrs: CqrsFramework::new(open(), vec![], ()),
            store: open(),
            stores_aggregates: store == "aggregates",
        })
    }
}

impl Client for DynamoEs {
    async fn commit(&self, stream: String) -> Result<(), Failure> {
        for step in STEPS {
            let command = OrderCommand {
                step,
                facts: Facts::of(&stream),
            };
            self.cqrs.execute(&stream, command).await?;
        }
        Ok(())
    }

    async fn append(&self, stream: String) -> Result<(), Failure> {
        for (before, step) in STEPS.into_iter().enumerate() {
            let event = OrderEvent::new(step, Facts::of(&stream));
            let context = EventStoreAggregateContext {
                aggregate_id: stream.clone(),
                aggregate: Order::default(),
                current_sequence: before,
                current_snapshot: self.stores_aggregates.then_some(before),
            };
            self.store
                .commit(vec![event], context, HashMap::new())
                .await?;
        }
        Ok(())
    }

    async fn load(&self, stream: String) -> Result<u64, Failure> {
        let context = self.store.load_aggregate(&stream).await?;
        let done = context.aggregate.step.and_then(|last| {
            let place = STEPS.into_iter().position(|step| step == last)?;
            u64::try_from(place + 1).ok()
        });
        Ok(done.unwrap_or_default().min(COMMITS))
    }
}
