//! What a function's payload is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// One event or request in a payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// Stream of the event; empty where the payload does not say.
    pub stream: String,
    /// `OrderPlaced v1`, `POST /orders`.
    pub event: String,
    /// What a batch's answer calls the record, where the payload is a batch.
    pub record: Option<String>,
}

/// The events or the request in a payload; one nameless subject where it has none that we know.
#[must_use]
pub fn subjects(payload: &Value) -> Vec<Subject> {
    if let Some(records) = payload.get("Records").and_then(Value::as_array) {
        return records.iter().map(of_record).collect();
    }
    vec![of_payload(payload)]
}

fn of_record(record: &Value) -> Subject {
    if let Some(change) = record.get("dynamodb") {
        let attribute = |name: &str, kind: &str| {
            ["NewImage", "Keys"]
                .iter()
                .find_map(|part| change[part][name][kind].as_str().map(str::to_owned))
        };
        let event =
            attribute("eventType", "S").or_else(|| record["eventName"].as_str().map(str::to_owned));
        return Subject {
            stream: attribute("streamId", "S").unwrap_or_default(),
            event: versioned(event.as_deref(), attribute("version", "N").as_deref()),
            record: change["SequenceNumber"].as_str().map(str::to_owned),
        };
    }
    if let Some(put) = record.get("kinesis") {
        let data = put["data"]
            .as_str()
            .and_then(|data| BASE64.decode(data).ok());
        let event = data.and_then(|data| serde_json::from_slice(&data).ok());
        return Subject {
            record: put["sequenceNumber"].as_str().map(str::to_owned),
            ..of_payload(&event.unwrap_or_default())
        };
    }
    let body = record["body"].as_str().unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    Subject {
        record: record["messageId"].as_str().map(str::to_owned),
        ..of_payload(&body)
    }
}

fn of_payload(payload: &Value) -> Subject {
    if let Some(http) = payload.pointer("/requestContext/http") {
        let text = |name: &str| http[name].as_str().unwrap_or_default();
        return Subject {
            event: format!("{} {}", text("method"), text("path")),
            ..Subject::default()
        };
    }
    let detail = payload
        .get("detail")
        .filter(|detail| detail.get("eventType").is_some())
        .unwrap_or(payload);
    let text = |name: &str| detail[name].as_str();
    let event = text("eventType").or_else(|| payload["detail-type"].as_str());
    let version = detail.get("version").filter(|version| version.is_number());
    Subject {
        stream: text("streamId").unwrap_or_default().to_owned(),
        event: versioned(event, version.map(Value::to_string).as_deref()),
        record: None,
    }
}

fn versioned(event: Option<&str>, version: Option<&str>) -> String {
    match (event, version) {
        (Some(event), Some(version)) => format!("{event} v{version}"),
        (Some(event), None) => event.to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_payload_says_what_it_is_about() {
        let batch = json!({"Records": [{"eventName": "INSERT", "dynamodb": {
            "SequenceNumber": "7",
            "NewImage": {"streamId": {"S": "order-1"}, "eventType": {"S": "OrderPlaced"},
                         "version": {"N": "1"}}}}]});
        let found = subjects(&batch);
        assert_eq!(found[0].stream, "order-1");
        assert_eq!(found[0].event, "OrderPlaced v1");
        assert_eq!(found[0].record.as_deref(), Some("7"));

        let bus = json!({"version": "0", "detail-type": "OrderPlaced",
            "detail": {"eventType": "OrderPlaced", "streamId": "order-1", "version": 2}});
        assert_eq!(subjects(&bus)[0].event, "OrderPlaced v2");

        let put = json!({"Records": [{"kinesis": {
            "sequenceNumber": "49", "data": BASE64.encode(bus.to_string())}}]});
        assert_eq!(
            subjects(&put),
            [Subject {
                record: Some("49".to_owned()),
                ..subjects(&bus).remove(0)
            }]
        );

        let plain = json!({"eventId": "12345", "eventType": "OrderPlaced", "data": {}});
        assert_eq!(subjects(&plain)[0].event, "OrderPlaced");

        let request = json!({"requestContext": {"http": {"method": "POST", "path": "/orders"}}});
        assert_eq!(subjects(&request)[0].event, "POST /orders");

        assert_eq!(subjects(&json!(1)), [Subject::default()]);
    }
}
