//! What a host does with data streams, delivery streams with their buckets, and topics.

use std::path::PathBuf;
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::endpoint_error::EndpointError;
use crate::firehose::DeliveryStreamOptions;
use crate::kinesis::{DataStream, DataStreamOptions};
use crate::topics::TopicMessage;

impl Endpoint {
    /// Creates a data stream. One that is kept goes on with its records and shards, which are
    /// split or merged to the number that a provisioned one is to have now.
    ///
    /// # Errors
    /// [`EndpointError::Storage`], when it cannot be kept.
    pub fn create_data_stream(&self, options: DataStreamOptions) -> Result<(), EndpointError> {
        self.services.kinesis.ensure_stream(options)
    }

    /// The data stream of this name.
    #[must_use]
    pub fn data_stream(&self, name: &str) -> Option<DataStream> {
        self.services.kinesis.stream(name)
    }

    /// Splits or merges the shards of a data stream, on demand or not, until so many are open: as
    /// AWS does by itself with one on demand.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`] for no such stream, [`EndpointError::Storage`] when it cannot
    /// be written.
    pub fn reshard(&self, stream: &str, shards: u32) -> Result<(), EndpointError> {
        self.services.kinesis.reshard(stream, shards)
    }

    /// Creates a bucket, unless there is one, with the objects that are in its folder.
    pub fn create_bucket(&self, name: &str) {
        self.services.buckets.create(name);
    }

    /// Creates a delivery stream, with the records that an earlier run took and did not deliver.
    pub fn create_delivery_stream(&self, options: DeliveryStreamOptions) {
        self.services.firehose.create(options);
    }

    /// Records that delivery streams took and that are in no object yet.
    #[must_use]
    pub fn undelivered_records(&self) -> usize {
        self.services.firehose.undelivered()
    }

    /// Writes all that delivery streams have gathered, whenever it would be due.
    ///
    /// # Errors
    /// [`EndpointError::Storage`] when an object cannot be written: it is tried again later.
    pub async fn flush_deliveries(&self) -> Result<(), EndpointError> {
        let services = Arc::clone(&self.services);
        let flush = move || services.firehose.flush(&services.buckets, true);
        tokio::task::spawn_blocking(flush)
            .await
            .unwrap_or_else(|error| {
                Err(EndpointError::Storage {
                    path: PathBuf::from("firehose"),
                    what: error.to_string(),
                })
            })
    }

    /// Creates a topic, unless there is one.
    pub fn create_topic(&self, arn: &str) {
        self.services.topics.create(arn);
    }

    /// The messages that topics took so far.
    #[must_use]
    pub fn topic_messages(&self) -> Vec<TopicMessage> {
        self.services.topics.published()
    }
}
