//! Single items: conditions, return values, what is refused.

use aws_endpoint::{Endpoint, EndpointError, Options};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use serde_json::json;

use crate::setup::{ephemeral, event, event_store, get, item, n, put, refused, s};

#[tokio::test]
async fn an_item_comes_back_as_it_was_put_with_normal_numbers() {
    let (_endpoint, client) = ephemeral().await;
    let mut stored = event("o-1", 1);
    stored.insert("amount".into(), n("0150.750"));
    put(&client, "EventStore", stored.clone()).await;

    let read = get(
        &client,
        "EventStore",
        item([("streamId", s("o-1")), ("version", n("1.0"))]),
    )
    .await
    .expect("an item");

    stored.insert("amount".into(), n("150.75"));
    assert_eq!(read, stored);
}

#[tokio::test]
async fn a_put_whose_condition_fails_carries_the_item_that_is_there() {
    let (_endpoint, client) = ephemeral().await;
    put(&client, "EventStore", event("o-1", 1)).await;
    let again = |shows| {
        client
            .put_item()
            .table_name("EventStore")
            .set_item(Some(event("o-1", 1)))
            .condition_expression("attribute_not_exists(streamId)")
            .return_values_on_condition_check_failure(shows)
            .send()
    };

    for (shows, expected) in [
        (
            ReturnValuesOnConditionCheckFailure::AllOld,
            Some(event("o-1", 1)),
        ),
        (ReturnValuesOnConditionCheckFailure::None, None),
    ] {
        match again(shows)
            .await
            .expect_err("refused")
            .into_service_error()
        {
            PutItemError::ConditionalCheckFailedException(error) => {
                assert_eq!(error.item, expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_update_returns_the_values_asked_for() {
    let (_endpoint, client) = ephemeral().await;
    put(
        &client,
        "Stock",
        item([("sku", s("a")), ("available", n(5)), ("name", s("apple"))]),
    )
    .await;
    let take = |returns| {
        client
            .update_item()
            .table_name("Stock")
            .key("sku", s("a"))
            .update_expression("SET available = available - :q")
            .condition_expression("available >= :q")
            .expression_attribute_values(":q", n(1))
            .return_values(returns)
            .send()
    };

    let attributes = |result: Result<_, _>| {
        let output: aws_sdk_dynamodb::operation::update_item::UpdateItemOutput =
            result.expect("the update succeeds");
        output.attributes
    };
    assert_eq!(attributes(take(ReturnValue::None).await), None);
    assert_eq!(
        attributes(take(ReturnValue::UpdatedNew).await),
        Some(item([("available", n(3))]))
    );
    assert_eq!(
        attributes(take(ReturnValue::UpdatedOld).await),
        Some(item([("available", n(3))]))
    );
    assert_eq!(
        attributes(take(ReturnValue::AllNew).await),
        Some(item([
            ("sku", s("a")),
            ("available", n(1)),
            ("name", s("apple"))
        ]))
    );
    assert_eq!(
        attributes(take(ReturnValue::AllOld).await).map(|old| old["available"].clone()),
        Some(n(1))
    );
    let error = take(ReturnValue::None).await.expect_err("none left");
    assert!(matches!(
        error.into_service_error(),
        UpdateItemError::ConditionalCheckFailedException(_)
    ));
}

#[tokio::test]
async fn a_delete_returns_the_old_item_and_a_projection_keeps_nested_parts() {
    let (endpoint, client) = ephemeral().await;
    put(
        &client,
        "Stock",
        item([("sku", s("a")), ("available", n(5))]),
    )
    .await;
    let read = endpoint
        .call(
            "dynamodb",
            "GetItem",
            json!({"TableName": "Stock", "Key": {"sku": {"S": "a"}},
                   "ProjectionExpression": "available"}),
        )
        .await;
    assert_eq!(read, Ok(json!({"Item": {"available": {"N": "5"}}})));

    let deleted = client
        .delete_item()
        .table_name("Stock")
        .key("sku", s("a"))
        .return_values(ReturnValue::AllOld)
        .send()
        .await
        .expect("deleted");

    assert_eq!(
        deleted.attributes.map(|old| old["available"].clone()),
        Some(n(5))
    );
    assert_eq!(get(&client, "Stock", item([("sku", s("a"))])).await, None);
}

#[tokio::test]
async fn what_aws_refuses_is_refused_with_its_words() {
    let (endpoint, _client) = ephemeral().await;
    let key = json!({"streamId": {"S": "o"}, "version": {"N": "1"}});
    for (operation, request, part) in [
        (
            "PutItem",
            json!({"TableName": "Nowhere", "Item": {}}),
            "Table: Nowhere not found",
        ),
        (
            "PutItem",
            json!({"TableName": "EventStore", "Item": {"streamId": {"S": "o"}}}),
            "Missing the key version",
        ),
        (
            "PutItem",
            json!({"TableName": "Stock", "Item": {"sku": {"N": "1"}}}),
            "Type mismatch for key sku expected: S actual: N",
        ),
        (
            "PutItem",
            json!({"TableName": "Orders",
            "Item": {"orderId": {"S": "o"}, "userId": {"N": "1"}}}),
            "Type mismatch for Index Key userId Expected: S Actual: N IndexName: byUser",
        ),
        (
            "PutItem",
            json!({"TableName": "Stock", "Item": {"sku": {"S": "a"}},
            "Expected": {}}),
            "legacy parameter Expected",
        ),
        (
            "GetItem",
            json!({"TableName": "EventStore", "Key": {"streamId": {"S": "o"}}}),
            "The provided key element does not match the schema",
        ),
        (
            "UpdateItem",
            json!({"TableName": "EventStore", "Key": key,
            "UpdateExpression": "SET version = :v",
            "ExpressionAttributeValues": {":v": {"N": "2"}}}),
            "Cannot update attribute version. This attribute is part of the key",
        ),
        (
            "UpdateItem",
            json!({"TableName": "EventStore", "Key": key,
            "UpdateExpression": "SET data = :v",
            "ExpressionAttributeValues": {":v": {"N": "2"}}}),
            "reserved keyword: data",
        ),
        (
            "PutItem",
            json!({"TableName": "Stock", "Item": {"sku": {"S": "a"}},
            "ExpressionAttributeValues": {":v": {"N": "2"}}}),
            "unused in expressions: keys: {:v}",
        ),
        (
            "ExecuteStatement",
            json!({"Statement": "SELECT * FROM Stock"}),
            "does not serve",
        ),
    ] {
        let (_, message) = refused(&endpoint, operation, request).await;
        assert!(message.contains(part), "{operation}: {message}");
    }
}

#[tokio::test]
async fn a_table_can_be_defined_again_but_not_otherwise() {
    let (endpoint, client) = ephemeral().await;
    endpoint
        .create_table(&event_store())
        .await
        .expect("the same again");

    let mut changed = event_store();
    changed["StreamSpecification"]["StreamViewType"] = json!("NEW_IMAGE");
    let error = endpoint.create_table(&changed).await.expect_err("changed");

    assert!(matches!(
        &error,
        EndpointError::TableChanged { table, members, .. }
            if table == "EventStore" && members == "StreamSpecification"
    ));
    let described = client
        .describe_table()
        .table_name("EventStore")
        .send()
        .await
        .expect("described")
        .table
        .expect("a table");
    assert_eq!(
        described.latest_stream_arn.as_deref(),
        endpoint
            .stream("EventStore")
            .as_ref()
            .map(aws_endpoint::TableStream::arn)
    );
}

#[tokio::test]
async fn an_address_beyond_loopback_is_refused() {
    let options = Options {
        addr: "0.0.0.0:0".parse().expect("an address"),
        ..Options::default()
    };
    assert!(matches!(
        Endpoint::start(options).await,
        Err(EndpointError::NotLoopback(_))
    ));
}
