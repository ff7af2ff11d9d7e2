//! The port to the stream.

use aws_adapters::kinesis_records::{KinesisRecords, PutRecordError, PutRecords, StreamEntry};
use std::future::Future;

/// Takes readings.
pub trait ReadingStream: Send + Sync {
    /// Puts all of them on the stream and answers for each, in the given order.
    ///
    /// An adapter MUST look at the answer for every reading, and MUST put again what was not taken,
    /// as long as there is time.
    fn put(
        &self,
        readings: &[StreamEntry],
    ) -> impl Future<Output = Vec<Result<(), PutRecordError>>> + Send;
}

impl<S: PutRecords> ReadingStream for KinesisRecords<S> {
    async fn put(&self, readings: &[StreamEntry]) -> Vec<Result<(), PutRecordError>> {
        self.put_all(readings).await
    }
}
