//! The tables, as the template and the peers' documentation define them.

use serde_json::{Value, json};

/// All of them.
pub(crate) fn all() -> Vec<Value> {
    let mut castore = table("castore", "aggregateId", Some("version"));
    castore["AttributeDefinitions"] = json!([
        {"AttributeName": "aggregateId", "AttributeType": "S"},
        {"AttributeName": "version", "AttributeType": "N"},
        {"AttributeName": "eventStoreId", "AttributeType": "S"},
        {"AttributeName": "timestamp", "AttributeType": "S"},
    ]);
    castore["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "initialEvents",
        "KeySchema": [
            {"AttributeName": "eventStoreId", "KeyType": "HASH"},
            {"AttributeName": "timestamp", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }]);
    let events = |name: &str| table(name, "AggregateTypeAndId", Some("AggregateIdSequence"));
    let snapshots = |name: &str| table(name, "AggregateTypeAndId", None);
    vec![
        table("EventStore", "streamId", Some("version")),
        events("Events"),
        snapshots("Snapshots"),
        events("AggregateEvents"),
        snapshots("Aggregates"),
        castore,
    ]
}

fn table(name: &str, partition: &str, sort: Option<&str>) -> Value {
    let mut keys = vec![json!({"AttributeName": partition, "KeyType": "HASH"})];
    let mut attributes = vec![json!({"AttributeName": partition, "AttributeType": "S"})];
    if let Some(sort) = sort {
        keys.push(json!({"AttributeName": sort, "KeyType": "RANGE"}));
        attributes.push(json!({"AttributeName": sort, "AttributeType": "N"}));
    }
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys,
        "AttributeDefinitions": attributes,
    })
}
