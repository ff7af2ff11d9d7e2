//! The only crate that names an AWS SDK.
//!
//! Reading order: [`connection`] (how clients reach AWS), [`dynamodb_item`] (events as items),
//! [`dynamodb_event_store`], [`dynamodb_stock`], [`dynamodb_order_summaries`],
//! [`order_tables`] (which rows are live), [`order_projection`] (events into rows),
//! [`eventbridge_publisher`], [`publications`] (the markers that it leaves),
//! [`dynamodb_stored_events`] (the events of a period), [`stream_record`], [`kafka_record`],
//! [`table_items`],
//! [`http_api`] (requests, callers, answers and problems), [`visible_orders`] (the store as a caller
//! may see it), [`telemetry`], [`trace`], [`metrics`], [`lambda`] (the glue to the runtime); with their
//! features `dynamodb_subject_keys`, `kms_key_service`, `order_contacts` (personal data under keys
//! that can be destroyed), `kinesis_records`, `dynamodb_insights` (windows), `cloudwatch_markers`, `function_calls`, `ses_mailer` and
//! `parameter_store`.

#[cfg(feature = "archive")]
pub mod bucket;
#[cfg(feature = "logs")]
pub mod cloudwatch_markers;
pub mod connection;
#[cfg(feature = "dead-letters")]
pub mod dead_letter_message;
#[cfg(feature = "insights")]
pub mod dynamodb_alarm_rules;
#[cfg(feature = "dead-letters")]
pub mod dynamodb_dead_letters;
pub mod dynamodb_event_store;
#[cfg(feature = "feed")]
pub mod dynamodb_feed;
#[cfg(feature = "insights")]
pub mod dynamodb_insights;
pub mod dynamodb_item;
#[cfg(feature = "mirroring")]
pub mod dynamodb_mirror_positions;
pub mod dynamodb_order_summaries;
pub mod dynamodb_snapshots;
pub mod dynamodb_stock;
pub mod dynamodb_stored_events;
#[cfg(feature = "erasing")]
pub mod dynamodb_subject_keys;
pub mod environment;
pub mod eventbridge_publisher;
#[cfg(feature = "invoke")]
pub mod function_calls;
pub mod http_api;
pub mod kafka_record;
#[cfg(feature = "kinesis")]
pub mod kinesis_records;
#[cfg(feature = "sealing")]
pub mod kms_key_service;
pub mod lambda;
pub mod metrics;
#[cfg(feature = "sealing")]
pub mod order_contacts;
pub mod order_projection;
pub mod order_tables;
#[cfg(feature = "ssm")]
pub mod parameter_store;
pub mod publications;
#[cfg(feature = "archive")]
pub mod restored_events;
#[cfg(feature = "ses")]
pub mod ses_mailer;
#[cfg(feature = "dead-letter-queue")]
pub mod sqs_dead_letter_queue;
#[cfg(feature = "dead-letters")]
pub mod stream_history;
pub mod stream_record;
pub mod table_items;
pub mod telemetry;
pub mod trace;
pub mod visible_orders;
#[cfg(feature = "ssm")]
pub mod written_tables;
