//! Records of a data stream, their numbers, and how Lambda hands them over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Number, Value, json};

use super::shards::shard_id;

/// A record of a data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRecord {
    /// Place in the stream, over all shards, from 1.
    pub sequence: u64,
    /// The shard.
    pub shard: u32,
    /// When it came, in milliseconds since the Unix epoch; never less than that of the one before.
    pub at_millis: u64,
    /// The partition key.
    pub partition_key: String,
    /// What was put.
    pub data: Bytes,
}

impl DataRecord {
    /// Name of its shard.
    #[must_use]
    pub fn shard_id(&self) -> String {
        shard_id(self.shard)
    }

    /// Its sequence number: 56 digits, growing.
    #[must_use]
    pub fn sequence_number(&self) -> String {
        sequence_number(self.sequence)
    }

    /// The record as Lambda hands it to a function.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>
    #[must_use]
    pub fn for_lambda(&self, stream_arn: &str, region: &str, role_arn: &str) -> Value {
        let number = self.sequence_number();
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": self.partition_key,
                "sequenceNumber": number,
                "data": BASE64.encode(&self.data),
                "approximateArrivalTimestamp": seconds(self.at_millis),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{}:{number}", self.shard_id()),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": role_arn,
            "awsRegion": region,
            "eventSourceARN": stream_arn,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

/// Sequence number of a sequence.
pub(super) fn sequence_number(sequence: u64) -> String {
    format!("4{sequence:055}")
}

/// The sequence in a sequence number.
pub(super) fn sequence_in(number: &str) -> Option<u64> {
    let digits = number.strip_prefix('4').filter(|rest| rest.len() == 55)?;
    digits.parse().ok()
}

/// Seconds with milliseconds as a fraction, exactly.
pub(super) fn seconds(millis: u64) -> Value {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_order_as_texts_and_as_numbers() {
        assert_eq!(sequence_number(7).len(), 56);
        assert!(sequence_number(9) < sequence_number(10));
        assert_eq!(sequence_in(&sequence_number(u64::MAX)), Some(u64::MAX));
        assert_eq!(sequence_in("7"), None);
    }

    #[test]
    fn a_function_gets_a_record_as_lambda_hands_it_over() {
        let record = DataRecord {
            sequence: 5,
            shard: 6,
            at_millis: 1_545_084_650_007,
            partition_key: "order-1".to_owned(),
            data: Bytes::from_static(b"Hello, this is a test."),
        };
        let number = sequence_number(5);
        let shown = record.for_lambda("arn:stream", "us-east-1", "arn:role");
        assert_eq!(
            shown.to_string(),
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "order-1",
                    "sequenceNumber": number,
                    "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                    "approximateArrivalTimestamp":
                        serde_json::from_str::<Value>("1545084650.007").unwrap(),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("shardId-000000000006:{number}"),
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:role",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:stream",
            })
            .to_string()
        );
    }
}
