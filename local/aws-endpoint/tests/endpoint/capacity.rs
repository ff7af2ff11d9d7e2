//! Capacity figures, as answered and as metered.

use aws_endpoint::Endpoint;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use serde_json::{Value, json};

use crate::setup::{CALLER, ephemeral, event, put, s};

fn sized(sku: &str, bytes: usize) -> Value {
    let text = "x".repeat(bytes - "sku".len() - sku.len() - "text".len());
    json!({"sku": {"S": sku}, "text": {"S": text}})
}

async fn consumed(endpoint: &Endpoint, operation: &str, mut request: Value) -> Value {
    request["ReturnConsumedCapacity"] = json!("INDEXES");
    let mut answer = endpoint
        .call("dynamodb", operation, request)
        .await
        .expect("the call succeeds");
    answer["ConsumedCapacity"].take()
}

async fn units(endpoint: &Endpoint, operation: &str, request: Value) -> f64 {
    let consumed = consumed(endpoint, operation, request).await;
    let consumed = consumed.get(0).unwrap_or(&consumed);
    consumed["CapacityUnits"].as_f64().expect("units")
}

#[track_caller]
fn assert_units(actual: f64, expected: f64) {
    assert!(
        (actual - expected).abs() < f64::EPSILON,
        "{actual} units, not {expected}"
    );
}

#[tokio::test]
async fn writes_cost_a_unit_per_started_kb_of_the_larger_image() {
    let (endpoint, client) = ephemeral().await;
    let put = |item: Value| json!({"TableName": "Stock", "Item": item});
    let over_sdk = client
        .put_item()
        .table_name("Stock")
        .item("sku", s("z"))
        .item("text", AttributeValue::S("x".repeat(1127 - 8)))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .expect("stored");
    assert_eq!(
        over_sdk.consumed_capacity.and_then(|c| c.capacity_units),
        Some(2.0)
    );
    for (operation, request, expected) in [
        ("PutItem", put(sized("a", 1024)), 1.0),
        ("PutItem", put(sized("b", 1025)), 2.0),
        // A smaller one over a larger one costs as the larger one.
        ("PutItem", put(sized("b", 100)), 2.0),
        ("PutItem", put(sized("b", 100)), 1.0),
        (
            "DeleteItem",
            json!({"TableName": "Stock", "Key": {"sku": {"S": "a"}}}),
            1.0,
        ),
        (
            "DeleteItem",
            json!({"TableName": "Stock", "Key": {"sku": {"S": "none"}}}),
            1.0,
        ),
        (
            "UpdateItem",
            json!({"TableName": "Stock", "Key": {"sku": {"S": "b"}},
            "UpdateExpression": "SET more = :m",
            "ExpressionAttributeValues": {":m": {"S": "x".repeat(2000)}}}),
            3.0,
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {"Stock": [
            {"PutRequest": {"Item": sized("c", 1025)}},
            {"PutRequest": {"Item": sized("d", 10)}}]}}),
            3.0,
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": [
            {"Put": {"TableName": "Stock", "Item": sized("e", 1025)}},
            {"ConditionCheck": {"TableName": "Stock", "Key": {"sku": {"S": "d"}},
                "ConditionExpression": "attribute_exists(sku)"}}]}),
            6.0,
        ),
    ] {
        assert_units(units(&endpoint, operation, request).await, expected);
    }
}

#[tokio::test]
async fn reads_cost_by_four_kb_and_by_consistency() {
    let (endpoint, _client) = ephemeral().await;
    for (sku, bytes) in [("a", 4096), ("b", 4097)] {
        units(
            &endpoint,
            "PutItem",
            json!({"TableName": "Stock", "Item": sized(sku, bytes)}),
        )
        .await;
    }
    let get = |sku: &str, strong: bool| json!({"TableName": "Stock", "Key": {"sku": {"S": sku}}, "ConsistentRead": strong});
    for (operation, request, expected) in [
        ("GetItem", get("a", false), 0.5),
        ("GetItem", get("a", true), 1.0),
        ("GetItem", get("b", true), 2.0),
        ("GetItem", get("none", true), 1.0),
        (
            "TransactGetItems",
            json!({"TransactItems": [
            {"Get": {"TableName": "Stock", "Key": {"sku": {"S": "a"}}}}]}),
            2.0,
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"Stock": {
            "Keys": [{"sku": {"S": "a"}}, {"sku": {"S": "b"}}]}}}),
            1.5,
        ),
        // A page is summed up before it is rounded; the filter saves nothing.
        (
            "Scan",
            json!({"TableName": "Stock", "FilterExpression": "attribute_exists(nothing)"}),
            1.5,
        ),
        (
            "Scan",
            json!({"TableName": "Stock", "ConsistentRead": true}),
            3.0,
        ),
    ] {
        assert_units(units(&endpoint, operation, request).await, expected);
    }
}

#[tokio::test]
async fn an_index_costs_only_when_its_entry_changes() {
    let (endpoint, _client) = ephemeral().await;
    let order = |user: Option<&str>, status: &str| {
        let mut item =
            json!({"orderId": {"S": "o-1"}, "state": {"S": status}, "placedAt": {"N": "1"}});
        if let Some(user) = user {
            item["userId"] = json!({"S": user});
        }
        json!({"TableName": "Orders", "Item": item})
    };
    for (request, table, index) in [
        (order(Some("u"), "placed"), 1.0, Some(1.0)),
        (order(Some("u"), "paid"), 1.0, None),
        (order(Some("v"), "paid"), 1.0, Some(2.0)),
        (order(None, "paid"), 1.0, Some(1.0)),
        (order(None, "sent"), 1.0, None),
    ] {
        let consumed = consumed(&endpoint, "PutItem", request).await;
        assert_eq!(consumed["Table"]["CapacityUnits"], json!(table));
        assert_eq!(
            consumed["GlobalSecondaryIndexes"]["byUser"]["CapacityUnits"].as_f64(),
            index
        );
        assert_eq!(
            consumed["CapacityUnits"].as_f64(),
            Some(table + index.unwrap_or(0.0))
        );
    }
    let put = order(Some("w"), "placed");
    let transaction = json!({"TransactItems": [{"Put": put}]});
    let consumed = consumed(&endpoint, "TransactWriteItems", transaction).await;
    assert_eq!(consumed[0]["CapacityUnits"], json!(4.0));
}

#[tokio::test]
async fn the_meter_counts_units_of_refused_writes_too() {
    let (endpoint, client) = ephemeral().await;
    put(&client, "EventStore", event("o-1", 1)).await;
    let before = endpoint.meter();
    let again = client
        .put_item()
        .table_name("EventStore")
        .set_item(Some(event("o-1", 1)))
        .condition_expression("attribute_not_exists(streamId)")
        .send()
        .await;
    assert!(again.is_err());
    let read = client
        .query()
        .table_name("EventStore")
        .key_condition_expression("streamId = :s")
        .expression_attribute_values(":s", s("o-1"))
        .consistent_read(true)
        .send()
        .await;
    assert!(read.is_ok());

    let since = &endpoint.meter() - &before;
    let refused = since.total(|call| call.operation == "PutItem" && call.caller == CALLER);
    assert_eq!((refused.requests, refused.errors), (1, 1));
    assert_units(refused.write_units, 1.0);
    let table = since.resource_total(|call| call.resource.as_deref() == Some("EventStore"));
    assert_eq!(table.requests, 2);
    assert_units(table.read_units, 1.0);
    let lines = serde_json::to_value(&since).expect("JSON");
    assert!(
        lines
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| {
                line["operation"] == "Query"
                    && line["service"] == "dynamodb"
                    && line["readUnits"] == 1.0
            }))
    );
    endpoint.reset_meter();
    assert_eq!(endpoint.meter().calls().count(), 0);
}

#[tokio::test]
async fn a_call_in_process_is_not_metered() {
    let (endpoint, _client) = ephemeral().await;
    let request = json!({"TableName": "Stock", "Item": {"sku": {"S": "a"}}});
    assert!(endpoint.call("dynamodb", "PutItem", request).await.is_ok());
    assert_eq!(endpoint.meter().calls().count(), 0);
}
