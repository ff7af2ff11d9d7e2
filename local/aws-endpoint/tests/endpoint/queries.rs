//! Query and Scan: order, ranges, filters, pages.

use std::collections::BTreeSet;

use aws_endpoint::Endpoint;
use serde_json::{Value, json};

use crate::setup::{ephemeral, item, n, put, refused, s};

async fn run(endpoint: &Endpoint, operation: &str, request: &Value) -> Value {
    endpoint
        .call("dynamodb", operation, request.clone())
        .await
        .unwrap_or_else(|error| panic!("{operation} {request}: {error}"))
}

fn versions(answer: &Value) -> Vec<i64> {
    answer["Items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["version"]["N"].as_str()?.parse().ok())
        .collect()
}

fn query(range: &str, mut values: Value) -> Value {
    values[":s"] = json!({"S": "o-1"});
    json!({"TableName": "EventStore", "ConsistentRead": true,
           "KeyConditionExpression": format!("streamId = :s{range}"),
           "ExpressionAttributeValues": values})
}

#[tokio::test]
async fn a_query_reads_its_partition_in_order_of_numbers() {
    let (endpoint, client) = ephemeral().await;
    for version in [10, 2, 1, 9, 100, -3] {
        put(
            &client,
            "EventStore",
            item([("streamId", s("o-1")), ("version", n(version))]),
        )
        .await;
    }
    put(
        &client,
        "EventStore",
        item([("streamId", s("o-2")), ("version", n(5))]),
    )
    .await;
    let value = |number: i32| json!({"N": number.to_string()});
    for (request, expected) in [
        (query("", json!({})), vec![-3, 1, 2, 9, 10, 100]),
        (
            query(" AND version > :v", json!({":v": value(9)})),
            vec![10, 100],
        ),
        (
            query(" AND version <= :v", json!({":v": value(2)})),
            vec![-3, 1, 2],
        ),
        (query(" AND version = :v", json!({":v": value(9)})), vec![9]),
        (
            query(
                " AND version BETWEEN :a AND :b",
                json!({":a": value(2), ":b": value(10)}),
            ),
            vec![2, 9, 10],
        ),
    ] {
        assert_eq!(versions(&run(&endpoint, "Query", &request).await), expected);
        let mut reversed = request;
        reversed["ScanIndexForward"] = json!(false);
        let mut expected = expected;
        expected.reverse();
        assert_eq!(
            versions(&run(&endpoint, "Query", &reversed).await),
            expected
        );
    }
}

#[tokio::test]
async fn limits_count_what_is_read_and_filters_what_is_returned() {
    let (endpoint, client) = ephemeral().await;
    for version in 1..=9 {
        let kind = if version % 3 == 0 { "c" } else { "x" };
        put(
            &client,
            "EventStore",
            item([
                ("streamId", s("o-1")),
                ("version", n(version)),
                ("kind", s(kind)),
            ]),
        )
        .await;
    }
    let mut request = query("", json!({":c": {"S": "c"}}));
    request["FilterExpression"] = json!("kind = :c");
    request["Limit"] = json!(4);
    let mut pages = Vec::new();
    loop {
        let page = run(&endpoint, "Query", &request).await;
        pages.push((
            versions(&page),
            page["Count"].clone(),
            page["ScannedCount"].clone(),
        ));
        match page.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => break,
        }
    }
    assert_eq!(
        pages,
        [
            (vec![3], json!(1), json!(4)),
            (vec![6], json!(1), json!(4)),
            (vec![9], json!(1), json!(1)),
        ]
    );
    let mut count = query("", json!({}));
    count["Select"] = json!("COUNT");
    assert_eq!(
        run(&endpoint, "Query", &count).await,
        json!({"Count": 9, "ScannedCount": 9})
    );
}

#[tokio::test]
async fn a_page_ends_at_one_mb_and_the_next_goes_on_there() {
    let (endpoint, client) = ephemeral().await;
    // 10 events of 300 KB: three to a page.
    let text = "x".repeat(300 * 1024);
    for version in 1..=10 {
        put(
            &client,
            "EventStore",
            item([
                ("streamId", s("o-1")),
                ("version", n(version)),
                ("text", s(&text)),
            ]),
        )
        .await;
    }
    for (operation, mut request) in [
        ("Query", query("", json!({}))),
        ("Scan", json!({"TableName": "EventStore"})),
    ] {
        // The projection makes the answer small, not the page.
        request["ProjectionExpression"] = json!("version");
        let mut pages = Vec::new();
        loop {
            let page = run(&endpoint, operation, &request).await;
            pages.push(versions(&page));
            match page.get("LastEvaluatedKey") {
                Some(key) => request["ExclusiveStartKey"] = key.clone(),
                None => break,
            }
        }
        assert_eq!(
            pages,
            [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9], vec![10]]
        );
    }
}

#[tokio::test]
async fn pages_of_small_items_are_cut_by_aws_sizes_not_by_json() {
    let (endpoint, client) = ephemeral().await;
    // 100 KB as AWS counts, 350 KB as JSON.
    let list = aws_sdk_dynamodb::types::AttributeValue::L(vec![n(1); 34_000]);
    for version in 1..=9 {
        put(
            &client,
            "EventStore",
            item([
                ("streamId", s("o-1")),
                ("version", n(version)),
                ("list", list.clone()),
            ]),
        )
        .await;
    }
    let mut request = query("", json!({}));
    request["Select"] = json!("COUNT");
    let page = run(&endpoint, "Query", &request).await;
    assert_eq!(page, json!({"Count": 9, "ScannedCount": 9}));
}

#[tokio::test]
async fn an_index_is_read_by_its_keys_and_pages_over_equal_ones() {
    let (endpoint, client) = ephemeral().await;
    for order in 0..7 {
        put(
            &client,
            "Orders",
            item([
                ("orderId", s(&format!("o-{order}"))),
                ("userId", s("u-1")),
                ("placedAt", n(order / 3)),
                ("state", s("placed")),
            ]),
        )
        .await;
    }
    put(
        &client,
        "Orders",
        item([("orderId", s("o-x")), ("userId", s("u-2"))]),
    )
    .await;
    let mut request = json!({"TableName": "Orders", "IndexName": "byUser", "Limit": 2,
        "KeyConditionExpression": "userId = :u", "ScanIndexForward": false,
        "ExpressionAttributeValues": {":u": {"S": "u-1"}}});
    let mut seen = Vec::new();
    let mut placed = Vec::new();
    loop {
        let page = run(&endpoint, "Query", &request).await;
        for item in page["Items"].as_array().into_iter().flatten() {
            assert_eq!(item.get("state"), None, "not projected");
            seen.push(item["orderId"]["S"].as_str().unwrap_or_default().to_owned());
            placed.push(
                item["placedAt"]["N"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => {
                assert_eq!(key.as_object().map(serde_json::Map::len), Some(3));
                request["ExclusiveStartKey"] = key.clone();
            }
            None => break,
        }
    }
    assert_eq!(placed, ["2", "1", "1", "1", "0", "0", "0"]);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
    // An item without the whole index key is not in the index.
    let scanned = run(
        &endpoint,
        "Scan",
        &json!({"TableName": "Orders", "IndexName": "byUser"}),
    )
    .await;
    assert_eq!(scanned["Count"], json!(7));
    for (member, value, part) in [
        (
            "ConsistentRead",
            json!(true),
            "Consistent reads are not supported",
        ),
        (
            "Select",
            json!("ALL_ATTRIBUTES"),
            "its projection type is not ALL",
        ),
        (
            "IndexName",
            json!("none"),
            "does not have the specified index",
        ),
        (
            "FilterExpression",
            json!("userId = :u"),
            "non-primary key attributes",
        ),
        (
            "ExclusiveStartKey",
            json!({"userId": {"S": "u"}}),
            "starting key is invalid",
        ),
    ] {
        let mut wrong = request.clone();
        wrong[member] = value;
        let (_, message) = refused(&endpoint, "Query", wrong).await;
        assert!(message.contains(part), "{member}: {message}");
    }
}

#[tokio::test]
async fn segments_of_a_scan_cover_the_table_once() {
    let (endpoint, client) = ephemeral().await;
    for sku in 0..30 {
        put(&client, "Stock", item([("sku", s(&sku.to_string()))])).await;
    }
    let mut seen = Vec::new();
    for segment in 0..3 {
        let request = json!({"TableName": "Stock", "Segment": segment, "TotalSegments": 3});
        let page = run(&endpoint, "Scan", &request).await;
        seen.extend(page["Items"].as_array().cloned().unwrap_or_default());
    }
    let distinct: BTreeSet<String> = seen.iter().map(Value::to_string).collect();
    assert_eq!((seen.len(), distinct.len()), (30, 30));
    for (segment, of) in [
        (json!(3), json!(3)),
        (json!(-1), json!(3)),
        (json!(0), Value::Null),
    ] {
        let request = json!({"TableName": "Stock", "Segment": segment, "TotalSegments": of});
        let (code, message) = refused(&endpoint, "Scan", request).await;
        assert_eq!(code, "ValidationException", "{message}");
    }
}

#[tokio::test]
async fn all_items_of_a_partition_key_are_in_one_segment_page_by_page() {
    let (endpoint, client) = ephemeral().await;
    for stream in 0..12 {
        for version in 1..=5 {
            let key = [
                ("streamId", s(&stream.to_string())),
                ("version", n(version)),
            ];
            put(&client, "EventStore", item(key)).await;
        }
    }
    let mut streams = Vec::new();
    for segment in 0..3 {
        let mut request = json!({"TableName": "EventStore", "Segment": segment,
            "TotalSegments": 3, "Limit": 4});
        let mut seen = Vec::new();
        loop {
            let page = run(&endpoint, "Scan", &request).await;
            seen.extend(page["Items"].as_array().cloned().unwrap_or_default());
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
        let here: BTreeSet<String> = seen
            .iter()
            .map(|item| item["streamId"].to_string())
            .collect();
        assert_eq!(seen.len(), 5 * here.len(), "whole streams");
        streams.extend(here);
    }
    assert_eq!(streams.len(), 12);
}

#[tokio::test]
async fn an_index_is_not_asked_for_attributes_that_it_does_not_project() {
    let (endpoint, client) = ephemeral().await;
    let order = [("orderId", s("o")), ("userId", s("u")), ("placedAt", n(1))];
    put(&client, "Orders", item(order)).await;
    let query = |projection: &str| {
        json!({"TableName": "Orders", "IndexName": "byUser",
            "KeyConditionExpression": "userId = :u", "ProjectionExpression": projection,
            "ExpressionAttributeValues": {":u": {"S": "u"}}})
    };
    let answer = run(&endpoint, "Query", &query("orderId, placedAt")).await;
    assert_eq!(
        answer["Items"],
        json!([{"orderId": {"S": "o"}, "placedAt": {"N": "1"}}])
    );
    let (code, message) = refused(&endpoint, "Query", query("orderId, amount, note.line")).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "One or more parameter values were invalid: Global secondary index byUser does not \
         project [amount, note]"
    );
}
