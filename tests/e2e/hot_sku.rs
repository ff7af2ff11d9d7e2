//! A hot SKU's stock in buckets: it behaves like one number, whoever splits it, and no piece is
//! stranded.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::{DynamoDbStock, SplitError};
use aws_endpoint::Endpoint;
use domain::ids::Sku;
use domain::inventory::buckets::MAX_BUCKETS;
use domain::inventory::{Shortage, ShortageReason, StockLevel, StockMove, StockTable};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::store::{AppendError, AppendWith as _};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::store_contract::{a_store, price, reserve, restock, sku};
use crate::system::{System, eventually, order};

fn hot() -> Sku {
    sku("hot")
}

fn release(name: &str, quantity: u32) -> StockMove {
    StockMove::Release {
        sku: sku(name),
        quantity,
    }
}

/// A shop that counts its streams; each of its processes knows what it has learnt itself.
struct Shop {
    endpoint: Endpoint,
    stock: DynamoDbStock,
    process: DynamoDbEventStore,
    streams: u32,
}

impl Shop {
    async fn open() -> Self {
        let (endpoint, process, stock) = a_store().await;
        Self {
            endpoint,
            stock,
            process,
            streams: 0,
        }
    }

    /// A process that knows of no SKU yet.
    fn process(&self) -> DynamoDbEventStore {
        let aws = Connection::to_endpoint(&self.endpoint.url(), "local-test").unwrap();
        DynamoDbEventStore::new(aws.dynamodb(), "EventStore").with_stock("Stock", MAX_BUCKETS)
    }

    async fn make(&mut self, moves: &[StockMove]) -> Result<(), Vec<Shortage>> {
        let process = self.process.clone();
        self.make_by(&process, moves).await
    }

    async fn make_by(
        &mut self,
        process: &DynamoDbEventStore,
        moves: &[StockMove],
    ) -> Result<(), Vec<Shortage>> {
        self.streams += 1;
        let stream = format!("s-{}", self.streams);
        let event = Envelope::new(&stream, "T", Timestamp::UNIX_EPOCH, json!({}));
        match process
            .append_with(&stream, &Head::START, vec![event], moves)
            .await
        {
            Ok(_) => Ok(()),
            Err(AppendError::Refused(short)) => Err(short),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn level(&self, sku: &Sku) -> StockLevel {
        self.stock.level(sku).await.unwrap().unwrap()
    }

    async fn available(&self) -> i64 {
        self.level(&hot()).await.available
    }
}

fn short(sku: &Sku, reason: ShortageReason) -> Result<(), Vec<Shortage>> {
    let sku = sku.clone();
    Err(vec![Shortage { sku, reason }])
}

#[tokio::test]
async fn a_split_sku_is_sold_to_the_last_piece_of_its_last_bucket_and_is_whole_again() {
    let mut shop = Shop::open().await;
    shop.make(&[restock("hot", 10, Some(price("5")))])
        .await
        .unwrap();
    shop.stock.split(&hot(), 4).await.unwrap();
    let level = shop.level(&hot()).await;
    assert_eq!((level.available, level.buckets), (10, 4));
    // A bucket has three at most; five come from two. Who has not heard of buckets learns of them.
    for process in [shop.process(), shop.process()] {
        shop.make_by(&process, &[reserve("hot", 5, "5")])
            .await
            .unwrap();
    }
    assert_eq!(shop.available().await, 0);
    assert_eq!(
        shop.make(&[reserve("hot", 1, "5")]).await,
        short(&hot(), ShortageReason::OutOfStock)
    );
    let level = shop.level(&hot()).await;
    assert_eq!((level.available, level.buckets), (0, 1));
    shop.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_price_reaches_every_bucket_and_a_piece_given_back_can_be_sold_whatever_became_of_them() {
    let mut shop = Shop::open().await;
    let (early, late) = (shop.process(), shop.process());
    shop.make(&[restock("hot", 64, Some(price("5")))])
        .await
        .unwrap();
    shop.stock.split(&hot(), 16).await.unwrap();
    // It learns of the buckets by the first that has too little.
    shop.make_by(&early, &[reserve("hot", 60, "5")])
        .await
        .unwrap();
    shop.make(&[restock("hot", 60, Some(price("6")))])
        .await
        .unwrap();
    for bucket in 0..4 {
        assert_eq!(
            shop.make_by(&early, &[reserve("hot", 3, "5")]).await,
            short(&hot(), ShortageReason::PriceChanged),
            "{bucket}"
        );
        shop.make_by(&early, &[reserve("hot", 3, "6")])
            .await
            .unwrap();
    }
    shop.stock.split(&hot(), 3).await.unwrap();
    let level = shop.level(&hot()).await;
    assert_eq!((level.available, level.buckets), (52, 3));
    // Its bucket may be none any more.
    for process in [&early, &late] {
        shop.make_by(process, &[release("hot", 6)]).await.unwrap();
    }
    assert_eq!(shop.available().await, 64);
    shop.make_by(&late, &[reserve("hot", 64, "6")])
        .await
        .unwrap();
    assert_eq!(shop.available().await, 0);
    shop.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_order_for_more_writes_than_a_transaction_has_gets_its_pieces() {
    let mut shop = Shop::open().await;
    let others: Vec<_> = (0..98).map(|number| format!("cold-{number}")).collect();
    let mut moves: Vec<_> = others.iter().map(|sku| restock(sku, 1, None)).collect();
    moves.push(restock("hot", 64, None));
    shop.make(&moves).await.unwrap();
    shop.stock.split(&hot(), 64).await.unwrap();
    let mut order: Vec<_> = others.iter().map(|sku| reserve(sku, 1, "1")).collect();
    order.push(reserve("hot", 30, "1"));
    shop.make(&order).await.unwrap();
    assert_eq!(shop.available().await, 34);
    shop.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_nobody_stocked_cannot_be_split() {
    let shop = Shop::open().await;
    let refused = shop.stock.split(&hot(), 4).await;
    assert!(
        matches!(&refused, Err(SplitError::Unknown(sku)) if *sku == hot()),
        "{refused:?}"
    );
    shop.endpoint.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_splits_a_sku_before_a_sale_and_buyers_see_one_number() {
    let system = System::start(&[]);
    let put = async |body: serde_json::Value| {
        system
            .request("PUT", "/inventory/tea", &[], body.to_string())
            .await
    };
    let unknown = put(json!({"buckets": 8})).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(unknown.json()["field"], "sku");
    let split = put(json!({"restock": 40, "unitPrice": 2.5, "buckets": 8})).await;
    let level = json!({"sku": "tea", "available": 40, "version": 1, "unitPrice": 2.5,
        "currency": "USD", "buckets": 8});
    assert_eq!(split.json(), level, "{}", split.text());
    assert_eq!(system.get("/inventory/tea").await.json(), level);

    // Seven of five pieces a bucket; then more than there is; then one that is given back.
    let place = async |key: &str, pieces: u64| {
        let order = order("abc123", "tea", pieces, "2.5");
        system.place(key, &order).await
    };
    let large = place("large", 35).await;
    system.order_at(&large, "confirmed").await;
    let too_large = place("too-large", 6).await;
    system.order_at(&too_large, "rejected").await;
    let cancelled = system
        .request(
            "POST",
            &format!("/orders/{large}/cancel"),
            &[],
            String::new(),
        )
        .await;
    assert_eq!(cancelled.status, 202, "{}", cancelled.text());
    eventually("all pieces are back", async || {
        let level = system.get("/inventory/tea").await.json();
        (level["available"] == 40).then_some(())
    })
    .await;
    let whole = put(json!({"buckets": 1})).await.json();
    assert_eq!(whole["available"], 40, "{whole}");
    assert_eq!(whole["buckets"], serde_json::Value::Null, "{whole}");
    system.invariants_hold(&[large, too_large]).await;
}

/// What happens to a SKU.
#[derive(Debug, Clone)]
enum Step {
    Reserve(u32, bool),
    Release(u32),
    Restock(i64, bool),
    Split(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1_u32..40, prop::bool::weighted(0.9)).prop_map(|(n, right)| Step::Reserve(n, right)),
        2 => (1_u32..20).prop_map(Step::Release),
        2 => (-30_i64..60, any::<bool>()).prop_map(|(n, priced)| Step::Restock(n, priced)),
        2 => (1_u16..=64).prop_map(Step::Split),
    ];
    prop::collection::vec(step, 1..30)
}

/// Three processes, which learn of splits at different times, against stock that is one number.
#[tokio::test(flavor = "multi_thread")]
async fn split_stock_takes_and_refuses_what_whole_stock_does() {
    let mut shop = Shop::open().await;
    let mut runner = TestRunner::deterministic();
    for case in 0..24 {
        let name = format!("sku-{case}");
        let sku = sku(&name);
        let mut whole = StockTable::default();
        let first = [restock(&name, 50, None)];
        shop.make(&first).await.unwrap();
        whole.apply(&first).unwrap();
        let processes = [shop.process(), shop.process(), shop.process()];
        let steps = steps().new_tree(&mut runner).unwrap().current();
        for (number, step) in steps.iter().enumerate() {
            let said = format!("case {case}, step {number} of {steps:?}");
            let one = match step {
                Step::Reserve(pieces, right) => {
                    reserve(&name, *pieces, if *right { "5" } else { "4" })
                }
                Step::Release(pieces) => release(&name, *pieces),
                Step::Restock(pieces, priced) => {
                    restock(&name, *pieces, priced.then(|| price("5")))
                }
                Step::Split(buckets) => {
                    shop.stock.split(&sku, *buckets).await.unwrap();
                    continue;
                }
            };
            let process = processes[number % processes.len()].clone();
            let made = shop.make_by(&process, std::slice::from_ref(&one)).await;
            // Where pieces and price are wrong, either may be named.
            let should = whole.apply(&[one]);
            assert_eq!(made.is_ok(), should.is_ok(), "{said}: {made:?}, {should:?}");
            let (is, should) = (shop.level(&sku).await, whole.level(&sku).unwrap());
            assert_eq!(is.available, should.available, "{said}");
            assert_eq!(is.price, should.price, "{said}");
        }
    }
    shop.endpoint.shutdown().await.unwrap();
}
