//! Records on a Kinesis stream: the answer for every record is looked at, and only what was not
//! taken is sent again.

use crate::dynamodb_event_store::describe;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use event_sourcing::retry::{FullJitter, Retry, Retryable, budget};
use std::future::Future;

/// Most records of one request
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>).
pub const MAX_RECORDS: usize = 500;
/// Largest record with its partition key, and largest request, in bytes, from the same page; the
/// smaller figures of old and new quotas.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// See [`MAX_RECORD_BYTES`].
pub const MAX_REQUEST_BYTES: usize = 5 * 1024 * 1024;

/// A record as the stream takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// Records with the same key keep their order, as long as each is taken at once; 256
    /// characters at most.
    pub partition_key: String,
    /// What it holds.
    pub data: Vec<u8>,
}

impl StreamEntry {
    fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

/// Why a record is not on the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutRecordError {
    /// It was not taken this time, or nobody answered; it may be there nevertheless.
    #[error("the stream did not take the record ({0}); put it again, readers know duplicates")]
    Unavailable(String),
    /// It will never be taken.
    #[error("the stream refuses the record for good ({0}); it needs an operator")]
    Refused(String),
}

impl Retryable for PutRecordError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) => Retry::Never,
        }
    }
}

/// Takes records, one request at a time.
pub trait PutRecords: Send + Sync {
    /// Sends one request, which is within the limits, and answers for each of its records.
    fn put(
        &self,
        entries: Vec<StreamEntry>,
    ) -> impl Future<Output = Vec<Result<(), PutRecordError>>> + Send;
}

/// A stream of Kinesis.
#[derive(Debug, Clone)]
pub struct KinesisStream {
    client: Client,
    name: String,
}

/// Puts any number of records on one stream.
#[derive(Debug, Clone)]
pub struct KinesisRecords<S = KinesisStream> {
    stream: S,
    waits: FullJitter,
}

impl KinesisRecords {
    /// Records for the stream of this name.
    #[must_use]
    pub fn new(client: Client, stream: impl Into<String>) -> Self {
        let name = stream.into();
        Self::over(KinesisStream { client, name })
    }
}

impl<S: PutRecords> KinesisRecords<S> {
    /// Records for another stream of the same kind.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            waits: FullJitter::CALL,
        }
    }

    /// Puts the records and answers for each, in the given order: requests stay within the limits,
    /// and what was not taken is sent again, with backoff, as long as the invocation has time.
    pub async fn put_all(&self, entries: &[StreamEntry]) -> Vec<Result<(), PutRecordError>> {
        let unsent = || Err(PutRecordError::Unavailable("not sent".into()));
        let mut results: Vec<_> = entries
            .iter()
            .map(|entry| too_large(entry).map_or_else(unsent, Err))
            .collect();
        let mut waits = backon::BackoffBuilder::build(self.waits);
        loop {
            let open: Vec<_> = (0..entries.len())
                .filter(|at| matches!(results[*at], Err(PutRecordError::Unavailable(_))))
                .collect();
            if open.is_empty() {
                return results;
            }
            for batch in batches(entries, &open) {
                for (at, answer) in batch.iter().zip(self.put_batch(entries, batch).await) {
                    results[*at] = answer;
                }
            }
            let failed = results
                .iter()
                .any(|result| matches!(result, Err(PutRecordError::Unavailable(_))));
            match waits.next() {
                _ if !failed => return results,
                Some(wait) if budget::allows(wait) => tokio::time::sleep(wait).await,
                _ => return results,
            }
        }
    }

    async fn put_batch(
        &self,
        entries: &[StreamEntry],
        batch: &[usize],
    ) -> Vec<Result<(), PutRecordError>> {
        let sent: Vec<_> = batch.iter().map(|at| entries[*at].clone()).collect();
        let mut answers = budget::in_time(self.stream.put(sent))
            .await
            .unwrap_or_else(|late| {
                vec![Err(PutRecordError::Unavailable(late.to_string())); batch.len()]
            });
        // An answer with fewer records than asked says nothing about the rest.
        answers.resize(
            batch.len(),
            Err(PutRecordError::Unavailable("no answer for it".into())),
        );
        answers
    }
}

fn too_large(entry: &StreamEntry) -> Option<PutRecordError> {
    let bytes = entry.bytes();
    (bytes > MAX_RECORD_BYTES).then(|| {
        PutRecordError::Refused(format!(
            "it has {bytes} bytes, the stream takes {MAX_RECORD_BYTES}"
        ))
    })
}

/// The open records in requests that are within the limits.
fn batches<'o>(entries: &[StreamEntry], open: &'o [usize]) -> Vec<&'o [usize]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, at) in open.iter().enumerate() {
        let more = entries[*at].bytes();
        if index - start == MAX_RECORDS || (index > start && bytes + more > MAX_REQUEST_BYTES) {
            batches.push(&open[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += more;
    }
    if start < open.len() {
        batches.push(&open[start..]);
    }
    batches
}

impl PutRecords for KinesisStream {
    async fn put(&self, entries: Vec<StreamEntry>) -> Vec<Result<(), PutRecordError>> {
        let count = entries.len();
        let entry = |entry: StreamEntry| {
            PutRecordsRequestEntry::builder()
                .partition_key(entry.partition_key)
                .data(Blob::new(entry.data))
                .build()
        };
        let entries: Result<Vec<_>, _> = entries.into_iter().map(entry).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return vec![Err(PutRecordError::Refused(error.to_string())); count],
        };
        let request = self
            .client
            .put_records()
            .stream_name(&self.name)
            .set_records(Some(entries));
        match Box::pin(request.send()).await {
            Ok(answer) => answer.records().iter().map(result_of).collect(),
            Err(error) => {
                // https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html#API_PutRecords_Errors
                let failure = match error.code() {
                    Some("InvalidArgumentException" | "ValidationException") => {
                        PutRecordError::Refused(describe(&error))
                    }
                    _ => PutRecordError::Unavailable(describe(&error)),
                };
                vec![Err(failure); count]
            }
        }
    }
}

/// Of a single record only `ProvisionedThroughputExceededException` and `InternalFailure` are told.
fn result_of(entry: &PutRecordsResultEntry) -> Result<(), PutRecordError> {
    match entry.error_code() {
        None => Ok(()),
        Some(code) => Err(PutRecordError::Unavailable(format!(
            "{code}: {}",
            entry.error_message().unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Answers each request by the next of the given answers, then with yes, and keeps the requests.
    #[derive(Default)]
    struct Scripted {
        answers: Mutex<Vec<Vec<Result<(), PutRecordError>>>>,
        requests: Mutex<Vec<Vec<StreamEntry>>>,
    }

    impl PutRecords for Scripted {
        async fn put(&self, entries: Vec<StreamEntry>) -> Vec<Result<(), PutRecordError>> {
            let count = entries.len();
            self.requests.lock().unwrap().push(entries);
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() {
                vec![Ok(()); count]
            } else {
                answers.remove(0)
            }
        }
    }

    fn entry(key: &str, bytes: usize) -> StreamEntry {
        StreamEntry {
            partition_key: key.to_owned(),
            data: vec![b'x'; bytes],
        }
    }

    fn busy() -> Result<(), PutRecordError> {
        Err(PutRecordError::Unavailable("busy".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn only_records_that_were_not_taken_are_sent_again() {
        let stream = Scripted {
            answers: Mutex::new(vec![vec![Ok(()), busy()], vec![]]),
            ..Scripted::default()
        };
        let records = KinesisRecords::over(stream);
        let all = [entry("a", 1), entry("b", 1), entry("c", 1)];
        assert_eq!(records.put_all(&all).await, vec![Ok(()); 3]);
        let sent = records.stream.requests.into_inner().unwrap();
        assert_eq!(sent, [all.to_vec(), all[1..].to_vec(), all[1..].to_vec()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_never_takes_a_record_is_not_asked_for_ever() {
        let stream = Scripted {
            answers: Mutex::new(vec![vec![busy()]; 100]),
            ..Scripted::default()
        };
        let records = KinesisRecords::over(stream);
        assert_eq!(records.put_all(&[entry("a", 1)]).await, [busy()]);
        let asked = records.stream.requests.into_inner().unwrap().len();
        assert!((2..20).contains(&asked), "{asked}");
    }

    #[tokio::test]
    async fn requests_stay_within_the_limits_and_what_no_request_can_hold_is_refused() {
        let records = KinesisRecords::over(Scripted::default());
        let mut all = vec![entry("a", 1); 1001];
        all.extend(vec![entry("b", MAX_RECORD_BYTES - 1); 6]);
        all.push(entry("c", MAX_RECORD_BYTES));
        let answers = records.put_all(&all).await;
        let (last, taken) = answers.split_last().unwrap();
        assert!(taken.iter().all(Result::is_ok));
        assert!(matches!(last, Err(PutRecordError::Refused(_))), "{last:?}");
        let sent = records.stream.requests.into_inner().unwrap();
        let sizes: Vec<_> = sent.iter().map(Vec::len).collect();
        assert_eq!(sizes, [500, 500, 1 + 4, 2]);
    }

    #[tokio::test]
    async fn nothing_is_asked_for_no_records() {
        let records = KinesisRecords::over(Scripted::default());
        assert_eq!(records.put_all(&[]).await, []);
        assert!(records.stream.requests.into_inner().unwrap().is_empty());
    }
}
