//! Who gave which event up: what the messages in dead-letter queues say.

use aws_endpoint::{TableStream, sequence_of};
use invariants::GivenUp;
use lambda_host::stream_mapping;
use serde_json::Value;

use crate::queues::{DeadLetter, queue_name};
use crate::table_source::SHARDS;

/// The events that a message in a dead-letter queue is about; none for one that is about nothing
/// that the template's functions take.
#[must_use]
pub fn given_up(letter: &DeadLetter, template: &sam_template::Stack) -> Vec<GivenUp> {
    let body: Value = serde_json::from_str(&letter.body).unwrap_or_default();
    let ids: Vec<&str> = event_ids(&body, &letter.records);
    consumers(letter, &body, template)
        .into_iter()
        .flat_map(|consumer| {
            ids.iter().map(move |id| GivenUp {
                consumer: consumer.to_owned(),
                event_id: (*id).to_owned(),
            })
        })
        .collect()
}

/// Whose the message is: it says so itself, unless it is a plain event in a function's dead-letter
/// queue.
fn consumers<'t>(
    letter: &DeadLetter,
    body: &Value,
    template: &'t sam_template::Stack,
) -> Vec<&'t str> {
    let said = body["requestContext"]["functionArn"].as_str();
    let said = said.or(letter.attributes.get("TARGET_ARN").map(String::as_str));
    let functions = template.functions.iter();
    let found = functions.filter(|one| {
        said.map_or_else(
            || {
                let queue = one.dead_letter.as_deref().map(queue_name);
                queue == Some(letter.queue.as_str())
            },
            // With a version behind it, or without.
            |arn| arn.split(':').nth(6) == Some(one.name.as_str()),
        )
    });
    found.map(|one| one.binary.as_str()).collect()
}

/// An event is the message itself, or inside the record of a failed invocation; of a batch there
/// are the records.
fn event_ids<'m>(body: &'m Value, records: &'m [Value]) -> Vec<&'m str> {
    let event = body.get("requestPayload").unwrap_or(body);
    let event = event.get("detail").unwrap_or(event);
    let images = records
        .iter()
        .filter_map(|record| record["dynamodb"]["NewImage"]["eventId"]["S"].as_str());
    event["eventId"]
        .as_str()
        .into_iter()
        .chain(images)
        .collect()
}

/// Where in a table's stream the records of a batch are that a mapping gave up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BatchRange {
    /// Name of the table.
    pub table: String,
    shard: String,
    first: u64,
    last: u64,
}

impl BatchRange {
    /// What a stream mapping's message says; none for another message.
    pub(crate) fn of(body: &str) -> Option<Self> {
        if !body.contains("DDBStreamBatchInfo") {
            return None;
        }
        let body: Value = serde_json::from_str(body).ok()?;
        let batch = body.get("DDBStreamBatchInfo")?;
        let text = |name: &str| batch[name].as_str();
        let (_, resource) = text("streamArn")?.split_once(":table/")?;
        Some(Self {
            table: resource.split('/').next()?.to_owned(),
            shard: text("shardId")?.to_owned(),
            first: sequence_of(text("startSequenceNumber")?)?,
            last: sequence_of(text("endSequenceNumber")?)?,
        })
    }

    /// The records.
    pub(crate) fn read(&self, stream: &TableStream) -> Vec<Value> {
        let count = usize::try_from(self.last.saturating_sub(self.first) + 1);
        let records = stream.read(self.first.saturating_sub(1), count.unwrap_or(usize::MAX));
        records
            .into_iter()
            .filter(|record| record.sequence <= self.last)
            // Between them are those of other shards.
            .filter(|record| stream_mapping::shard_id(&record.partition_key, SHARDS) == self.shard)
            .map(|record| record.record)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_endpoint::{Endpoint, Options};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn template() -> sam_template::Stack {
        let function = |name: &str| {
            format!(
                "  {name}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: {name}}}}}
    Properties:
      FunctionName: shop-{name}
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: .
      DeadLetterQueue: {{Type: SQS, TargetArn: !GetAtt {name}Dlq.Arn}}
  {name}Dlq: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}-dlq}}}}
"
            )
        };
        let yaml = format!("Resources:\n{}{}", function("reserve"), function("notify"));
        sam_template::Stack::from_yaml(&yaml, &sam_template::Context::default()).unwrap()
    }

    fn letter(queue: &str, body: &Value) -> DeadLetter {
        DeadLetter {
            queue: queue.to_owned(),
            body: body.to_string(),
            attributes: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    #[track_caller]
    fn assert_given_up(letter: &DeadLetter, consumer: &str, ids: &[&str]) {
        let expected: Vec<GivenUp> = ids
            .iter()
            .map(|id| GivenUp {
                consumer: consumer.to_owned(),
                event_id: (*id).to_owned(),
            })
            .collect();
        assert_eq!(given_up(letter, &template()), expected);
    }

    #[test]
    fn the_record_of_a_failed_invocation_names_its_function_and_has_its_event() {
        let body = json!({
            "requestContext": {"functionArn":
                "arn:aws:lambda:us-east-1:000000000000:function:shop-reserve:$LATEST"},
            "requestPayload": {"detail-type": "OrderPlaced", "detail": {"eventId": "e"}},
        });
        assert_given_up(&letter("any", &body), "reserve", &["e"]);
    }

    #[test]
    fn an_event_that_a_rule_could_not_deliver_names_its_target() {
        let mut letter = letter("any", &json!({"detail": {"eventId": "e"}}));
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:shop-notify";
        letter
            .attributes
            .insert("TARGET_ARN".to_owned(), arn.to_owned());
        assert_given_up(&letter, "notify", &["e"]);
    }

    #[test]
    fn an_event_in_a_functions_dead_letter_queue_is_that_functions() {
        let body = json!({"detail": {"eventId": "e"}});
        assert_given_up(&letter("reserve-dlq", &body), "reserve", &["e"]);
    }

    #[test]
    fn a_batch_is_about_the_events_of_its_records() {
        let body = json!({
            "requestContext": {"functionArn":
                "arn:aws:lambda:us-east-1:000000000000:function:shop-reserve"},
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000001",
                "startSequenceNumber": "100000000000000000007",
                "endSequenceNumber": "100000000000000000009",
                "streamArn":
                    "arn:aws:dynamodb:us-east-1:000000000000:table/EventStore/stream/2025",
            },
        });
        let mut letter = letter("any", &body);
        let image = |id: &str| json!({"dynamodb": {"NewImage": {"eventId": {"S": id}}}});
        letter.records = vec![image("e"), image("f")];
        assert_given_up(&letter, "reserve", &["e", "f"]);
        let range = BatchRange::of(&letter.body).unwrap();
        assert_eq!((range.first, range.last), (7, 9));
        assert_eq!(range.table, "EventStore");
        assert_eq!(BatchRange::of("{}"), None);
    }

    #[tokio::test]
    async fn the_records_of_a_batch_are_those_of_its_shard_between_its_ends() {
        let endpoint = Endpoint::start(Options::default()).await.unwrap();
        let table = json!({"TableName": "Events", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}});
        endpoint.create_table(&table).await.unwrap();
        for number in 1..=40 {
            let item =
                json!({"TableName": "Events", "Item": {"k": {"S": format!("key-{number}")}}});
            endpoint.call("dynamodb", "PutItem", item).await.unwrap();
        }
        let stream = endpoint.stream("Events").unwrap();
        let all = stream.read(0, 100);
        let shard = stream_mapping::shard_id(&all[9].partition_key, SHARDS);
        let range = BatchRange {
            table: "Events".to_owned(),
            shard: shard.clone(),
            first: all[9].sequence,
            last: all[29].sequence,
        };
        let expected: Vec<Value> = all[9..30]
            .iter()
            .filter(|one| stream_mapping::shard_id(&one.partition_key, SHARDS) == shard)
            .map(|one| one.record.clone())
            .collect();
        assert!((1..21).contains(&expected.len()));
        assert_eq!(range.read(&stream), expected);
        endpoint.shutdown().await.unwrap();
    }
}
