//! `AWS::DynamoDB::Table` as a `CreateTable` request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Logical id in the template.
    pub logical_id: String,
    /// `TableName`, else `<stack>-<logical id>`.
    pub name: String,
    /// The table's ARN.
    pub arn: String,
    /// The body of a `CreateTable` request.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html>
    pub create_table_request: Value,
    /// Whether the table has a stream.
    pub has_stream: bool,
    /// The attribute of an enabled `TimeToLiveSpecification`.
    pub ttl_attribute: Option<String>,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Table, TemplateError> {
    properties.without_local_effect(&[
        "ContributorInsightsSpecification",
        "DeletionProtectionEnabled",
        "OnDemandThroughput",
        "PointInTimeRecoverySpecification",
        "ResourcePolicy",
        "SSESpecification",
        "TableClass",
        "TableName",
        "Tags",
        "WarmThroughput",
    ]);
    let name = resolver.physical_name(declaration)?;
    let mut request = Map::new();
    request.insert("TableName".to_owned(), json!(name));
    let billing = properties.choice("BillingMode", &["PROVISIONED", "PAY_PER_REQUEST"])?;
    let billing = billing.unwrap_or_else(|| "PROVISIONED".to_owned());
    let provisioned = billing == "PROVISIONED";
    request.insert("BillingMode".to_owned(), json!(billing));
    let (definitions, defined) = definitions(properties)?;
    request.insert("AttributeDefinitions".to_owned(), definitions);
    let mut used = BTreeSet::new();
    properties.required("KeySchema")?;
    let schema = key_schema(properties, &defined, &mut used)?;
    request.insert("KeySchema".to_owned(), schema);
    throughput(properties, provisioned, &mut request)?;
    for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let mut indexes = Vec::new();
        for mut index in properties.maps(kind)? {
            let global = kind == "GlobalSecondaryIndexes";
            indexes.push(secondary_index(
                &mut index,
                &defined,
                &mut used,
                global.then_some(provisioned),
            )?);
            index.finish()?;
        }
        if !indexes.is_empty() {
            request.insert(kind.to_owned(), Value::Array(indexes));
        }
    }
    if let Some(unused) = defined.difference(&used).next() {
        let problem = format!(
            "defines `{unused}`, which no key uses; DynamoDB refuses that (define key attributes \
             only)"
        );
        return Err(properties.invalid("AttributeDefinitions", problem));
    }
    let has_stream = stream(properties, &mut request)?;
    let mut ttl_attribute = None;
    if let Some(mut ttl) = properties.map("TimeToLiveSpecification")? {
        if ttl.boolean("Enabled")?.unwrap_or(false) {
            ttl_attribute = Some(ttl.required_text("AttributeName")?);
        }
        ttl.without_local_effect(&["AttributeName"]);
        ttl.finish()?;
    }
    Ok(Table {
        logical_id: declaration.logical_id.clone(),
        name,
        arn: resolver.arn(declaration)?,
        create_table_request: Value::Object(request),
        has_stream,
        ttl_attribute,
    })
}

fn definitions(
    properties: &mut Properties<'_>,
) -> Result<(Value, BTreeSet<String>), TemplateError> {
    properties.required("AttributeDefinitions")?;
    let mut names = BTreeSet::new();
    let mut definitions = Vec::new();
    for mut definition in properties.maps("AttributeDefinitions")? {
        let name = definition.required_text("AttributeName")?;
        definition.required("AttributeType")?;
        let kind = definition.choice("AttributeType", &["S", "N", "B"])?;
        definitions.push(json!({"AttributeName": name, "AttributeType": kind}));
        names.insert(name);
        definition.finish()?;
    }
    Ok((Value::Array(definitions), names))
}

fn key_schema(
    properties: &mut Properties<'_>,
    defined: &BTreeSet<String>,
    used: &mut BTreeSet<String>,
) -> Result<Value, TemplateError> {
    let mut schema = Vec::new();
    let mut kinds = Vec::new();
    for mut key in properties.maps("KeySchema")? {
        let name = key.required_text("AttributeName")?;
        key.required("KeyType")?;
        let kind = key
            .choice("KeyType", &["HASH", "RANGE"])?
            .unwrap_or_default();
        if !defined.contains(&name) {
            let problem = format!("is `{name}`, which AttributeDefinitions does not define");
            return Err(key.invalid("AttributeName", problem));
        }
        schema.push(json!({"AttributeName": name, "KeyType": kind}));
        kinds.push(kind);
        used.insert(name);
        key.finish()?;
    }
    if matches!(kinds.as_slice(), [hash] if hash == "HASH")
        || matches!(kinds.as_slice(), [hash, range] if hash == "HASH" && range == "RANGE")
    {
        return Ok(Value::Array(schema));
    }
    let problem = "must be one HASH key, or one HASH and then one RANGE key";
    Err(properties.invalid("KeySchema", problem))
}

fn throughput(
    properties: &mut Properties<'_>,
    provisioned: bool,
    request: &mut Map<String, Value>,
) -> Result<(), TemplateError> {
    let Some(mut units) = properties.map("ProvisionedThroughput")? else {
        if provisioned {
            let problem = "is required with BillingMode PROVISIONED, which is the default";
            return Err(properties.invalid("ProvisionedThroughput", problem));
        }
        return Ok(());
    };
    let limits = (1, 1_000_000_000);
    units.required("ReadCapacityUnits")?;
    units.required("WriteCapacityUnits")?;
    let read = units.integer("ReadCapacityUnits", limits)?;
    let write = units.integer("WriteCapacityUnits", limits)?;
    units.finish()?;
    if !provisioned {
        let problem = "must not be given with BillingMode PAY_PER_REQUEST";
        return Err(properties.invalid("ProvisionedThroughput", problem));
    }
    let units = json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write});
    request.insert("ProvisionedThroughput".to_owned(), units);
    Ok(())
}

/// `provisioned` is `None` for a local index, which has no throughput of its own.
fn secondary_index(
    index: &mut Properties<'_>,
    defined: &BTreeSet<String>,
    used: &mut BTreeSet<String>,
    provisioned: Option<bool>,
) -> Result<Value, TemplateError> {
    index.without_local_effect(&[
        "ContributorInsightsSpecification",
        "OnDemandThroughput",
        "WarmThroughput",
    ]);
    let mut request = Map::new();
    let name = index.required_text("IndexName")?;
    request.insert("IndexName".to_owned(), json!(name));
    index.required("KeySchema")?;
    let schema = key_schema(index, defined, used)?;
    request.insert("KeySchema".to_owned(), schema);
    index.required("Projection")?;
    if let Some(mut projection) = index.map("Projection")? {
        let allowed = ["ALL", "KEYS_ONLY", "INCLUDE"];
        let kind = projection.choice("ProjectionType", &allowed)?;
        let included = projection.texts("NonKeyAttributes")?;
        let mut value = json!({"ProjectionType": kind.as_deref().unwrap_or("ALL")});
        if (kind.as_deref() == Some("INCLUDE")) == included.is_empty() {
            let problem = "goes with ProjectionType INCLUDE, and only with it";
            return Err(projection.invalid("NonKeyAttributes", problem));
        }
        if !included.is_empty() {
            value["NonKeyAttributes"] = json!(included);
        }
        request.insert("Projection".to_owned(), value);
        projection.finish()?;
    }
    if let Some(provisioned) = provisioned {
        throughput(index, provisioned, &mut request)?;
    }
    Ok(Value::Object(request))
}

fn stream(
    properties: &mut Properties<'_>,
    request: &mut Map<String, Value>,
) -> Result<bool, TemplateError> {
    let Some(mut stream) = properties.map("StreamSpecification")? else {
        return Ok(false);
    };
    stream.without_local_effect(&["ResourcePolicy"]);
    let views = ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];
    stream.required("StreamViewType")?;
    let view = stream.choice("StreamViewType", &views)?;
    stream.finish()?;
    request.insert(
        "StreamSpecification".to_owned(),
        json!({"StreamEnabled": true, "StreamViewType": view}),
    );
    Ok(true)
}
