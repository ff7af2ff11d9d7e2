//! Who uses the system: customers who order and call off, a warehouse that restocks, and another
//! producer that puts plain events on the bus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::platform::invocation::Outcome;
use crate::scheduler::spawn;
use crate::world::gateway::DECLINED;
use crate::world::{World, lock};

/// How long it takes, at most, until all orders are placed.
const OPEN: Duration = Duration::from_mins(10);
/// How soon after it was accepted an order may be called off.
const REGRET: Duration = Duration::from_mins(20);
/// How long a client waits before it asks again.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a piece may cost.
const PRICES: [f64; 3] = [0.0, 1.5, 19.99];
/// After so many attempts a client gives up.
const ATTEMPTS: usize = 500;
/// Events, at most, with which another producer follows one that can be taken by one that cannot.
const POISONS: usize = 6;
/// Different SKUs.
const SKUS: usize = 4;

/// What the outside knows of the system.
#[derive(Debug, Default)]
pub struct Shop {
    known: Mutex<Known>,
}

/// What was asked and answered.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// Ids of the orders that were accepted, with what is known of each.
    pub accepted: BTreeMap<String, Ordered>,
    /// Pieces by SKU that the warehouse was told are there.
    pub stocked: BTreeMap<String, i64>,
    /// Answers that a client must never get.
    pub wrong: Vec<String>,
}

/// An accepted order.
#[derive(Debug, Default, Clone)]
pub struct Ordered {
    /// Whether its card is good.
    pub can_pay: bool,
    /// Whether anybody asked to call it off.
    pub regretted: bool,
}

/// A request of the HTTP API.
struct Request<'a> {
    program: &'static str,
    route: &'a str,
    path: (&'a str, &'a str),
    key: Option<&'a str>,
    body: Value,
}

impl Shop {
    /// What is known by now.
    #[must_use]
    pub fn known(&self) -> Known {
        lock(&self.known).clone()
    }
}

/// Opens the shop: so many orders are placed, by as many tasks.
pub fn open(world: &Arc<World>, shop: &Arc<Shop>, orders: usize) {
    for sku in 0..SKUS {
        let (world, shop) = (Arc::clone(world), Arc::clone(shop));
        let most = orders * 2 / SKUS + 2;
        spawn(async move { stock(&world, &shop, sku, most).await });
    }
    for number in 0..orders {
        let (world, shop) = (Arc::clone(world), Arc::clone(shop));
        spawn(async move { buy(&world, &shop, number).await });
    }
    for number in 0..orders / 20 {
        let world = Arc::clone(world);
        spawn(async move { tell(&world, number).await });
    }
}

/// Brings pieces of a SKU, in some deliveries.
async fn stock(world: &Arc<World>, shop: &Shop, sku: usize, most: usize) {
    let sku = format!("sku-{sku}");
    for delivery in 0..world.draw(|rng| rng.usize(1..4)) {
        let pieces = world.draw(|rng| rng.usize(1..=most));
        let key = format!("delivery-{sku}-{delivery}");
        let request = Request {
            program: "restock-inventory",
            route: "PUT /inventory/{sku}",
            path: ("sku", &sku),
            key: Some(&key),
            body: json!({"restock": pieces}),
        };
        let answer = insist(world, &request).await;
        if answer["statusCode"] != 200 {
            let wrong = format!("a delivery of {sku} was answered {answer}");
            lock(&shop.known).wrong.push(wrong);
        }
        *lock(&shop.known).stocked.entry(sku.clone()).or_default() +=
            i64::try_from(pieces).unwrap_or(i64::MAX);
        if world.hits(Fault::RepeatedPost) {
            insist(world, &request).await;
        }
        world.pause(OPEN).await;
    }
}

/// One customer's order, from the first request to a change of mind.
async fn buy(world: &Arc<World>, shop: &Shop, number: usize) {
    world.pause(OPEN).await;
    let key = format!("key-{number}");
    let can_pay = world.draw(|rng| rng.f64() < 0.85);
    let body = order(world, number, can_pay);
    let request = Request {
        program: "place-order",
        route: "POST /orders",
        path: ("", ""),
        key: Some(&key),
        body,
    };
    let answer = insist(world, &request).await;
    let Some(id) = order_id(&answer) else {
        let wrong = format!("order {number} was answered {answer}");
        lock(&shop.known).wrong.push(wrong);
        return;
    };
    let ordered = Ordered {
        can_pay,
        regretted: false,
    };
    lock(&shop.known).accepted.insert(id.clone(), ordered);
    if world.hits(Fault::RepeatedPost) {
        repeat(world, shop, &request, &id).await;
    }
    if world.hits(Fault::Cancellation) {
        regret(world, shop, &id).await;
    }
}

fn order(world: &World, number: usize, can_pay: bool) -> Value {
    let line = |rng: &mut Rng| {
        let price = PRICES[rng.usize(..PRICES.len())];
        let sku = format!("sku-{}", rng.usize(..SKUS));
        json!({"sku": sku, "quantity": rng.u32(1..=3), "unitPrice": price})
    };
    let lines: Vec<_> = world.draw(|rng| (0..rng.usize(1..=3)).map(|_| line(rng)).collect());
    let token = if can_pay { "tok_visa" } else { DECLINED };
    let user = format!("user-{}", number % 7);
    let mut order = json!({"userId": user, "currency": "USD", "items": lines,
        "payment": {"token": token}});
    if number.is_multiple_of(2) {
        order["contact"] = json!({"email": format!("{user}@example.com")});
    }
    order
}

fn order_id(answer: &Value) -> Option<String> {
    let body: Value = serde_json::from_str(answer["body"].as_str()?).ok()?;
    (answer["statusCode"] == 202).then_some(body["orderId"].as_str()?.to_owned())
}

/// The same request again is answered as the first one was; another one under the same key is
/// refused.
async fn repeat(world: &Arc<World>, shop: &Shop, request: &Request<'_>, id: &str) {
    world.pause(REGRET).await;
    let answer = insist(world, request).await;
    if order_id(&answer).as_deref() != Some(id) {
        let wrong = format!("the repeated order {id} was answered {answer}");
        lock(&shop.known).wrong.push(wrong);
    }
    let mut other = request.body.clone();
    other["items"] = json!([{"sku": "sku-0", "quantity": 99, "unitPrice": 7}]);
    let other = Request {
        body: other,
        ..*request
    };
    let answer = insist(world, &other).await;
    if answer["statusCode"] != 422 {
        let wrong = format!("another order under the key of {id} was answered {answer}");
        lock(&shop.known).wrong.push(wrong);
    }
}

/// Calls an order off, once or twice.
async fn regret(world: &Arc<World>, shop: &Shop, id: &str) {
    world.pause(REGRET).await;
    if let Some(ordered) = lock(&shop.known).accepted.get_mut(id) {
        ordered.regretted = true;
    }
    let request = Request {
        program: "cancel-order",
        route: "POST /orders/{id}/cancel",
        path: ("id", id),
        key: None,
        body: Value::Null,
    };
    for _ in 0..world.draw(|rng| rng.u32(1..=2)) {
        let answer = insist(world, &request).await;
        if answer["statusCode"] != 202 && answer["statusCode"] != 409 {
            let wrong = format!("calling off {id} was answered {answer}");
            lock(&shop.known).wrong.push(wrong);
        }
    }
}

/// Sends a request until it is answered for good.
async fn insist(world: &Arc<World>, request: &Request<'_>) -> Value {
    for _ in 0..ATTEMPTS {
        let id = world.platform.next_request();
        let payload = request.payload(&id);
        if let Outcome::Answered(answer) = world.invoke(request.program, payload, &id).await
            && answer["statusCode"] != 503
        {
            return answer;
        }
        world.pause(PATIENCE).await;
    }
    json!({"statusCode": 503})
}

impl Request<'_> {
    fn payload(&self, id: &str) -> Value {
        let (name, value) = self.path;
        let mut headers = json!({"content-type": "application/json"});
        if let Some(key) = self.key {
            headers["idempotency-key"] = json!(key);
        }
        let body = match &self.body {
            Value::Null => Value::Null,
            body => json!(body.to_string()),
        };
        json!({
            "version": "2.0",
            "routeKey": self.route,
            "rawPath": "/",
            "rawQueryString": "",
            "headers": headers,
            "pathParameters": {name: value},
            "requestContext": {
                "requestId": id,
                "routeKey": self.route,
                "stage": "$default",
                // The shop's own server, for its customers and its warehouse.
                "authorizer": {"jwt": {"claims": {"sub": "shop",
                    "scope": "orders:operate inventory:write"}, "scopes": null}},
                "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1", "userAgent": "shop"},
            },
            "body": body,
            "isBase64Encoded": false,
        })
    }
}

/// Another producer tells of an order in the plain form; whatever the bus does with it, the
/// events come in any order.
async fn tell(world: &Arc<World>, number: usize) {
    world.pause(OPEN).await;
    let data = json!({"orderId": format!("legacy-{number}"), "userId": "legacy",
        "totalAmount": 150.75});
    for _ in 0..world.draw(|rng| rng.u32(1..=2)) {
        world.accept(
            "legacy",
            "OrderPlaced",
            "",
            json!({"eventId": format!("legacy-{number}"), "eventType": "OrderPlaced",
                "timestamp": "2025-01-01T12:00:00Z", "data": data}),
        );
        world.pause(PATIENCE).await;
    }
    for attempt in 0..POISONS {
        if world.hits(Fault::Poison) {
            poison(world, &format!("poison-{number}-{attempt}"));
        }
    }
}

/// Another producer tells of an order, and does not say which.
fn poison(world: &Arc<World>, id: &str) {
    lock(&world.poison).insert(id.to_owned());
    let event = json!({"eventId": id, "eventType": "OrderPlaced",
        "timestamp": "2025-01-01T12:00:00Z", "data": {"userId": "legacy"}});
    world.accept("legacy", "OrderPlaced", "", event);
}
