//! The read side: rows, the past, the audit trail, pages, stock.

use crate::system::{System, eventually, order};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_read_as_it_is_and_as_it_was() {
    let system = System::start(&[]);
    system.stock("tea", 10, "12.50").await;
    let id = system.place("k", &order("abc123", "tea", 1, "12.50")).await;
    let path = |query: &str| format!("/orders/{id}{query}");

    // Read your writes: the row may not be there yet, the order is.
    let at_once = system.get(&path("?minVersion=1")).await;
    assert_eq!(at_once.status, 200, "{}", at_once.text());
    let row = system.order_at(&id, "confirmed").await;
    let latest = system.get(&path("?minVersion=3")).await;
    assert_eq!(latest.json(), row);
    assert_eq!(latest.header("etag"), "\"3\"");
    let unchanged = system
        .request("GET", &path(""), &[("if-none-match", "\"3\"")], "")
        .await;
    assert_eq!((unchanged.status, unchanged.text().len()), (304, 0));

    for (version, status) in [(1, "placed"), (2, "reserved"), (3, "confirmed")] {
        let then = system
            .get(&path(&format!("?version={version}")))
            .await
            .json();
        assert_eq!(
            (then["version"].clone(), then["status"].clone()),
            (json!(version), json!(status))
        );
        let at = row["timeline"][version - 1]["at"].as_str().unwrap();
        let then = system.get(&path(&format!("?asOf={at}"))).await.json();
        assert!(
            then["version"].as_u64().unwrap() >= version as u64,
            "{then}"
        );
    }
    let placed_at = row["placedAt"].as_str().unwrap();
    let then = system
        .get(&path(&format!("?asOf={placed_at}")))
        .await
        .json();
    assert_eq!(then["timeline"][0], row["timeline"][0]);

    let events = system.get(&path("/events")).await.json();
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["eventType"], "OrderPlaced");
    assert_eq!(events[0]["data"]["totalAmount"].to_string(), "12.5");
    assert_eq!(events[2]["causationId"], events[1]["eventId"]);
    let tail = system.get(&path("/events?from=3")).await.json();
    assert_eq!(tail["events"].as_array().unwrap().len(), 1);

    let diff = system.get(&path("/diff?from=2&to=3")).await.json();
    assert_eq!(
        (diff["from"].clone(), diff["to"].clone()),
        (json!(2), json!(3))
    );
    let paid = &diff["events"][0];
    assert_eq!(paid["causationId"], events[1]["eventId"]);
    let changes = json!([{"field": "status", "from": "reserved", "to": "confirmed"}]);
    assert_eq!(paid["changes"], changes);
    let all = system.get(&path("/diff")).await.json();
    assert_eq!(all["events"].as_array().unwrap().len(), 3);
    let since = system.get(&path(&format!("/diff?from={placed_at}"))).await;
    assert_eq!(since.json()["to"], 3);
    let wrong = system.get(&path("/diff?to=soon")).await;
    assert_eq!(
        (wrong.status, wrong.json()["field"].clone()),
        (400, json!("to"))
    );

    for (query, status, field) in [
        ("?version=0", 400, "version"),
        ("?version=x", 400, "version"),
        ("?version=4", 404, "version"),
        ("?minVersion=4", 404, "minVersion"),
        ("?asOf=yesterday", 400, "asOf"),
        ("?asOf=2001-01-01T00:00:00Z", 404, "id"),
        ("?version=1&minVersion=1", 400, "version"),
    ] {
        let answer = system.get(&path(query)).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert_eq!(answer.json()["field"], field, "{query}");
    }
    for path in [
        "/orders/nobody",
        "/orders/nobody/events",
        "/orders/nobody?version=1",
        "/orders/nobody/diff",
    ] {
        let answer = system.get(path).await;
        assert_eq!(
            (answer.status, answer.json()["field"].clone()),
            (404, json!("id")),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_orders_come_in_pages_the_newest_first() {
    let system = System::start(&[]);
    system.stock("tea", 100, "1").await;
    let mut placed = Vec::new();
    for number in 0..7 {
        let id = system
            .place(&format!("k{number}"), &order("abc123", "tea", 1, "1"))
            .await;
        system.order_at(&id, "confirmed").await;
        placed.insert(0, id);
    }
    system
        .place("other", &order("somebody", "tea", 1, "1"))
        .await;

    let mut read = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = system
            .get(&format!("/users/abc123/orders?limit=3{cursor}"))
            .await
            .json();
        let orders = page["orders"].as_array().unwrap();
        assert!(orders.len() <= 3);
        read.extend(
            orders
                .iter()
                .map(|row| row["orderId"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(read, placed);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=!", "cursor"),
        ("minVersion=3", "minVersion"),
    ] {
        let answer = system.get(&format!("/users/abc123/orders?{query}")).await;
        assert_eq!(
            (answer.status, answer.json()["field"].clone()),
            (400, json!(field)),
            "{query}"
        );
    }
    let nobody = system.get("/users/nobody/orders").await;
    assert_eq!(
        (nobody.status, nobody.json()["orders"].clone()),
        (200, json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_added_counted_priced_and_a_repeated_delivery_is_booked_once() {
    let system = System::start(&[]);
    let put = async |body: serde_json::Value, key: &str| {
        let headers = [("idempotency-key", key)];
        let headers = if key.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let answer = system
            .request("PUT", "/inventory/tea", headers, body.to_string())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(system.get("/inventory/tea").await.status, 404);
    assert_eq!(
        put(json!({"restock": 10}), "delivery-1").await["available"],
        10
    );
    assert_eq!(
        put(json!({"restock": 10}), "delivery-1").await["available"],
        10
    );
    assert_eq!(
        put(json!({"restock": 5, "unitPrice": 2.50}), "").await["available"],
        15
    );
    let counted = put(json!({"available": 12}), "").await;
    assert_eq!(
        counted,
        json!({"sku": "tea", "available": 12, "version": 3, "unitPrice": 2.5, "currency": "USD"})
    );
    assert_eq!(
        put(json!({"available": 12}), "").await["version"],
        3,
        "nothing changed"
    );
    assert_eq!(system.get("/inventory/tea").await.json(), counted);
    let restocks = eventually("the restocks are stored", async || {
        let stored = system.stored().await;
        stored.streams.get("inventory-tea").map(Vec::len)
    });
    assert_eq!(restocks.await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_odd_characters_are_names() {
    let system = System::start(&[]);
    system.stock("żółty/tea 1%", 5, "1").await;
    let id = system
        .place("a key ~", &order("Ümläut & Sons", "żółty/tea 1%", 2, "1"))
        .await;
    system.order_at(&id, "confirmed").await;
    let user = "/users/%C3%9Cml%C3%A4ut%20%26%20Sons/orders";
    let page = system.get(user).await.json();
    assert_eq!(page["orders"][0]["orderId"], json!(id));
    let stock = system
        .get("/inventory/%C5%BC%C3%B3%C5%82ty%2Ftea%201%25")
        .await;
    assert_eq!(stock.json()["available"], 3, "{}", stock.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_its_reader_has_just_written() {
    let system = System::start(&[]);
    system.stock("tea", 100, "1").await;
    let list = async |query: &str| system.get(&format!("/users/abc123/orders?{query}")).await;
    for number in 0..5 {
        let key = format!("k{number}");
        let id = system.place(&key, &order("abc123", "tea", 1, "1")).await;
        let page = list(&format!("minVersion={id}@1")).await.json();
        assert_eq!(page["orders"][0]["orderId"], id.as_str(), "{page}");

        let cancelled = system
            .request("POST", &format!("/orders/{id}/cancel"), &[], "")
            .await
            .json();
        let version = cancelled["version"].as_u64().unwrap();
        let page = list(&format!("limit=1&minVersion={id}@{version}"))
            .await
            .json();
        assert_eq!(page["orders"][0]["status"], "cancelled", "{page}");
    }
    let others = system.place("k", &order("somebody", "tea", 1, "1")).await;
    for (token, status) in [(format!("{others}@1"), 404), ("nobody@1".into(), 404)] {
        let answer = list(&format!("minVersion={token}")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json()["field"], "minVersion");
    }
}
