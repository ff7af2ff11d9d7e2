use super::*;
use std::sync::Mutex;

/// Takes what it is given but the readings of one device.
#[derive(Default)]
struct Stream {
    taken: Mutex<Vec<StreamEntry>>,
    busy_for: Option<(&'static str, PutRecordError)>,
}

impl ReadingStream for Stream {
    async fn put(&self, readings: &[StreamEntry]) -> Vec<Result<(), PutRecordError>> {
        let answer = |entry: &StreamEntry| match &self.busy_for {
            Some((key, error)) if entry.partition_key == *key => Err(error.clone()),
            _ => {
                self.taken.lock().unwrap().push(entry.clone());
                Ok(())
            }
        };
        readings.iter().map(answer).collect()
    }
}

fn request(scope: &str, body: &Value) -> HttpRequest {
    HttpRequest::from_payload(json!({
        "version": "2.0", "routeKey": "POST /telemetry", "rawPath": "/telemetry",
        "headers": {}, "isBase64Encoded": false, "body": body.to_string(),
        "requestContext": {"http": {"method": "POST", "path": "/telemetry"},
            "authorizer": {"jwt": {"claims": {"sub": "gateway-1", "scope": scope}, "scopes": null}}},
    }))
    .unwrap()
}

fn reading() -> Value {
    json!({"deviceId": "cold-store-7", "sensor": "temperature", "value": -18.40, "unit": "Cel",
        "at": "2025-01-01T12:00:00Z"})
}

fn changed(field: &str, value: Value) -> Value {
    let mut reading = reading();
    reading[field] = value;
    reading
}

async fn sent(stream: Stream, readings: &[Value]) -> (Result<HttpResponse, Problem>, Stream) {
    let handler = Handler { stream };
    let request = request("telemetry:write", &json!({ "readings": readings }));
    (handler.handle(&request).await, handler.stream)
}

#[tokio::test]
async fn readings_are_put_under_their_device_and_read_back_as_they_were_checked() {
    let readings = [reading(), changed("deviceId", json!("door-1"))];
    let (answer, stream) = sent(Stream::default(), &readings).await;
    assert_eq!(
        answer.unwrap(),
        HttpResponse::json(202, json!({"accepted": 2}))
    );
    let taken = stream.taken.into_inner().unwrap();
    let keys: Vec<_> = taken
        .iter()
        .map(|entry| entry.partition_key.as_str())
        .collect();
    assert_eq!(keys, ["device-cold-store-7", "device-door-1"]);
    let read: Value = serde_json::from_slice(&taken[0].data).unwrap();
    assert_eq!(read, reading());
    assert!(Record::parse(&taken[1].data).is_ok());
}

#[tokio::test]
async fn a_bad_reading_is_named_and_nothing_of_its_batch_is_put() {
    for (field, value) in [
        ("deviceId", json!("")),
        ("sensor", json!(7)),
        ("value", json!("warm")),
        ("value", json!(1e300)),
        ("unit", json!("x".repeat(1000))),
        ("at", json!("yesterday")),
        ("eventId", json!({})),
        ("colour", json!("red")),
    ] {
        let (answer, stream) = sent(Stream::default(), &[reading(), changed(field, value)]).await;
        let problem = answer.unwrap_err();
        assert_eq!(problem.status, 400);
        assert_eq!(problem.field, Some(format!("readings[1].{field}")));
        assert!(stream.taken.into_inner().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_batch_has_readings_and_not_too_many() {
    for count in [0, MAX_READINGS + 1] {
        let (answer, _) = sent(Stream::default(), &vec![reading(); count]).await;
        assert_eq!(answer.unwrap_err().field.as_deref(), Some("readings"));
    }
    let (answer, _) = sent(Stream::default(), &vec![reading(); MAX_READINGS]).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn what_was_not_taken_is_to_be_sent_again() {
    let busy = PutRecordError::Unavailable("busy".into());
    let stream = Stream {
        busy_for: Some(("device-door-1", busy)),
        ..Stream::default()
    };
    let readings = [reading(), changed("deviceId", json!("door-1"))];
    let (answer, _) = sent(stream, &readings).await;
    let problem = answer.unwrap_err();
    assert_eq!((problem.status, problem.kind), (503, "unavailable"));
    assert!(problem.detail.starts_with("1 of 2 readings were not taken"));

    let refused = PutRecordError::Refused("no".into());
    let stream = Stream {
        busy_for: Some(("device-door-1", refused)),
        ..Stream::default()
    };
    let (answer, _) = sent(stream, &readings).await;
    assert_eq!(answer.unwrap_err().status, 500);
}

#[tokio::test]
async fn only_who_may_write_telemetry_does() {
    let body = json!({"readings": [reading()]});
    for scope in ["", "orders:operate", "orders:write inventory:write"] {
        let handler = Handler {
            stream: Stream::default(),
        };
        let answer = handler.handle(&request(scope, &body)).await;
        assert_eq!(answer.unwrap_err().status, 403, "{scope}");
    }
}
