//! The contract of an event store, on the embedded DynamoDB, over HTTP, through the real SDK.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_dead_letters::DynamoDbDeadLetters;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::DynamoDbStock;
use aws_endpoint::{Endpoint, Options};
use domain::ids::Sku;
use domain::inventory::buckets::MAX_BUCKETS;
use domain::inventory::{Price, Shortage, ShortageReason, StockMove};
use domain::money::{Amount, Currency};
use domain::order::OrderEvent;
use event_sourcing::chain::{self, Head, Tampered};
use event_sourcing::contract;
use event_sourcing::decider::Event as _;
use event_sourcing::envelope::Envelope;
use event_sourcing::store::{AppendError, AppendWith, EventStore};
use jiff::Timestamp;
use local::http_client::HttpClient;
use local::template::context_to_read;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use sam_template::Stack;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

use crate::system::eventually;

/// The template's own tables on a fresh endpoint, and the store in them.
pub async fn a_store() -> (Endpoint, DynamoDbEventStore, DynamoDbStock) {
    let endpoint = Endpoint::start(Options::default()).await.unwrap();
    let template = include_str!("../../template.yaml");
    let stack = Stack::from_yaml(template, &context_to_read()).unwrap();
    for table in &stack.tables {
        endpoint
            .create_table(&table.create_table_request)
            .await
            .unwrap();
    }
    let dynamodb = Connection::to_endpoint(&endpoint.url(), "local-test")
        .unwrap()
        .dynamodb();
    let store =
        DynamoDbEventStore::new(dynamodb.clone(), "EventStore").with_stock("Stock", MAX_BUCKETS);
    (endpoint, store, DynamoDbStock::new(dynamodb, "Stock"))
}

fn event(id: &str) -> Envelope {
    Envelope::new(id, "SomethingHappened", Timestamp::UNIX_EPOCH, json!({}))
}

pub fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

pub fn price(text: &str) -> Price {
    Price {
        unit_price: Amount::parse(text).unwrap(),
        currency: Currency::USD,
    }
}

pub fn restock(name: &str, quantity: i64, price: Option<Price>) -> StockMove {
    StockMove::Restock {
        sku: sku(name),
        quantity,
        price,
    }
}

pub fn reserve(name: &str, quantity: u32, unit_price: &str) -> StockMove {
    StockMove::Reserve {
        sku: sku(name),
        quantity,
        unit_price: Some(Amount::parse(unit_price).unwrap()),
        currency: Currency::USD,
    }
}

#[tokio::test]
async fn the_store_on_dynamodb_keeps_the_contract() {
    let (endpoint, store, _) = a_store().await;
    contract::check(&store).await;
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_dead_letters_on_dynamodb_keep_the_contract() {
    let (endpoint, _, _) = a_store().await;
    let dynamodb = Connection::to_endpoint(&endpoint.url(), "local-test")
        .unwrap()
        .dynamodb();
    let letters = DynamoDbDeadLetters::new(dynamodb, "DeadLetters");
    event_sourcing::dead_letter::contract::check(&letters).await;
    endpoint.shutdown().await.unwrap();
}

/// One more implementation, which is not ours. It keeps what the contract asks of a store; that
/// its transactions collapse under concurrency concerns stock, not this.
#[tokio::test]
async fn the_store_on_moto_keeps_the_contract() {
    let Some(program) = std::env::var_os("MOTO_SERVER") else {
        eprintln!("skipped: set MOTO_SERVER to the moto_server of `pip install 'moto[server]'`");
        return;
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut server = tokio::process::Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("moto answers", async || {
        assert!(server.try_wait().unwrap().is_none(), "moto runs");
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
    let url = format!("http://127.0.0.1:{port}");
    let create = json!({"TableName": "EventStore", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "streamId", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "streamId", "KeyType": "HASH"},
            {"AttributeName": "version", "KeyType": "RANGE"}]});
    let created = HttpClient::new()
        .aws(&url, "DynamoDB_20120810.CreateTable", &create)
        .await
        .unwrap();
    assert_eq!(created.status, 200, "{}", created.text());
    let dynamodb = Connection::to_endpoint(&url, "moto")
        .unwrap()
        .with_patience(Duration::from_mins(2))
        .dynamodb();
    let store = DynamoDbEventStore::new(dynamodb, "EventStore");
    contract::check_but_length(&store).await;
    // One at a time: moto copies its table for a transaction.
    contract::a_long_stream_is_read_in_order(&store, 10_000, 1).await;
}

/// An operator with write access to the table, or a script gone wrong, changes history.
#[tokio::test]
async fn an_event_that_is_altered_removed_or_inserted_in_the_table_is_named() {
    let (endpoint, store, _) = a_store().await;
    let url = endpoint.url();
    let raw = async |operation: &str, request: Value| {
        let target = format!("DynamoDB_20120810.{operation}");
        let answer = HttpClient::new()
            .aws(&url, &target, &request)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let key = |stream: &str, version: u64| json!({"streamId": {"S": stream}, "version": {"N": version.to_string()}});
    let found = async |stream: &str| {
        let stored = store.read(stream, 1).await.unwrap();
        chain::verify(stream, &stored).map(|head| head.version)
    };
    for stream in ["s", "t", "u", "v"] {
        let events = ["1", "2", "3"].map(event).to_vec();
        store.append(stream, &Head::START, events).await.unwrap();
        assert_eq!(found(stream).await, Ok(3));
    }

    for version in [3, 2] {
        raw(
            "UpdateItem",
            json!({"TableName": "EventStore", "Key": key("s", version),
            "UpdateExpression": "SET #data.#amount = :amount",
            "ExpressionAttributeNames": {"#data": "data", "#amount": "amount"},
            "ExpressionAttributeValues": {":amount": {"N": "1"}}}),
        )
        .await;
        let altered = Tampered::Altered {
            stream: "s".into(),
            version,
            event_id: version.to_string(),
        };
        assert_eq!(found("s").await, Err(altered));
    }
    raw(
        "DeleteItem",
        json!({"TableName": "EventStore", "Key": key("t", 2)}),
    )
    .await;
    let removed = Tampered::Removed {
        stream: "t".into(),
        version: 2,
    };
    assert_eq!(found("t").await, Err(removed));
    let mut item = key("u", 4);
    for (name, text) in [
        ("eventId", "by-hand"),
        ("eventType", "T"),
        ("timestamp", "2025-01-01T00:00:00Z"),
    ] {
        item[name] = json!({"S": text});
    }
    item["data"] = json!({"M": {}});
    raw("PutItem", json!({"TableName": "EventStore", "Item": item})).await;
    let inserted = Tampered::Inserted {
        stream: "u".into(),
        version: 4,
        event_id: "by-hand".into(),
    };
    assert_eq!(found("u").await, Err(inserted));
    assert_eq!(found("v").await, Ok(3));
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn stock_moves_with_its_event_or_not_at_all_and_every_shortage_is_named() {
    let (endpoint, store, stock) = a_store().await;
    for (name, pieces, price) in [("tea", 5, Some(price("2.50"))), ("cup", 5, None)] {
        store
            .append_with(
                &sku(name).stream(),
                &Head::START,
                vec![event(name)],
                &[restock(name, pieces, price)],
            )
            .await
            .unwrap();
    }
    let available = async |name: &str| stock.level(&sku(name)).await.unwrap().unwrap().available;

    // Another price in cents, too many, never heard of: nothing moves, all three are named.
    let short = store
        .append_with(
            "order-1",
            &Head::START,
            vec![event("refused")],
            &[
                reserve("tea", 1, "2.51"),
                reserve("cup", 6, "1"),
                reserve("pot", 1, "1"),
            ],
        )
        .await
        .unwrap_err();
    let AppendError::Refused(short) = short else {
        panic!("refused, not {short:?}");
    };
    let named = |name: &str, reason| Shortage {
        sku: sku(name),
        reason,
    };
    assert_eq!(
        short,
        [
            named("tea", ShortageReason::PriceChanged),
            named("cup", ShortageReason::OutOfStock),
            named("pot", ShortageReason::UnknownSku),
        ]
    );
    assert!(store.read("order-1", 1).await.unwrap().is_empty());
    assert_eq!((available("tea").await, available("cup").await), (5, 5));

    // The price as another text of the same number, the last piece, and a repeat.
    let moves = [reserve("tea", 5, "2.5"), reserve("cup", 1, "9")];
    store
        .append_with("order-1", &Head::START, vec![event("taken")], &moves)
        .await
        .unwrap();
    let repeat = store
        .append_with("order-1", &Head::START, vec![event("taken")], &moves)
        .await
        .unwrap_err();
    let AppendError::Conflict {
        stored: Some(stored),
        ..
    } = repeat
    else {
        panic!("a conflict with the stored event, not {repeat:?}");
    };
    assert_eq!(stored.event_id, "taken");
    assert_eq!((available("tea").await, available("cup").await), (0, 4));
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn buyers_of_one_sku_at_once_never_take_more_than_there_is() {
    let (endpoint, store, stock) = a_store().await;
    store
        .append_with(
            "inventory-tea",
            &Head::START,
            vec![event("stock")],
            &[restock("tea", 7, None)],
        )
        .await
        .unwrap();
    let buyers = (0..20).map(|buyer| {
        let store = store.clone();
        tokio::spawn(async move {
            let stream = format!("order-{buyer}");
            loop {
                let taken = store
                    .append_with(
                        &stream,
                        &Head::START,
                        vec![event(&stream)],
                        &[reserve("tea", 1, "1")],
                    )
                    .await;
                match taken {
                    Ok(_) => return true,
                    Err(AppendError::Refused(_)) => return false,
                    // In conflict with another transaction: again.
                    Err(AppendError::Unavailable(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    let mut taken = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        taken += usize::from(buyer.await.unwrap());
    }
    assert_eq!(taken, 7);
    assert_eq!(
        stock.level(&sku("tea")).await.unwrap().unwrap().available,
        0
    );
    endpoint.shutdown().await.unwrap();
}

/// Prices as people write them: up to ten million, up to six decimal places, zeros wherever.
fn prices() -> impl Strategy<Value = Vec<String>> {
    let price =
        (0_u32..10_000_000, prop::option::of("[0-9]{1,6}")).prop_map(|(whole, fraction)| {
            fraction.map_or_else(
                || whole.to_string(),
                |fraction| format!("{whole}.{fraction}"),
            )
        });
    prop::collection::vec(price, 1..60)
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_keep_every_digit_from_json_through_the_domain_and_the_table_to_json() {
    let (endpoint, store, _) = a_store().await;
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    for case in 0..24 {
        let prices = prices().new_tree(&mut runner).unwrap().current();
        let lines: Vec<_> = prices
            .iter()
            .map(|price| format!(r#"{{"sku": "tea", "quantity": 1, "unitPrice": {price}}}"#))
            .collect();
        let text = format!(
            r#"{{"orderId": "1", "userId": "u", "totalAmount": {}, "items": [{}]}}"#,
            prices[0],
            lines.join(",")
        );
        let json = serde_json::from_str(&text).unwrap();
        let order = OrderEvent::from_data("OrderPlaced", &json)
            .unwrap()
            .unwrap();
        let stored = Envelope::new(
            "e",
            "OrderPlaced",
            Timestamp::UNIX_EPOCH,
            order.to_data().unwrap(),
        );
        let stream = format!("order-{case}");
        store
            .append(&stream, &Head::START, vec![stored])
            .await
            .unwrap();
        let read = store.read(&stream, 1).await.unwrap().remove(0);
        let back = OrderEvent::from_data("OrderPlaced", &read.data)
            .unwrap()
            .unwrap();
        assert_eq!(back, order, "{text}");
        for (line, price) in read.data["items"].as_array().unwrap().iter().zip(&prices) {
            let written = Decimal::from_str_exact(price)
                .unwrap()
                .normalize()
                .to_string();
            assert_eq!(line["unitPrice"].to_string(), written, "{price}");
        }
    }
    endpoint.shutdown().await.unwrap();
}
