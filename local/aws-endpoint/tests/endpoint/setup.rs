//! Starting endpoints, clients for them, and short ways to write items.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_endpoint::{Endpoint, Options};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

pub type Item = HashMap<String, AttributeValue>;

/// Access key id of the clients here.
pub const CALLER: &str = "local-test";

macro_rules! config {
    ($sdk:ident, $endpoint:expr) => {
        $sdk::Config::builder()
            .behavior_version($crate::setup::version())
            .region($crate::setup::region())
            .credentials_provider($crate::setup::credentials())
            .endpoint_url($endpoint.url())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
    };
}
pub(crate) use config;

pub fn version() -> BehaviorVersion {
    BehaviorVersion::latest()
}

pub fn region() -> Region {
    Region::new("us-east-1")
}

pub fn credentials() -> Credentials {
    Credentials::new(CALLER, "x", None, None, "test")
}

/// A client that tries once, so that errors are seen as they come.
pub fn dynamodb(endpoint: &Endpoint) -> aws_sdk_dynamodb::Client {
    let retries = aws_sdk_dynamodb::config::retry::RetryConfig::disabled();
    let config = config!(aws_sdk_dynamodb, endpoint).retry_config(retries);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

pub fn event_store() -> Value {
    json!({
        "TableName": "EventStore",
        "KeySchema": [
            {"AttributeName": "streamId", "KeyType": "HASH"},
            {"AttributeName": "version", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "streamId", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "N"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    })
}

pub fn stock() -> Value {
    json!({
        "TableName": "Stock",
        "KeySchema": [{"AttributeName": "sku", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "sku", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

pub fn orders() -> Value {
    json!({
        "TableName": "Orders",
        "KeySchema": [{"AttributeName": "orderId", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "orderId", "AttributeType": "S"},
            {"AttributeName": "userId", "AttributeType": "S"},
            {"AttributeName": "placedAt", "AttributeType": "N"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [{
            "IndexName": "byUser",
            "KeySchema": [
                {"AttributeName": "userId", "KeyType": "HASH"},
                {"AttributeName": "placedAt", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"}}],
    })
}

/// An endpoint with the three tables.
pub async fn start(options: Options) -> Endpoint {
    let endpoint = Endpoint::start(options).await.expect("the endpoint starts");
    for table in [event_store(), stock(), orders()] {
        endpoint.create_table(&table).await.expect("a table");
    }
    endpoint
}

pub async fn ephemeral() -> (Endpoint, aws_sdk_dynamodb::Client) {
    let endpoint = start(Options::default()).await;
    let client = dynamodb(&endpoint);
    (endpoint, client)
}

pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub fn event(stream: &str, version: u32) -> Item {
    item([
        ("streamId", s(stream)),
        ("version", n(version)),
        ("eventType", s("OrderPlaced")),
    ])
}

pub async fn put(client: &aws_sdk_dynamodb::Client, table: &str, item: Item) {
    client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .send()
        .await
        .expect("the put succeeds");
}

pub async fn get(client: &aws_sdk_dynamodb::Client, table: &str, key: Item) -> Option<Item> {
    client
        .get_item()
        .table_name(table)
        .set_key(Some(key))
        .consistent_read(true)
        .send()
        .await
        .expect("the get succeeds")
        .item
}

/// Waits until something holds, for 20 seconds at most.
#[track_caller]
pub fn deadline() -> impl Fn() -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    move || Instant::now() < end
}

/// Calls in process and returns the error's code.
pub async fn refused(endpoint: &Endpoint, operation: &str, request: Value) -> (String, String) {
    let error = endpoint
        .call("dynamodb", operation, request.clone())
        .await
        .expect_err(&format!("{operation} {request} is refused"));
    (error.code, error.message)
}
