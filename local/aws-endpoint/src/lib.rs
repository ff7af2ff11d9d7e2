//! One HTTP endpoint on loopback that speaks AWS's JSON protocols to the real
//! SDKs and the CLI: `DynamoDB` with streams, SQS, `EventBridge` `PutEvents`, Kinesis data streams,
//! Firehose into S3 and what reads S3, SNS `Publish`, SSM parameters, KMS data keys, `CloudWatch`
//! Logs `FilterLogEvents`, `SESv2` mail, Lambda's `Invoke`, STS `GetCallerIdentity`.
//!
//! What holds on AWS holds here: limits, capacity units, cancellation reasons,
//! conflicts of transactions, sizes of events. `awsim-dynamodb` and
//! `awsim-sqs` are the engines inside; where they are laxer than AWS, this
//! crate stands in front of them.
//!
//! - [`Endpoint`]: starting it, creating what it serves, calling it in process
//! - `server`: HTTP, which service and operation, answers and errors
//! - `dynamodb`: expressions, limits, capacity, transactions
//! - `streams`: the durable change log and what consumers read of it
//! - `kinesis`: data streams, their shards and limits
//! - `firehose`, `buckets`, `s3`: records gathered into objects, the objects, and reading them
//! - `sqs`, `events`, `functions`, `parameters`, `kms`, `mail`, `topics`: the smaller services
//! - [`Site`]: what a host serves at the same address and is none of AWS
//! - [`MeterSnapshot`], [`Faults`]: what was called, and what goes wrong on purpose
//! - [`Permissions`]: who may call what, as policies of IAM do
//!
//! In the data directory: `dynamodb/` (items), `tables.json` (definitions),
//! `changes.jsonl` (the change log with checkpoints), `kinesis.jsonl` (data streams), `firehose.jsonl`
//! (records that are in no object yet), `archive/` (objects, unless another folder is named), `queues.json`,
//! `parameters.json` (those that were put), `kms.json` (master keys), `logs.jsonl` (the lines of log
//! groups), `lock`.

mod access;
mod api_error;
mod buckets;
mod clock;
mod dynamodb;
mod endpoint;
mod endpoint_error;
mod events;
mod faults;
mod files;
mod firehose;
mod functions;
mod kinesis;
mod kms;
mod lines;
mod logs;
mod mail;
mod meter;
mod parameters;
mod s3;
mod server;
mod services;
mod sites;
mod sqs;
mod streams;
mod topics;

pub use access::{Access, Permissions};
pub use api_error::ApiError;
pub use async_trait::async_trait;
pub use endpoint::{Endpoint, Options};
pub use endpoint_error::EndpointError;
pub use events::{BusEvent, EventSink, MAX_PUT_EVENTS_BYTES};
pub use faults::{CallInfo, Fault, Faults};
pub use firehose::{DeliveryStreamOptions, ObjectKeys};
pub use functions::{FunctionCall, FunctionCalls};
pub use kinesis::{DataRecord, DataShard, DataStream, DataStreamOptions};
pub use mail::SentEmail;
pub use meter::{CallKey, Counters, MeterSnapshot};
pub use sites::Site;
pub use sqs::{MAX_MESSAGE_BYTES, QueueDepth};
pub use streams::{StreamRecord, TableStream, sequence_of};
pub use topics::TopicMessage;
