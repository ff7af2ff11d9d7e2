//! Transactions: reasons, conflicts, tokens.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde_json::json;

use crate::setup::{Item, ephemeral, event, get, item, n, put, s};

fn append(item: Item) -> TransactWriteItem {
    let put = Put::builder()
        .table_name("EventStore")
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(streamId)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .expect("a put");
    TransactWriteItem::builder().put(put).build()
}

fn take(sku: &str, quantity: u32) -> TransactWriteItem {
    let update = Update::builder()
        .table_name("Stock")
        .key("sku", s(sku))
        .update_expression("SET available = available - :q")
        .condition_expression("available >= :q")
        .expression_attribute_values(":q", n(quantity))
        .build()
        .expect("an update");
    TransactWriteItem::builder().update(update).build()
}

async fn stocked(client: &aws_sdk_dynamodb::Client, available: [(&str, u32); 3]) {
    for (sku, count) in available {
        put(
            client,
            "Stock",
            item([("sku", s(sku)), ("available", n(count))]),
        )
        .await;
    }
}

#[tokio::test]
async fn every_failing_action_is_named_with_its_item_and_nothing_is_stored() {
    let (_endpoint, client) = ephemeral().await;
    stocked(&client, [("a", 5), ("b", 1), ("c", 0)]).await;
    put(&client, "EventStore", event("o-1", 1)).await;

    let error = client
        .transact_write_items()
        .set_transact_items(Some(vec![
            append(event("o-1", 1)),
            take("a", 2),
            take("b", 2),
            take("c", 2),
        ]))
        .send()
        .await
        .expect_err("canceled")
        .into_service_error();

    let TransactWriteItemsError::TransactionCanceledException(error) = error else {
        panic!("{error:?}");
    };
    let reasons = error.cancellation_reasons();
    let codes: Vec<&str> = reasons.iter().filter_map(|r| r.code()).collect();
    assert_eq!(
        codes,
        [
            "ConditionalCheckFailed",
            "None",
            "ConditionalCheckFailed",
            "ConditionalCheckFailed"
        ]
    );
    assert_eq!(reasons[0].item, Some(event("o-1", 1)));
    assert_eq!(reasons[2].item, None);
    assert_eq!(reasons[2].message(), Some("The conditional request failed"));
    assert_eq!(reasons[1].message(), None);
    assert!(
        error
            .message()
            .is_some_and(|m| m.contains("[ConditionalCheckFailed, None, "))
    );
    let a = get(&client, "Stock", item([("sku", s("a"))])).await;
    assert_eq!(a.map(|a| a["available"].clone()), Some(n(5)));
}

#[tokio::test]
async fn a_transaction_that_holds_is_stored_whole() {
    let (_endpoint, client) = ephemeral().await;
    stocked(&client, [("a", 5), ("b", 2), ("c", 0)]).await;
    let check = ConditionCheck::builder()
        .table_name("Stock")
        .key("sku", s("c"))
        .condition_expression("available = :zero")
        .expression_attribute_values(":zero", n(0))
        .build()
        .expect("a check");

    client
        .transact_write_items()
        .set_transact_items(Some(vec![
            append(event("o-1", 1)),
            take("a", 2),
            take("b", 2),
            TransactWriteItem::builder().condition_check(check).build(),
        ]))
        .send()
        .await
        .expect("stored");

    let b = get(&client, "Stock", item([("sku", s("b"))])).await;
    assert_eq!(b.map(|b| b["available"].clone()), Some(n(0)));
    let key = item([("streamId", s("o-1")), ("version", n(1))]);
    assert!(get(&client, "EventStore", key).await.is_some());
}

#[tokio::test]
async fn many_buyers_of_one_sku_conflict_and_never_oversell() {
    let (_endpoint, client) = ephemeral().await;
    stocked(&client, [("a", 10), ("b", 0), ("c", 0)]).await;

    let buyers = (0..40).map(|buyer| {
        let client = client.clone();
        tokio::spawn(async move {
            loop {
                let result = client
                    .transact_write_items()
                    .set_transact_items(Some(vec![
                        append(event(&format!("o-{buyer}"), 1)),
                        take("a", 1),
                    ]))
                    .send()
                    .await;
                let Err(error) = result else { return (true, 0) };
                let TransactWriteItemsError::TransactionCanceledException(error) =
                    error.into_service_error()
                else {
                    panic!("only cancellations are expected");
                };
                match error.cancellation_reasons()[1].code() {
                    Some("TransactionConflict") => {
                        assert_eq!(error.cancellation_reasons()[0].code(), Some("None"));
                    }
                    Some("ConditionalCheckFailed") => return (false, 0),
                    other => panic!("{other:?}"),
                }
            }
        })
    });
    let mut sold = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        sold += u32::from(buyer.await.expect("a buyer").0);
    }

    assert_eq!(sold, 10);
    let a = get(&client, "Stock", item([("sku", s("a"))])).await;
    assert_eq!(a.map(|a| a["available"].clone()), Some(n(0)));
}

#[tokio::test]
async fn a_token_replays_its_transaction_and_refuses_another() {
    let (endpoint, client) = ephemeral().await;
    stocked(&client, [("a", 5), ("b", 5), ("c", 5)]).await;
    let send = |sku: &'static str| {
        client
            .transact_write_items()
            .transact_items(take(sku, 2))
            .client_request_token("order-1")
            .send()
    };
    send("a").await.expect("stored");
    send("a").await.expect("replayed");
    let error = send("b")
        .await
        .expect_err("another request")
        .into_service_error();

    assert!(error.is_idempotent_parameter_mismatch_exception());
    let a = get(&client, "Stock", item([("sku", s("a"))])).await;
    assert_eq!(a.map(|a| a["available"].clone()), Some(n(3)));
    drop(endpoint);
}

#[tokio::test]
async fn a_transactional_get_sees_items_of_several_tables() {
    let (endpoint, client) = ephemeral().await;
    stocked(&client, [("a", 5), ("b", 5), ("c", 5)]).await;
    let answer = endpoint
        .call(
            "dynamodb",
            "TransactGetItems",
            json!({"TransactItems": [
                {"Get": {"TableName": "Stock", "Key": {"sku": {"S": "a"}},
                    "ProjectionExpression": "available"}},
                {"Get": {"TableName": "EventStore",
                    "Key": {"streamId": {"S": "o"}, "version": {"N": "1"}}}}]}),
        )
        .await;
    assert_eq!(
        answer,
        Ok(json!({"Responses": [{"Item": {"available": {"N": "5"}}}, {}]}))
    );
}

#[tokio::test]
async fn a_token_knows_its_transaction_again_whatever_the_order_of_its_members() {
    let (endpoint, _client) = ephemeral().await;
    let send = |text: &str| {
        let request = serde_json::from_str(text).expect("JSON");
        endpoint.call("dynamodb", "TransactWriteItems", request)
    };
    let first = r#"{"ClientRequestToken": "t-1", "TransactItems": [{"Put": {"TableName": "Stock",
        "Item": {"sku": {"S": "a"}, "box": {"M": {"b": {"N": "1"}, "c": {"S": "x"}}}}}}]}"#;
    let again = r#"{"TransactItems": [{"Put": {"Item":
        {"box": {"M": {"c": {"S": "x"}, "b": {"N": "1"}}}, "sku": {"S": "a"}},
        "TableName": "Stock"}}], "ClientRequestToken": "t-1"}"#;
    assert!(send(first).await.is_ok());
    assert_eq!(send(again).await, Ok(serde_json::json!({})));
    let other = send(&again.replace("\"x\"", "\"y\"")).await;
    assert_eq!(
        other.expect_err("another").code,
        "IdempotentParameterMismatchException"
    );
}
