//! Requests that meet an item of a transaction on its way. The transaction is
//! kept on its way by holding the commit lock.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DynamoDb, Settings};
use crate::ApiError;
use crate::meter::Usage;

async fn stock(directory: &std::path::Path, transaction_conflicts: bool) -> Arc<DynamoDb> {
    let database = DynamoDb::open(Settings {
        directory,
        durable: false,
        region: "us-east-1",
        account: "000000000000",
        transaction_conflicts,
    })
    .await
    .expect("a database");
    let table = json!({
        "TableName": "Stock",
        "KeySchema": [{"AttributeName": "sku", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "sku", "AttributeType": "S"}],
    });
    database.ensure_table(&table).await.expect("a table");
    Arc::new(database)
}

async fn call(database: &DynamoDb, operation: &str, request: Value) -> Result<Value, ApiError> {
    database
        .call(operation, request, &mut Usage::default())
        .await
}

fn put(sku: &str) -> Value {
    json!({"TableName": "Stock", "Item": {"sku": {"S": sku}}})
}

fn transaction(skus: &[&str]) -> Value {
    let puts: Vec<Value> = skus.iter().map(|sku| json!({"Put": put(sku)})).collect();
    json!({"TransactItems": puts})
}

fn reasons(result: Result<Value, ApiError>) -> Vec<Value> {
    let error = result.expect_err("canceled");
    assert_eq!(error.code, "TransactionCanceledException");
    let reasons = error
        .detail("CancellationReasons")
        .and_then(Value::as_array);
    let reasons = reasons.expect("reasons").iter();
    reasons.map(|reason| reason["Code"].clone()).collect()
}

#[tokio::test]
async fn an_item_of_a_transaction_on_its_way_is_a_conflict_until_the_transaction_ends() {
    let directory = tempfile::tempdir().expect("a folder");
    let database = stock(directory.path(), true).await;
    let held = database.commits.write().await;
    let on_its_way = tokio::spawn({
        let database = Arc::clone(&database);
        async move { call(&database, "TransactWriteItems", transaction(&["a", "b"])).await }
    });
    let id = "Stock\0{\"S\":\"a\"}".to_owned();
    while !database.in_flight.conflicts(std::slice::from_ref(&id))[0] {
        tokio::task::yield_now().await;
    }

    let other = call(&database, "TransactWriteItems", transaction(&["c", "a"])).await;
    assert_eq!(reasons(other), ["None", "TransactionConflict"]);
    let get =
        json!({"TransactItems": [{"Get": {"TableName": "Stock", "Key": {"sku": {"S": "b"}}}}]});
    let read = call(&database, "TransactGetItems", get).await;
    assert_eq!(reasons(read), ["TransactionConflict"]);
    let plain = call(&database, "PutItem", put("a")).await;
    let code = plain.expect_err("a conflict").code;
    assert_eq!(code, "TransactionConflictException");

    drop(held);
    assert_eq!(on_its_way.await.expect("no panic"), Ok(json!({})));
    assert_eq!(call(&database, "PutItem", put("a")).await, Ok(json!({})));
    let batch = json!({"RequestItems": {"Stock": [{"PutRequest": {"Item": put("b")["Item"]}}]}});
    let batch = call(&database, "BatchWriteItem", batch).await;
    assert_eq!(batch, Ok(json!({"UnprocessedItems": {}})));
}

#[tokio::test]
async fn without_conflicts_the_second_transaction_waits_for_the_first() {
    let directory = tempfile::tempdir().expect("a folder");
    let database = stock(directory.path(), false).await;
    let held = database.commits.write().await;
    let both: Vec<_> = (0..2)
        .map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(
                async move { call(&database, "TransactWriteItems", transaction(&["a"])).await },
            )
        })
        .collect();
    tokio::task::yield_now().await;
    drop(held);
    for transaction in both {
        assert_eq!(transaction.await.expect("no panic"), Ok(json!({})));
    }
}

#[tokio::test]
async fn a_token_whose_transaction_is_on_its_way_is_in_progress() {
    let directory = tempfile::tempdir().expect("a folder");
    let database = stock(directory.path(), true).await;
    let mut request = transaction(&["a"]);
    request["ClientRequestToken"] = json!("order-1");
    let held = database.commits.write().await;
    let first = tokio::spawn({
        let (database, request) = (Arc::clone(&database), request.clone());
        async move { call(&database, "TransactWriteItems", request).await }
    });
    let id = "Stock\0{\"S\":\"a\"}".to_owned();
    while !database.in_flight.conflicts(std::slice::from_ref(&id))[0] {
        tokio::task::yield_now().await;
    }
    let again = call(&database, "TransactWriteItems", request.clone()).await;
    let code = again.expect_err("in progress").code;
    assert_eq!(code, "TransactionInProgressException");
    drop(held);
    assert!(first.await.expect("no panic").is_ok());
    assert!(call(&database, "TransactWriteItems", request).await.is_ok());
}
