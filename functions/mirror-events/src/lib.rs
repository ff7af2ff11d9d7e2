//! Every recorded event (bus) → what its stream has more than the mirror → a Kafka topic.
//!
//! Reading order: [`ports`], [`handler`] (what is mirrored when), [`kafka_topic`] (the topic on a
//! cluster), [`partitioning`] (which partition a key belongs to), [`config`].

pub mod config;
pub mod handler;
pub mod kafka_topic;
pub mod partitioning;
pub mod ports;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_mirror_positions::DynamoDbMirrorPositions;
use aws_adapters::{lambda, telemetry};
use event_sourcing::clock::SystemClock;
use event_sourcing::failure::Failure;
use kafka_topic::KafkaTopic;
use serde_json::json;

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let dead_letters = config
        .dead_letter_queue
        .map(|url| aws.dead_letter_queue(url));
    let handler = config.cluster.map(|cluster| {
        handler::Handler::new(
            DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table),
            DynamoDbMirrorPositions::new(aws.dynamodb(), config.positions_table),
            KafkaTopic::new(cluster, aws.clone()),
            SystemClock,
        )
    });
    let handler = &handler;
    lambda::serve_consumer(dead_letters, |invocation| async move {
        let event = lambda::event_of(invocation.payload.clone())?;
        let Some(handler) = handler else {
            return Err(Failure::Permanent(
                "events are mirrored nowhere: deploy with the parameter KafkaMirror".into(),
            ));
        };
        let mirrored = handler
            .handle(&event, &invocation.request_id, invocation.is_redrive())
            .await?;
        Ok(json!({ "mirrored": mirrored }))
    })
    .await
}
