//! Which members of `CreateTable` and `UpdateTable` are served. The others are
//! refused: a table that ignores them would be another one than on AWS.

use serde_json::Value;

use crate::ApiError;

/// Members of `CreateTable`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html>).
/// Keys and indexes are checked where they are read.
const OF_A_TABLE: [&str; 8] = [
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TableName",
];
/// Members without an effect that a caller could see through this endpoint:
/// encryption at rest, tags, backups.
const HARMLESS: [&str; 4] = [
    "PointInTimeRecovery",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "Tags",
];
const OF_AN_INDEX: [&str; 3] = ["IndexName", "KeySchema", "Projection"];
/// What `UpdateTable` can change here.
const CHANGEABLE: [&str; 3] = ["BillingMode", "DeletionProtectionEnabled", "TableName"];

/// Checks the members of a `CreateTable` request.
pub(super) fn check_create(request: &Value) -> Result<(), ApiError> {
    check_billing(request)?;
    if request["BillingMode"].is_null() && request["ProvisionedThroughput"].is_null() {
        // PROVISIONED is AWS's default.
        return Err(ApiError::validation(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits \
             must both be specified when BillingMode is PROVISIONED",
        ));
    }
    check_members(request, "CreateTable", |member| {
        OF_A_TABLE.contains(&member) || HARMLESS.contains(&member)
    })?;
    let indexes = request["GlobalSecondaryIndexes"].as_array();
    indexes.into_iter().flatten().try_for_each(|index| {
        check_members(index, "GlobalSecondaryIndexes", |member| {
            OF_AN_INDEX.contains(&member)
        })
    })
}

/// Checks the members of an `UpdateTable` request.
pub(super) fn check_update(request: &Value) -> Result<(), ApiError> {
    check_billing(request)?;
    check_members(request, "UpdateTable", |member| {
        CHANGEABLE.contains(&member)
    })
}

/// Refuses provisioned capacity: it would have to throttle.
fn check_billing(request: &Value) -> Result<(), ApiError> {
    match request["BillingMode"].as_str() {
        None | Some("PAY_PER_REQUEST") => Ok(()),
        Some("PROVISIONED") => Err(ApiError::unsupported(
            "BillingMode PROVISIONED; use PAY_PER_REQUEST",
        )),
        Some(other) => Err(ApiError::validation(format!(
            "1 validation error detected: Value '{other}' at 'billingMode' failed to satisfy \
             constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"
        ))),
    }
}

fn check_members(
    request: &Value,
    of: &str,
    supported: impl Fn(&str) -> bool,
) -> Result<(), ApiError> {
    let members = request.as_object().into_iter().flatten();
    let given = members.filter(|(_, value)| !value.is_null());
    match given.map(|(member, _)| member).find(|m| !supported(m)) {
        None => Ok(()),
        Some(member) => Err(ApiError::unsupported(format!("{member} of {of}"))),
    }
}
