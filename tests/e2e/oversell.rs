//! One SKU that everybody wants at once.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::DynamoDbStock;
use domain::ids::Sku;
use domain::inventory::StockMove;
use domain::inventory::buckets::MAX_BUCKETS;
use domain::order::PLACE_ORDER;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::envelope::Envelope;
use event_sourcing::ids::event_id;
use event_sourcing::store::{AppendWith as _, EventStore as _};
use jiff::Timestamp;
use serde_json::json;
use tokio::task::LocalSet;
use update_inventory::handler::Handler;

use crate::load::load;
use crate::store_contract::a_store;

/// Workers that reserve at the same time.
const WORKERS: usize = 32;
/// Pieces that there are; twice as many orders want one each.
const PIECES: usize = 1000;

type Inventory = Handler<DynamoDbEventStore, SystemClock>;

/// As place-order stores it.
async fn placed(store: &DynamoDbEventStore, number: usize) -> Envelope {
    let order = format!("{number}");
    let stream = format!("order-{order}");
    let data = json!({"orderId": order, "userId": "u", "totalAmount": 5, "currency": "USD",
        "items": [{"sku": "hot", "quantity": 1, "unitPrice": 5}]});
    let id = event_id(&stream, &order, PLACE_ORDER, 0);
    let event = Envelope::new(&id, "OrderPlaced", Timestamp::now(), data);
    let stored = store.append(&stream, &Head::START, vec![event]).await;
    stored.unwrap().remove(0)
}

/// Handles the events, each worker one at a time, each again until it is done, as the platform
/// does; how often a function had to be called again.
async fn handled(worker: impl Fn() -> Inventory, placed: Vec<Envelope>) -> u64 {
    let placed = Rc::new(placed);
    let (next, again) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let workers = LocalSet::new();
    for _ in 0..WORKERS {
        let (inventory, placed) = (worker(), Rc::clone(&placed));
        let (next, again) = (Rc::clone(&next), Rc::clone(&again));
        workers.spawn_local(async move {
            while let Some(event) = placed.get(next.replace(next.get() + 1)) {
                while inventory.handle(event).await.is_err() {
                    again.set(again.get() + 1);
                }
            }
        });
    }
    workers.await;
    again.get()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_2000_orders_for_1000_pieces_exactly_1000_get_one_with_32_workers_at_once() {
    let (endpoint, store, stock) = a_store().await;
    let restock = StockMove::Restock {
        sku: Sku::parse("hot").unwrap(),
        quantity: i64::try_from(PIECES).unwrap(),
        price: None,
    };
    let event = Envelope::new("r", "InventoryUpdated", Timestamp::now(), json!({}));
    let restocked = store
        .append_with("inventory-hot", &Head::START, vec![event], &[restock][..])
        .await;
    restocked.unwrap();
    let mut orders = Vec::new();
    for number in 0..2 * PIECES {
        orders.push(placed(&store, number).await);
    }
    // Each worker is a process of its own, and knows what it has learnt itself.
    let worker = || {
        let aws = Connection::to_endpoint(&endpoint.url(), "local-inventory").unwrap();
        let store = DynamoDbEventStore::new(aws.dynamodb(), "EventStore");
        Inventory {
            store: store.with_stock("Stock", MAX_BUCKETS),
            clock: SystemClock,
        }
    };
    let again = handled(worker, orders).await;

    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..2 * PIECES {
        let stream = store.read(&format!("order-{number}"), 2).await.unwrap();
        assert_eq!(stream.len(), 1, "order {number} is decided once");
        *outcomes.entry(stream[0].event_type.clone()).or_default() += 1;
    }
    assert_eq!(outcomes["InventoryUpdated"], PIECES, "{outcomes:?}");
    assert_eq!(outcomes["InventoryRejected"], PIECES, "{outcomes:?}");
    let level = available(&stock).await;
    assert_eq!(level, 0);

    let meter = endpoint.meter();
    let sent = meter
        .total(|call| call.caller == "local-inventory" && call.operation == "TransactWriteItems");
    let orders = u64::try_from(2 * PIECES).unwrap();
    println!(
        "{PIECES} reserved, {PIECES} rejected, 0 left; {} transactions: {:.2} attempts per \
         reservation, {:.2} per decision; {again} functions called again",
        sent.requests,
        ratio(sent.requests, orders / 2),
        ratio(sent.requests, orders),
    );
    // Each order takes at least one; backoff keeps them from taking many more.
    assert!(sent.requests >= orders);
    assert!(ratio(sent.requests, orders) < MOST_ATTEMPTS);
    endpoint.shutdown().await.unwrap();
}

/// More attempts per decision are a collapse: a quiet machine needs less than 2, a busy one 3.
const MOST_ATTEMPTS: f64 = 6.0;

async fn available(stock: &DynamoDbStock) -> i64 {
    let level = stock.level(&Sku::parse("hot").unwrap()).await.unwrap();
    level.unwrap().available
}

#[allow(clippy::cast_precision_loss)] // Some thousands.
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// The same through the whole system, smaller. Full size: see the README.
#[test]
fn a_sku_that_everybody_wants_is_sold_to_the_last_piece_and_no_further() {
    let pieces = 60;
    let orders = (0..2 * pieces).fold(String::new(), |mut lines, number| {
        let order = json!({"userId": format!("user-{number}"), "currency": "USD",
            "items": [{"sku": "hot", "quantity": 1, "unitPrice": 5}]});
        writeln!(lines, "{order}").unwrap();
        lines
    });
    let folder = tempfile::tempdir().unwrap();
    let stock = folder.path().join("stock.json");
    std::fs::write(&stock, json!({"hot": pieces}).to_string()).unwrap();
    let arguments = ["--concurrency", "32", "--stock", stock.to_str().unwrap()];
    let (code, report, errors) = load(&orders, &arguments);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["outcomes"]["confirmed"], pieces, "{report}");
    assert_eq!(report["outcomes"]["rejected"], pieces, "{report}");
    for invariant in report["invariants"].as_array().unwrap() {
        assert_eq!(invariant["held"], true, "{invariant}");
    }
    let stock = &report["reservations"];
    assert_eq!(stock["reserved"], pieces, "{report}");
    assert_eq!(stock["rejected"], pieces, "{report}");
    let transactions = stock["transactions"].as_u64().unwrap();
    assert!(transactions >= 2 * pieces, "{report}");
}
