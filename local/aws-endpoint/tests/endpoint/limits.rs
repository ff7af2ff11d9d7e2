//! AWS's limits.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::setup::{ephemeral, event, get, item, n, put, refused, s};

const KB: usize = 1024;

#[tokio::test]
async fn an_item_of_400_kb_is_stored_and_one_byte_more_is_refused() {
    let (endpoint, client) = ephemeral().await;
    // "sku" + "a" + "text" + the text
    let text = "x".repeat(400 * KB - 8);
    put(
        &client,
        "Stock",
        item([("sku", s("a")), ("text", s(&text))]),
    )
    .await;

    let (code, message) = refused(
        &endpoint,
        "PutItem",
        json!({"TableName": "Stock", "Item": {"sku": {"S": "b"}, "text": {"S": format!("{text}x")}}}),
    )
    .await;

    assert_eq!(code, "ValidationException");
    assert_eq!(message, "Item size has exceeded the maximum allowed size");
    // Sizes are AWS's, not those of the JSON: this one is 560 KB of JSON.
    let small = AttributeValue::L(vec![n(1); 40_000]);
    put(&client, "Stock", item([("sku", s("c")), ("list", small)])).await;
}

#[tokio::test]
async fn an_update_beyond_400_kb_is_refused_and_stores_nothing() {
    let (endpoint, client) = ephemeral().await;
    let text = "x".repeat(300 * KB);
    put(&client, "EventStore", {
        let mut item = event("o-1", 1);
        item.insert("text".into(), s(&text));
        item
    })
    .await;
    let last = endpoint
        .stream("EventStore")
        .expect("a stream")
        .last_sequence();
    let update = json!({
        "TableName": "EventStore", "Key": {"streamId": {"S": "o-1"}, "version": {"N": "1"}},
        "UpdateExpression": "SET more = :t",
        "ExpressionAttributeValues": {":t": {"S": text}}
    });

    let (_, message) = refused(&endpoint, "UpdateItem", update.clone()).await;
    assert_eq!(
        message,
        "Item size to update has exceeded the maximum allowed size"
    );
    let error = endpoint
        .call(
            "dynamodb",
            "TransactWriteItems",
            json!({"TransactItems": [{"Update": update}]}),
        )
        .await
        .expect_err("refused");
    assert_eq!(
        error
            .detail("CancellationReasons")
            .map(|reasons| reasons[0]["Code"].clone()),
        Some(json!("ValidationError"))
    );

    let key = item([("streamId", s("o-1")), ("version", n(1))]);
    let stored = get(&client, "EventStore", key).await.expect("an item");
    assert!(!stored.contains_key("more"));
    assert_eq!(
        endpoint
            .stream("EventStore")
            .expect("a stream")
            .last_sequence(),
        last
    );
}

#[tokio::test]
async fn keys_that_are_empty_or_too_long_are_refused() {
    let (endpoint, client) = ephemeral().await;
    let sku =
        |length: usize| json!({"TableName": "Stock", "Item": {"sku": {"S": "k".repeat(length)}}});
    put(&client, "Stock", item([("sku", s(&"k".repeat(2048)))])).await;
    for (length, part) in [
        (0, "cannot contain an empty string value"),
        (2049, "2048 bytes"),
    ] {
        let (_, message) = refused(&endpoint, "PutItem", sku(length)).await;
        assert!(message.contains(part), "{message}");
    }
    let (_, message) = refused(
        &endpoint,
        "PutItem",
        json!({"TableName": "Orders", "Item": {"orderId": {"S": "o"}, "userId": {"S": ""}}}),
    )
    .await;
    assert!(
        message.contains("IndexName: byUser, IndexKey: userId"),
        "{message}"
    );
}

#[tokio::test]
async fn numbers_beyond_38_digits_or_the_magnitude_are_refused() {
    let (endpoint, _client) = ephemeral().await;
    for number in [
        "1".repeat(39),
        "1e126".into(),
        "1e-131".into(),
        "twelve".into(),
    ] {
        let (code, _) = refused(
            &endpoint,
            "PutItem",
            json!({"TableName": "Stock", "Item": {"sku": {"S": "a"}, "n": {"N": number}}}),
        )
        .await;
        assert_eq!(code, "ValidationException", "{number}");
    }
}

fn puts(count: usize, bytes: usize) -> Value {
    (0..count)
        .map(|i| {
            json!({"Put": {"TableName": "Stock",
                "Item": {"sku": {"S": i.to_string()}, "text": {"S": "x".repeat(bytes)}}}})
        })
        .collect()
}

#[tokio::test]
async fn a_transaction_has_100_actions_4_mb_and_each_item_once_at_most() {
    let (endpoint, client) = ephemeral().await;
    let send = |actions: Value| {
        endpoint.call(
            "dynamodb",
            "TransactWriteItems",
            json!({"TransactItems": actions}),
        )
    };
    assert!(send(puts(100, 1)).await.is_ok());
    assert!(send(puts(101, 1)).await.is_err());
    assert!(send(json!([])).await.is_err());
    // 10 × 399 KB fit into 4 MB, 11 do not; JSON alone would be larger in both.
    assert!(send(puts(10, 399 * KB)).await.is_ok());
    let (_, message) = refused(
        &endpoint,
        "TransactWriteItems",
        json!({"TransactItems": puts(11, 399 * KB)}),
    )
    .await;
    assert!(message.contains("4 MB"), "{message}");
    let twice = json!([
        {"Put": {"TableName": "Stock", "Item": {"sku": {"S": "a"}}}},
        {"ConditionCheck": {"TableName": "Stock", "Key": {"sku": {"S": "a"}},
            "ConditionExpression": "attribute_not_exists(sku)"}}
    ]);
    let (_, message) = refused(
        &endpoint,
        "TransactWriteItems",
        json!({"TransactItems": twice}),
    )
    .await;
    assert!(
        message.contains("multiple operations on one item"),
        "{message}"
    );
    assert_eq!(get(&client, "Stock", item([("sku", s("a"))])).await, None);
}

#[tokio::test]
async fn a_batch_has_25_writes_or_100_keys_at_most_and_no_repeats() {
    let (endpoint, client) = ephemeral().await;
    let writes = |count: usize| -> Value {
        let requests: Vec<Value> = (0..count)
            .map(|i| json!({"PutRequest": {"Item": {"sku": {"S": i.to_string()}}}}))
            .collect();
        json!({"RequestItems": {"Stock": requests}})
    };
    let keys = |count: usize| -> Value {
        let keys: Vec<Value> = (0..count)
            .map(|i| json!({"sku": {"S": i.to_string()}}))
            .collect();
        json!({"RequestItems": {"Stock": {"Keys": keys}}})
    };
    assert!(
        endpoint
            .call("dynamodb", "BatchWriteItem", writes(25))
            .await
            .is_ok()
    );
    refused(&endpoint, "BatchWriteItem", writes(26)).await;
    refused(&endpoint, "BatchGetItem", keys(101)).await;
    let found = endpoint
        .call("dynamodb", "BatchGetItem", keys(100))
        .await
        .expect("found");
    assert_eq!(
        found["Responses"]["Stock"].as_array().map(Vec::len),
        Some(25)
    );
    let mut repeated = writes(2);
    repeated["RequestItems"]["Stock"][1] = repeated["RequestItems"]["Stock"][0].clone();
    let (_, message) = refused(&endpoint, "BatchWriteItem", repeated).await;
    assert!(message.contains("duplicates"), "{message}");
    assert!(
        get(&client, "Stock", item([("sku", s("24"))]))
            .await
            .is_some()
    );
}

#[tokio::test]
async fn a_batch_get_stops_at_16_mb_and_names_the_keys_left() {
    let (endpoint, client) = ephemeral().await;
    let text = "x".repeat(390 * KB);
    for i in 0..50 {
        put(
            &client,
            "Stock",
            item([("sku", s(&i.to_string())), ("text", s(&text))]),
        )
        .await;
    }
    let keys: Vec<Value> = (0..50)
        .map(|i| json!({"sku": {"S": i.to_string()}}))
        .collect();
    let answer = endpoint
        .call(
            "dynamodb",
            "BatchGetItem",
            json!({"RequestItems": {"Stock": {
                "Keys": keys, "ConsistentRead": true, "ProjectionExpression": "sku, #t",
                "ExpressionAttributeNames": {"#t": "text"}}}}),
        )
        .await
        .expect("answered");
    let found = answer["Responses"]["Stock"].as_array().map_or(0, Vec::len);
    let left = answer["UnprocessedKeys"]["Stock"]["Keys"]
        .as_array()
        .map_or(0, Vec::len);
    assert_eq!((found, found + left), (16 * 1024 * KB / (390 * KB + 9), 50));
    // What is left can be sent again as it is.
    let again = json!({"RequestItems": answer["UnprocessedKeys"]});
    assert_eq!(
        again["RequestItems"]["Stock"]["ConsistentRead"],
        json!(true)
    );
    let rest = endpoint.call("dynamodb", "BatchGetItem", again).await;
    let rest = rest.expect("answered");
    assert_eq!(
        rest["Responses"]["Stock"].as_array().map(Vec::len),
        Some(left)
    );
}

#[tokio::test]
async fn a_batch_get_of_something_else_than_keys_is_refused() {
    let (endpoint, _client) = ephemeral().await;
    for (wanted, part) in [
        (
            json!({"Keys": [{"sku": {"S": "a"}}], "AttributesToGet": ["sku"]}),
            "AttributesToGet",
        ),
        (
            json!({"Keys": [{"sku": {"S": "a"}}], "ProjectionExpression": "sku, #x"}),
            "#x",
        ),
    ] {
        let request = json!({"RequestItems": {"Stock": wanted}});
        let (code, message) = refused(&endpoint, "BatchGetItem", request).await;
        assert_eq!(code, "ValidationException");
        assert!(message.contains(part), "{message}");
    }
    let request = json!({"RequestItems": {
        "Orders": {"Keys": [{"orderId": {"S": "o"}}]}, "Stock": ["sku"]}});
    let (code, message) = refused(&endpoint, "BatchGetItem", request).await;
    assert_eq!(code, "ValidationException");
    assert!(message.contains("Stock"), "{message}");
}

#[tokio::test]
async fn an_update_that_nests_deeper_than_32_levels_is_refused_and_stores_nothing() {
    let (endpoint, client) = ephemeral().await;
    let nested =
        |levels: usize| (0..levels).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
    let update = |levels: usize| {
        json!({"TableName": "Stock", "Key": {"sku": {"S": "a"}},
            "UpdateExpression": "SET deep.first_part = :v",
            "ExpressionAttributeValues": {":v": nested(levels)}})
    };
    let empty = AttributeValue::M(std::collections::HashMap::new());
    put(&client, "Stock", item([("sku", s("a")), ("deep", empty)])).await;
    let (code, message) = refused(&endpoint, "UpdateItem", update(32)).await;
    assert_eq!(code, "ValidationException");
    assert!(message.contains("Nesting Levels"), "{message}");
    let stored = get(&client, "Stock", item([("sku", s("a"))])).await;
    assert_eq!(
        stored.expect("an item")["deep"]
            .as_m()
            .map(std::collections::HashMap::len),
        Ok(0)
    );
    let update = endpoint.call("dynamodb", "UpdateItem", update(31)).await;
    assert!(update.is_ok(), "{update:?}");
}
