//! Records of one partition as the event of a mapping.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rskafka::record::{Record, RecordAndOffset};
use serde_json::{Value, json};

/// Most records of a batch, as the template's mappings have it.
const MAX_RECORDS: usize = 100;
/// Most bytes of keys, values and headers in a batch: an event of Lambda has 6 MB, with base64 and
/// names around them.
const MAX_BYTES: usize = 3 << 20;

/// Records of one partition, in order; at least one.
#[derive(Debug)]
pub(super) struct Batch {
    /// Topic and partition, as `order_events-0`.
    pub(super) partition: String,
    records: Vec<RecordAndOffset>,
}

impl Batch {
    /// As many of the records as a batch takes; none of none.
    pub(super) fn of(partition: &str, records: Vec<RecordAndOffset>) -> Option<Self> {
        let mut bytes = 0;
        let mut taken: Vec<RecordAndOffset> = Vec::new();
        for record in records.into_iter().take(MAX_RECORDS) {
            bytes += record.record.approximate_size();
            if bytes > MAX_BYTES && !taken.is_empty() {
                break;
            }
            taken.push(record);
        }
        (!taken.is_empty()).then(|| Self {
            partition: partition.to_owned(),
            records: taken,
        })
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Its first offset.
    pub(super) fn first(&self) -> i64 {
        self.records.first().map_or(0, |record| record.offset)
    }

    /// The offset to go on from, after the function's answer: behind the batch, or at the first
    /// record that has to come again.
    pub(super) fn after(&self, answer: &Value) -> i64 {
        let behind = self.records.last().map_or(0, |record| record.offset + 1);
        let failures = answer["batchItemFailures"].as_array();
        let offsets = failures
            .into_iter()
            .flatten()
            .map(|one| &one["itemIdentifier"]);
        let own = offsets.filter(|one| one["partition"] == json!(self.partition));
        own.filter_map(|one| one["offset"].as_i64())
            .min()
            .unwrap_or(behind)
    }

    /// What the function is called with.
    pub(super) fn event(&self, bootstrap: &str, topic: &str) -> Value {
        let number = self.partition.rsplit('-').next();
        let number: i32 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        let records = self.records.iter().map(|one| {
            let mut record = json!({
                "topic": topic,
                "partition": number,
                "offset": one.offset,
                "timestamp": one.record.timestamp.timestamp_millis(),
                "timestampType": "CREATE_TIME",
                "headers": headers(&one.record),
            });
            for (name, bytes) in [("key", &one.record.key), ("value", &one.record.value)] {
                if let Some(bytes) = bytes {
                    record[name] = json!(STANDARD.encode(bytes));
                }
            }
            record
        });
        json!({
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": bootstrap,
            "records": {self.partition.as_str(): records.collect::<Vec<_>>()},
        })
    }
}

/// Bytes are signed there, as in Java.
fn headers(record: &Record) -> Vec<Value> {
    let signed = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| byte.cast_signed())
            .collect::<Vec<_>>()
    };
    let headers = record.headers.iter();
    headers
        .map(|(name, bytes)| json!({name.as_str(): signed(bytes)}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_adapters::kafka_record;
    use rskafka::chrono::DateTime;

    fn record(offset: i64, value: Option<&[u8]>) -> RecordAndOffset {
        let header = ("trace".to_owned(), "ä".as_bytes().to_vec());
        let record = Record {
            key: Some(b"67890".to_vec()),
            value: value.map(<[u8]>::to_vec),
            headers: [header].into(),
            timestamp: DateTime::from_timestamp_millis(1_735_732_800_000).unwrap(),
        };
        RecordAndOffset { record, offset }
    }

    #[test]
    fn a_batch_is_what_the_function_reads() {
        let records = vec![record(5, Some(b"{}")), record(6, None)];
        let batch = Batch::of("order_events-1", records).unwrap();
        let event = batch.event("127.0.0.1:9092", "order_events");
        assert_eq!(event["records"]["order_events-1"][0]["partition"], 1);
        let (read, _) = kafka_record::records(event, false).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].value(), Ok(Some(b"{}".to_vec())));
        assert_eq!(read[0].key.as_deref(), Some(b"67890".as_slice()));
        assert_eq!(read[0].header("trace").as_deref(), Some("ä"));
        assert_eq!(read[1].value(), Ok(None));
        assert_eq!((batch.first(), batch.len()), (5, 2));
    }

    #[test]
    fn it_goes_on_behind_the_batch_or_at_what_has_to_come_again() {
        let records = (5..9).map(|offset| record(offset, None)).collect();
        let batch = Batch::of("t-0", records).unwrap();
        let failure = |partition: &str, offset: i64| json!({"itemIdentifier": {"partition": partition, "offset": offset}});
        for (failures, next) in [
            (vec![], 9),
            (vec![failure("t-1", 6)], 9),
            (vec![failure("t-0", 8), failure("t-0", 7)], 7),
        ] {
            assert_eq!(batch.after(&json!({"batchItemFailures": failures})), next);
        }
        assert_eq!(batch.after(&Value::Null), 9);
    }

    #[test]
    fn a_batch_keeps_to_what_lambda_takes() {
        let large = vec![b'x'; MAX_BYTES / 2 + 1];
        let records = vec![record(1, Some(&large)), record(2, Some(&large))];
        assert_eq!(Batch::of("t-0", records).unwrap().len(), 1);
        let many = (0..200).map(|offset| record(offset, None)).collect();
        assert_eq!(Batch::of("t-0", many).unwrap().len(), MAX_RECORDS);
        assert!(Batch::of("t-0", Vec::new()).is_none());
    }
}
