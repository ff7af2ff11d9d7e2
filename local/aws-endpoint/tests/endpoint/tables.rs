//! Tables created, changed and deleted over the API.

use aws_endpoint::{Endpoint, EndpointError, Options};
use serde_json::{Value, json};

use crate::setup::{dynamodb, ephemeral, refused, stock};

fn stock_with(member: &str, value: Value) -> Value {
    let mut table = stock();
    table["TableName"] = json!("Other");
    table[member] = value;
    table
}

#[tokio::test]
async fn a_protected_table_is_deleted_only_after_its_protection() {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    let endpoint = Endpoint::start(Options::default()).await.expect("started");
    let client = dynamodb(&endpoint);
    let key = KeySchemaElement::builder().attribute_name("sku");
    let attribute = AttributeDefinition::builder().attribute_name("sku");
    let created = client
        .create_table()
        .table_name("Stock")
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key.key_type(KeyType::Hash).build().expect("a key"))
        .attribute_definitions(
            attribute
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("an attribute"),
        )
        .deletion_protection_enabled(true)
        .send()
        .await
        .expect("created");
    let protected = created.table_description.expect("a table");
    assert_eq!(protected.deletion_protection_enabled, Some(true));

    let (code, message) = refused(&endpoint, "DeleteTable", json!({"TableName": "Stock"})).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "Resource cannot be deleted as it is currently protected against deletion. Disable \
         deletion protection first."
    );

    client
        .update_table()
        .table_name("Stock")
        .deletion_protection_enabled(false)
        .send()
        .await
        .expect("updated");
    client
        .delete_table()
        .table_name("Stock")
        .send()
        .await
        .expect("deleted");
}

#[tokio::test]
async fn members_of_a_table_that_would_have_no_effect_are_refused_by_name() {
    let (endpoint, _client) = ephemeral().await;
    let units = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1});
    for (member, value) in [
        ("BillingMode", json!("PROVISIONED")),
        ("BillingMode", Value::Null),
        ("ProvisionedThroughput", units.clone()),
        ("OnDemandThroughput", json!({"MaxReadRequestUnits": 1})),
        ("TableClass", json!("STANDARD_INFREQUENT_ACCESS")),
        ("ResourcePolicy", json!("{}")),
        ("Misspelt", json!(1)),
    ] {
        let table = stock_with(member, value);
        let (code, message) = refused(&endpoint, "CreateTable", table.clone()).await;
        assert_eq!(code, "ValidationException");
        assert!(message.contains(member), "{message}");
        let error = endpoint.create_table(&table).await;
        assert!(matches!(error, Err(EndpointError::Refused(_))), "{error:?}");
    }
    let index = json!({"IndexName": "i", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "sku", "KeyType": "HASH"}],
        "ProvisionedThroughput": units});
    let table = stock_with("GlobalSecondaryIndexes", json!([index]));
    let (_, message) = refused(&endpoint, "CreateTable", table).await;
    assert!(message.contains("ProvisionedThroughput"), "{message}");
    for request in [
        json!({"TableName": "Stock"}),
        json!({"TableName": "Stock", "StreamSpecification": {"StreamEnabled": false}}),
        json!({"TableName": "Stock", "DeletionProtectionEnabled": "yes"}),
    ] {
        refused(&endpoint, "UpdateTable", request).await;
    }
}

#[tokio::test]
async fn encryption_tags_and_backups_of_a_table_are_taken_and_change_nothing() {
    let (endpoint, _client) = ephemeral().await;
    let mut table = stock_with("SSESpecification", json!({"Enabled": true}));
    table["Tags"] = json!([{"Key": "team", "Value": "shop"}]);
    table["PointInTimeRecoverySpecification"] = json!({"PointInTimeRecoveryEnabled": true});
    table["BillingMode"] = json!("PAY_PER_REQUEST");
    let created = endpoint.call("dynamodb", "CreateTable", table).await;
    let description = &created.expect("created")["TableDescription"];
    assert_eq!(description["DeletionProtectionEnabled"], json!(false));
}
