//! Who may do what, over the real system: every route with every kind of caller; and that nothing
//! tells a customer of somebody else's order.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::routing::get;
use jiff::Timestamp;
use local::http_client::Answer;
use local::issuer::SigningKey;
use local::issuer::ask::Wanted;
use serde_json::{Value, json};

use crate::repository::stack;
use crate::system::{System, order, run, workspace};

const USER: &str = "abc123";
const CUSTOMER: &str = "openid orders:read orders:write";
const OPERATOR: &str = "orders:operate inventory:write telemetry:write";

/// Everybody who calls; the columns of the table.
const CALLERS: [&str; 14] = [
    "owner",
    "operator",
    "other",
    "reader",
    "writer",
    "no scope",
    "anonymous",
    "expired",
    "not yet",
    "other audience",
    "other issuer",
    "forged",
    "alg none",
    "other key",
];

/// The status of each request by each caller. `{id}` is an order of the owner.
#[rustfmt::skip]
const STATUS: [(&str, [u16; 14]); 18] = [
    //                           owner op.  oth. rea. wri. none anon exp. early aud. iss. forg. alg  key
    ("POST /orders",             [202, 202, 403, 403, 202, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /orders/{id}",         [200, 200, 404, 200, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /orders/{id}/events",  [200, 200, 404, 200, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /orders/{id}/diff",    [200, 200, 404, 200, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /users/abc123/orders", [200, 200, 403, 200, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("DELETE /users/abc123/data",[200, 200, 403, 403, 200, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /inventory/tea",       [200, 200, 200, 200, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("PUT /inventory/tea",       [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    // Stripe signs; a token is not looked at.
    ("POST /payments/webhook",   [400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400]),
    ("POST /orders/{id}/cancel", [202, 202, 404, 403, 202, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("POST /telemetry",          [403, 202, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /insights",            [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /insights/top-skus",   [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /devices/fridge",      [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /alarm-rules",         [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("PUT /alarm-rules/warm",    [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("DELETE /alarm-rules/warm", [403, 200, 403, 403, 403, 403, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /nowhere",             [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
];

const READINGS: &str = r#"{"readings": [{"deviceId": "fridge", "sensor": "temperature",
    "value": 4.5, "unit": "Cel", "at": "2025-01-01T12:00:00Z"}]}"#;
const RULE: &str = r#"{"metric": {"kind": "device", "deviceId": "fridge", "sensor": "temperature",
    "figure": "max"}, "condition": {"kind": "above", "threshold": 8, "clear": 6}}"#;

/// An issuer that is none of ours: it serves its documents as every `OpenID` provider does.
struct Issuer {
    url: String,
    key: SigningKey,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pool", listener.local_addr().unwrap());
        let key = SigningKey::generate().unwrap();
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let keys = json!({"keys": [key.public()]});
        let document = |document: Value| get(|| async move { document.to_string() });
        let documents = Router::new()
            .route(
                "/pool/.well-known/openid-configuration",
                document(discovery),
            )
            .route("/pool/keys", document(keys));
        tokio::spawn(async move { axum::serve(listener, documents).await });
        Self { url, key }
    }

    fn claims(&self, subject: &str, scope: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({"iss": self.url, "aud": ["shop"], "sub": subject, "scope": scope,
            "iat": now - 10, "exp": now + 600})
    }

    fn token(&self, subject: &str, scope: &str) -> String {
        self.key.signed(&self.claims(subject, scope)).unwrap()
    }

    /// A token of each caller; none for who has none.
    fn tokens(&self) -> BTreeMap<&'static str, Option<String>> {
        let now = Timestamp::now().as_second();
        let changed = |name: &str, value: Value| {
            let mut claims = self.claims(USER, CUSTOMER);
            claims[name] = value;
            self.key.signed(&claims).unwrap()
        };
        let owner = self.claims(USER, CUSTOMER);
        let under = |key: &SigningKey, header: Value| key.signed_under(&header, &owner).unwrap();
        let stranger = SigningKey::generate().unwrap();
        let kid = self.key.id();
        let none = under(&stranger, json!({"alg": "none", "kid": kid}));
        let none = format!("{}.", none.rsplit_once('.').unwrap().0);
        let tokens = [
            ("owner", self.token(USER, CUSTOMER)),
            ("operator", self.token("ada", OPERATOR)),
            ("other", self.token("other", CUSTOMER)),
            ("reader", self.token(USER, "orders:read")),
            ("writer", self.token(USER, "orders:write")),
            ("no scope", self.token(USER, "openid profile")),
            ("expired", changed("exp", json!(now - 1))),
            ("not yet", changed("nbf", json!(now + 600))),
            ("other audience", changed("aud", json!(["other-shop"]))),
            (
                "other issuer",
                changed("iss", json!("https://issuer.example.com")),
            ),
            (
                "forged",
                under(&stranger, json!({"alg": "RS256", "kid": kid})),
            ),
            ("alg none", none),
            ("other key", stranger.signed(&owner).unwrap()),
        ];
        let mut tokens: BTreeMap<_, _> = tokens.map(|(name, token)| (name, Some(token))).into();
        tokens.insert("anonymous", None);
        tokens
    }
}

/// A system that takes the tokens of this issuer.
fn system_of(issuer: &Issuer) -> System {
    let trusted = format!("JwtIssuer={}", issuer.url);
    System::start(&[
        "--parameter",
        &trusted,
        "--parameter",
        "JwtAudience=app,shop",
    ])
}

async fn send(
    system: &System,
    token: Option<&str>,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = headers.to_vec();
    headers.extend(
        bearer
            .as_ref()
            .map(|bearer| ("authorization", bearer.as_str())),
    );
    system.anonymous(method, path, &headers, body).await
}

/// Stocks tea and places an order of the user; its id.
async fn an_order(system: &System, issuer: &Issuer, key: &str) -> String {
    let operator = issuer.token("ada", OPERATOR);
    let stock = json!({"restock": 100, "unitPrice": 1}).to_string();
    let put = ("PUT", "/inventory/tea");
    let stocked = send(system, Some(&operator), put, &[], stock).await;
    assert_eq!(stocked.status, 200, "{}", stocked.text());
    let owner = issuer.token(USER, CUSTOMER);
    let body = order(USER, "tea", 1, "1").to_string();
    let headers = [("idempotency-key", key)];
    let placed = send(system, Some(&owner), ("POST", "/orders"), &headers, body).await;
    assert_eq!(placed.status, 202, "{}", placed.text());
    placed.json()["orderId"].as_str().unwrap().to_owned()
}

#[test]
fn the_table_has_every_route_of_the_template() {
    let with_any = |path: &str| {
        let parts = path.split('/').map(|part| match part {
            "tea" | "fridge" | "warm" | USER => "*",
            part if part.starts_with('{') => "*",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let told = STATUS.iter().map(|(request, _)| with_any(request));
    let told: BTreeSet<_> = told.filter(|request| request != "GET /nowhere").collect();
    let stack = stack(&[]);
    let routes = stack.routes.iter().map(|route| with_any(&route.key()));
    assert_eq!(told, routes.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_caller_as_the_table_says() {
    let issuer = Issuer::start().await;
    let system = system_of(&issuer);
    let id = an_order(&system, &issuer, "first").await;
    let tokens = issuer.tokens();
    let mut wrong = Vec::new();
    for (request, expected) in STATUS {
        let path = request.replace("{id}", &id);
        let (method, path) = path.split_once(' ').unwrap();
        // Whoever may not comes first: what they do must change nothing for who may.
        for (caller, expected) in CALLERS.into_iter().zip(expected).rev() {
            let body = match request {
                "POST /orders" => order(USER, "tea", 1, "1").to_string(),
                "PUT /inventory/tea" => r#"{"restock": 1}"#.to_owned(),
                "POST /telemetry" => READINGS.to_owned(),
                "PUT /alarm-rules/warm" => RULE.to_owned(),
                _ => String::new(),
            };
            let headers = [("idempotency-key", caller)];
            let token = tokens[caller].as_deref();
            let answer = send(&system, token, (method, path), &headers, body).await;
            if answer.status != expected {
                let told = (answer.status, answer.text());
                wrong.push(format!(
                    "{request} by {caller}: {told:?} instead of {expected}"
                ));
            }
            let challenged = !answer.header("www-authenticate").is_empty();
            assert_eq!(
                challenged,
                expected == 401 || is_of_gateway(&answer),
                "{request} {caller}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stored = system.stored().await;
    let placed = stored
        .streams
        .keys()
        .filter(|stream| stream.starts_with("order-"));
    // The first one, and those of owner, operator and writer.
    assert_eq!(placed.count(), 4);
}

/// Whether the gateway refused for want of a scope, before the function was asked.
fn is_of_gateway(answer: &Answer) -> bool {
    answer.status == 403 && answer.json() == json!({"message": "Forbidden"})
}

/// Requests about an order, `{id}`: method, path, a header.
const ABOUT_AN_ORDER: [(&str, &str, (&str, &str)); 20] = [
    ("GET", "/orders/{id}", ("accept", "*/*")),
    ("GET", "/orders/{id}", ("if-none-match", "\"3\"")),
    ("GET", "/orders/{id}?minVersion=1", ("accept", "*/*")),
    ("GET", "/orders/{id}?minVersion=99", ("accept", "*/*")),
    ("GET", "/orders/{id}?version=1", ("accept", "*/*")),
    ("GET", "/orders/{id}?version=99", ("accept", "*/*")),
    (
        "GET",
        "/orders/{id}?asOf=2000-01-01T00:00:00Z",
        ("accept", "*/*"),
    ),
    (
        "GET",
        "/orders/{id}?asOf=2999-01-01T00:00:00Z",
        ("accept", "*/*"),
    ),
    ("GET", "/orders/{id}/events", ("accept", "*/*")),
    ("GET", "/orders/{id}/events?from=2", ("accept", "*/*")),
    ("GET", "/orders/{id}/events?from=99", ("accept", "*/*")),
    ("GET", "/orders/{id}/diff", ("accept", "*/*")),
    ("GET", "/orders/{id}/diff?from=1&to=99", ("accept", "*/*")),
    (
        "GET",
        "/users/other/orders?minVersion={id}@1",
        ("accept", "*/*"),
    ),
    (
        "GET",
        "/users/other/orders?minVersion={id}@99",
        ("accept", "*/*"),
    ),
    ("POST", "/orders/{id}/cancel", ("accept", "*/*")),
    ("POST", "/orders/{id}/cancel", ("if-match", "\"1\"")),
    ("POST", "/orders/{id}/cancel", ("if-match", "\"3\"")),
    ("POST", "/orders/{id}/cancel", ("if-match", "*")),
    ("POST", "/orders/{id}/cancel?version=3", ("accept", "*/*")),
];

/// All that a client gets, without what differs from request to request, and the id.
fn seen(answer: &Answer, id: &str) -> (u16, BTreeMap<String, String>, String) {
    let telling = |name: &str| !matches!(name, "date" | "apigw-requestid");
    let text = |value: &str| value.replace(id, "{id}");
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| telling(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), text(value.to_str().unwrap())));
    // The ids have the same length, so the content has, too.
    (answer.status, headers.collect(), text(&answer.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_order_is_answered_exactly_as_one_that_nobody_placed() {
    let issuer = Issuer::start().await;
    let system = system_of(&issuer);
    let theirs = an_order(&system, &issuer, "first").await;
    let owner = issuer.token(USER, CUSTOMER);
    let path = format!("/orders/{theirs}");
    crate::system::eventually("the order is confirmed", async || {
        let row = send(&system, Some(&owner), ("GET", &path), &[], String::new()).await;
        (row.json()["status"] == "confirmed").then_some(())
    })
    .await;
    let nobodys: String = theirs.chars().rev().collect();
    let other = issuer.token("other", CUSTOMER);
    for (method, path, header) in ABOUT_AN_ORDER {
        let ask = async |id: &str| {
            let path = path.replace("{id}", id);
            let request = (method, path.as_str());
            let answer = send(&system, Some(&other), request, &[header], String::new()).await;
            seen(&answer, id)
        };
        let (about_theirs, about_nobodys) = (ask(&theirs).await, ask(&nobodys).await);
        assert_eq!(about_theirs, about_nobodys, "{method} {path} {header:?}");
        assert_eq!(about_theirs.0, 404, "{method} {path} {header:?}");
    }
    // A key that the owner used, and one that nobody did.
    let mut answers = Vec::new();
    for key in ["first", "another"] {
        let body = order(USER, "tea", 1, "1").to_string();
        let headers = [("idempotency-key", key)];
        let answer = send(&system, Some(&other), ("POST", "/orders"), &headers, body).await;
        assert_eq!(answer.json()["field"], "userId");
        answers.push(seen(&answer, &theirs));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 403);
    // Nothing came of any of it.
    let row = send(&system, Some(&owner), ("GET", &path), &[], String::new()).await;
    assert_eq!(row.json()["status"], "confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_says_who_wanted_it() {
    let issuer = Issuer::start().await;
    let system = system_of(&issuer);
    let id = an_order(&system, &issuer, "first").await;
    let operator = issuer.token("ada", OPERATOR);
    let cancel = format!("/orders/{id}/cancel");
    let cancelled = send(
        &system,
        Some(&operator),
        ("POST", &cancel),
        &[],
        String::new(),
    )
    .await;
    assert_eq!(cancelled.status, 202, "{}", cancelled.text());
    let stored = system.stored().await;
    let actor = |stream: &str, kind: &str| {
        let mut events = stored.streams[stream].iter();
        let event = events.find(|event| event.event_type == kind).unwrap();
        event.actor.clone()
    };
    let stream = format!("order-{id}");
    assert_eq!(actor(&stream, "OrderPlaced").as_deref(), Some(USER));
    assert_eq!(actor(&stream, "OrderCancelled").as_deref(), Some("ada"));
    let restocked = actor("inventory-tea", "InventoryUpdated");
    assert_eq!(restocked.as_deref(), Some("ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_called_past_the_authorizer_serves_nobody() {
    let system = System::start(&[]);
    for (function, sample) in [
        ("place-order", "place-order"),
        ("cancel-order", "cancel-order"),
        ("restock-inventory", "restock-inventory"),
        ("query-orders", "query-orders"),
        ("query-orders", "query-orders-as-of"),
        ("query-orders", "query-orders-events"),
        ("query-orders", "query-orders-diff"),
        ("query-orders", "query-orders-of-user"),
        ("query-orders", "query-orders-inventory"),
    ] {
        let path = workspace().join(format!("events/{sample}.json"));
        let sample_event: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut event = sample_event.clone();
        let jwt = "/requestContext/authorizer/jwt";
        // What the route asks for is not what the token has.
        *event.pointer_mut(&format!("{jwt}/claims/scope")).unwrap() = json!("openid");
        let answer = system.invoke(function, &event).await.unwrap();
        assert_eq!(answer["statusCode"], 403, "{sample}: {answer}");
        for gone in ["/claims/sub", "", "/.."] {
            let mut event = sample_event.clone();
            match gone {
                "/.." => event["requestContext"]["authorizer"] = Value::Null,
                "" => event["requestContext"]["authorizer"] = json!({}),
                _ => event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = json!(""),
            }
            let answer = system.invoke(function, &event).await.unwrap();
            assert_eq!(answer["statusCode"], 401, "{sample}: {answer}");
            let kind = &answer["headers"]["content-type"];
            assert_eq!(kind, "application/problem+json", "{sample}");
        }
    }
    assert!(system.stored().await.streams.is_empty());
}

fn printed(output: &std::process::Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn cargo_local_prints_tokens_of_the_system_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let system = System::start(&["--data-dir", folder]);
    let users = ("GET", "/users/abc123/orders");
    let status = async |arguments: &[&str]| {
        let output = run(&[&["token"][..], arguments].concat());
        let (token, errors) = printed(&output);
        assert!(output.status.success(), "{errors}");
        send(&system, Some(&token), users, &[], String::new())
            .await
            .status
    };
    let aws = system.aws.as_str();
    assert_eq!(status(&["--sub", USER, "--aws-endpoint", aws]).await, 200);
    assert_eq!(status(&["--sub", USER, "--data-dir", folder]).await, 200);
    assert_eq!(status(&["--operator", "--data-dir", folder]).await, 200);
    assert_eq!(status(&["--sub", "other", "--data-dir", folder]).await, 403);
    let writes = [
        "--sub",
        USER,
        "--scope",
        "orders:write",
        "--data-dir",
        folder,
    ];
    assert_eq!(status(&writes).await, 403);
    let elsewhere = ["--sub", USER, "--aud", "elsewhere", "--data-dir", folder];
    assert_eq!(status(&elsewhere).await, 401);
    // A token outlives the system that gave it, as long as the next one has its address.
    let token = system.bearer(&Wanted::customer(USER)).await;
    let port = system.aws.rsplit(':').next().unwrap().to_owned();
    system.kill();
    let again = System::start(&["--data-dir", folder, "--aws-port", &port]);
    let headers = [("authorization", token.as_str())];
    let answer = again.anonymous("GET", users.1, &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_system_or_with_another_issuer_there_is_no_token() {
    let output = run(&[
        "token",
        "--operator",
        "--aws-endpoint",
        "http://127.0.0.1:1",
    ]);
    let (token, errors) = printed(&output);
    assert!(!output.status.success() && token.is_empty());
    assert!(
        errors.contains("no system runs at http://127.0.0.1:1"),
        "{errors}"
    );
    let folder = tempfile::tempdir().unwrap();
    let output = run(&[
        "token",
        "--operator",
        "--data-dir",
        folder.path().to_str().unwrap(),
    ]);
    assert!(printed(&output).1.contains("no system runs on"));

    let issuer = Issuer::start().await;
    let system = system_of(&issuer);
    let output = run(&["token", "--operator", "--aws-endpoint", &system.aws]);
    let (token, errors) = printed(&output);
    assert!(!output.status.success() && token.is_empty());
    assert!(errors.contains(&issuer.url), "{errors}");
}
