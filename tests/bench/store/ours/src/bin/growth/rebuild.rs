//! Rebuilds of the projection, over the number of events.

use crate::measure::{Setup, Store, rows_table};
use crate::server::Counted;
use crate::stock_of_events::EVENTS;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_feed::DynamoDbFeed;
use aws_adapters::dynamodb_order_summaries::DynamoDbOrderSummaries;
use aws_adapters::order_tables::{DynamoDbSwitch, Sides};
use aws_adapters::written_tables::WrittenTables;
use event_sourcing::clock::SystemClock;
use flow::Failure;
use jiff::SignedDuration;
use rebuild_orders::handler::Handler;
use rebuild_orders::ports::AwsBoard;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As `rebuild-orders` has it.
const SEGMENTS: u16 = 4;

/// A rebuild's history.
#[derive(Debug)]
pub(crate) struct Rebuild {
    pub(crate) events: u64,
    pub(crate) rows: u64,
    pub(crate) took: Duration,
    pub(crate) counted: Counted,
}

pub(crate) async fn over_events(
    setup: &mut Setup,
    stores: &[Store],
) -> Result<Vec<Rebuild>, Failure> {
    let mut rebuilds = Vec::new();
    for store in stores.iter().filter(|store| store.streams >= 1000) {
        rebuilds.push(rebuilt(setup, store).await?);
    }
    Ok(rebuilds)
}

/// Calls `rebuild-orders` a step at a time until history is folded; what comes then waits for
/// clocks and readers, however large the store is.
async fn rebuilt(setup: &mut Setup, store: &Store) -> Result<Rebuild, Failure> {
    let names = ["Orders", "OrdersGreen"].map(|name| format!("{name}{}", store.streams));
    for name in &names {
        setup.server.table(&rows_table(name))?;
    }
    let [blue, green] = names;
    let (aws, client) = (&setup.connection, &setup.client);
    let rows = |table: &String| Arc::new(DynamoDbOrderSummaries::new(client.clone(), table));
    let handler = Handler {
        feed: DynamoDbFeed::new(
            client.clone(),
            aws.dynamodbstreams(),
            &store.table,
            SEGMENTS,
        ),
        store: Arc::new(DynamoDbEventStore::new(client.clone(), &store.table)),
        rows: Sides {
            blue: rows(&blue),
            green: rows(&green),
        },
        board: AwsBoard {
            switch: DynamoDbSwitch::new(client.clone(), &blue),
            written: WrittenTables::new(aws.ssm(), format!("written-{}", store.streams)),
        },
        clock: SystemClock,
        drop_after: SignedDuration::from_secs(15),
    };
    setup.server.reset()?;
    let started = Instant::now();
    let mut told = started;
    let mut call = json!({"projection": "orders", "seconds": 0});
    loop {
        let answer = handler.handle(call.clone()).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        if answer["phase"] != "emptying" && answer["phase"] != "history" {
            if number("skipped") > 0 || number("events") < (EVENTS * store.streams) as u64 {
                return Err(format!("the rebuild is not complete: {answer}").into());
            }
            return Ok(Rebuild {
                events: number("events"),
                rows: number("rows"),
                took: started.elapsed(),
                counted: setup.server.counted()?,
            });
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            let seconds = started.elapsed().as_secs();
            eprintln!("{} events folded after {seconds} s", answer["events"]);
        }
        call["position"] = answer["position"].clone();
        if call["position"] == Value::Null {
            return Err(format!("the rebuild stands still: {answer}").into());
        }
    }
}
