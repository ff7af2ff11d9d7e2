//! The table in memory keeps the contract of every table of insights.
#![cfg(feature = "contract")]

use streaming_analytics::insights_table::{InMemoryInsights, contract};

#[tokio::test]
async fn the_table_of_insights_in_memory_keeps_the_contract() {
    let table = InMemoryInsights::default();
    contract::holds(&table).await.unwrap();
    contract::rules_are_kept(&table).await.unwrap();
}
