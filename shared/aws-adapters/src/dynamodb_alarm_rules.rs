//! Rules of alarms in a table: partition key `name` (S), the `rule` (S) as JSON.

use crate::dynamodb_insights::classify;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::ids::RuleName;
use streaming_analytics::alarms::Rule;
use streaming_analytics::insights_table::{RuleTable, TableError};

/// The table of rules.
#[derive(Debug, Clone)]
pub struct DynamoDbAlarmRules {
    client: Client,
    table: String,
}

impl DynamoDbAlarmRules {
    /// The rules in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }
}

impl RuleTable for DynamoDbAlarmRules {
    async fn rules(&self) -> Result<Vec<Rule>, TableError> {
        let (mut rules, mut start) = (Vec::new(), None);
        loop {
            let scan = self.client.scan().table_name(&self.table);
            let scan = scan.consistent_read(true).set_exclusive_start_key(start);
            // Boxed here and below: the SDK's futures are large, and callers nest them.
            let page = Box::pin(scan.send()).await;
            let page = page.map_err(|error| classify(&error))?;
            for item in page.items() {
                rules.push(rule(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                rules.sort_by(|one, other| one.name().cmp(other.name()));
                return Ok(rules);
            }
        }
    }

    async fn put_rule(&self, rule: &Rule, limit: usize) -> Result<bool, TableError> {
        // Two operators at the same moment may pass the limit by one: it bounds the work of a
        // minute, and nothing else rests on it.
        let rules = self.rules().await?;
        let others = rules.iter().filter(|other| other.name() != rule.name());
        if others.count() >= limit {
            return Ok(false);
        }
        let json =
            serde_json::to_string(rule).map_err(|error| TableError::Refused(error.to_string()))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("name", AttributeValue::S(rule.name().to_string()))
            .item("rule", AttributeValue::S(json));
        Box::pin(put.send())
            .await
            .map(|_| true)
            .map_err(|error| classify(&error))
    }

    async fn remove_rule(&self, name: &RuleName) -> Result<bool, TableError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("name", AttributeValue::S(name.to_string()))
            .return_values(ReturnValue::AllOld);
        let answer = Box::pin(delete.send()).await;
        let answer = answer.map_err(|error| classify(&error))?;
        Ok(answer.attributes.is_some_and(|item| !item.is_empty()))
    }
}

fn rule(item: &Item) -> Result<Rule, TableError> {
    let text = |name: &str| {
        let value = item.get(name).and_then(|value| value.as_s().ok());
        value.map(String::as_str).unwrap_or_default()
    };
    serde_json::from_str(text("rule"))
        .map_err(|error| TableError::Damaged(format!("rule {}: {error}", text("name"))))
}
