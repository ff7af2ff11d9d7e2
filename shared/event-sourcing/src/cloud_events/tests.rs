use super::*;
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::json;

/// What comes back is what went out; null says nothing, and JSON without a media type gets the one
/// that it implies.
#[track_caller]
fn comes_back_as(event: Value, expected: Value) -> Envelope {
    let Sourced { source, envelope } = from_cloud_event(event).unwrap();
    let text = to_cloud_event(&envelope, &source).to_string();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    envelope
}

// The four examples of section 3.2 of the JSON event format, version 1.0.2.

#[test]
fn the_official_example_with_an_object() {
    let mut event = json!({
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
        "subject": null, "id": "C234-1234-1234", "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value", "comexampleothervalue": 5,
        "datacontenttype": "application/json",
        "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": true}
    });
    let mut expected = event.clone();
    expected.as_object_mut().unwrap().remove("subject");
    let envelope = comes_back_as(event.clone(), expected.clone());
    assert_eq!(envelope.event_id, "C234-1234-1234");
    assert_eq!(envelope.event_type, "com.example.someevent");
    assert_eq!(envelope.timestamp, "2018-04-05T17:31:00Z");
    assert_eq!(envelope.data["appinfoB"], 123);
    assert_eq!(envelope.extra["comexampleothervalue"], 5);
    assert_eq!(envelope.position(), None);
    // The table of section 2.3 has this subject, too.
    event["subject"] = json!("larger-context");
    let envelope = comes_back_as(event.clone(), event);
    assert_eq!(envelope.stream_id.as_deref(), Some("larger-context"));
}

#[test]
fn the_official_example_with_xml() {
    let event = json!({
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
        "id": "B234-1234-1234", "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value", "comexampleothervalue": 5, "unsetextension": null,
        "datacontenttype": "application/xml", "data": "<much wow=\"xml\"/>"
    });
    let mut expected = event.clone();
    expected.as_object_mut().unwrap().remove("unsetextension");
    let envelope = comes_back_as(event, expected);
    assert_eq!(
        envelope.data,
        json!({"cloudEventData": "<much wow=\"xml\"/>"})
    );
}

#[test]
fn the_official_example_with_bytes() {
    let event = json!({
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
        "id": "A234-1234-1234", "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value", "comexampleothervalue": 5,
        "datacontenttype": "application/vnd.apache.thrift.binary",
        "data_base64": "... base64 encoded string ..."
    });
    let envelope = comes_back_as(event.clone(), event);
    let bytes = json!({"cloudEventDataBase64": "... base64 encoded string ..."});
    assert_eq!(envelope.data, bytes);
}

#[test]
fn the_official_example_with_a_text_as_json() {
    let event = json!({
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
        "subject": null, "id": "D234-1234-1234", "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value", "comexampleothervalue": 5,
        "data": "I'm just a string"
    });
    let mut expected = event.clone();
    expected.as_object_mut().unwrap().remove("subject");
    // As in the specification's own HTTP form of it: the media type is said from now on.
    expected["datacontenttype"] = json!("application/json");
    comes_back_as(event, expected);
}

#[test]
fn every_kind_of_data_comes_back() {
    let event = |more: Value| {
        let mut event = json!({"specversion": "1.0", "type": "t", "source": "s", "id": "1",
            "time": "2018-04-05T17:31:00Z"});
        event
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        event
    };
    for more in [
        json!({}),
        json!({"datacontenttype": "text/plain"}),
        json!({"data_base64": "AA=="}),
        json!({"data_base64": "AA==", "datacontenttype": "application/json"}),
        json!({"data": null, "datacontenttype": "application/json"}),
        json!({"data": [1.50, {}], "datacontenttype": "application/json; charset=utf-8"}),
        json!({"data": {}, "datacontenttype": "application/vnd.shop.order+json",
            "dataschema": "https://example.com/order.json"}),
    ] {
        comes_back_as(event(more.clone()), event(more));
    }
}

#[test]
fn what_is_no_cloud_event_for_an_envelope_is_refused_and_the_attribute_named() {
    let valid = json!({"specversion": "1.0", "type": "t", "source": "s", "id": "1",
        "time": "2018-04-05T17:31:00Z", "data": {}});
    assert!(from_cloud_event(valid.clone()).is_ok());
    for (attribute, value, message) in [
        (
            "specversion",
            json!("0.3"),
            "attribute specversion must be \"1.0\"",
        ),
        (
            "source",
            json!(""),
            "attribute source must be a text that is not empty",
        ),
        ("id", Value::Null, "as an envelope: eventId is missing"),
        (
            "time",
            Value::Null,
            "attribute time is missing; an envelope says when it happened",
        ),
        (
            "time",
            json!("noon"),
            "as an envelope: timestamp must be RFC 3339, like 2025-01-01T12:00:00Z",
        ),
        (
            "data_base64",
            json!("AA=="),
            "attribute data_base64 excludes data; send one of them",
        ),
        (
            "datacontenttype",
            json!("application/xml"),
            "attribute datacontenttype is \"application/xml\", which the data is not",
        ),
        (
            "Upper",
            json!("x"),
            "attribute Upper must have a name of small letters and digits",
        ),
        (
            "later",
            json!({"a": 1}),
            "attribute later must be true, false, a whole number or a text",
        ),
        (
            "later",
            json!(1.5),
            "attribute later must be a whole number of 32 bits",
        ),
        (
            "streamversion",
            json!("first"),
            "as an envelope: version must be a whole number from 1",
        ),
        (
            "envelopeextra",
            json!("[]"),
            "attribute envelopeextra must be a JSON object as text",
        ),
        (
            "envelopeextra",
            json!("{\"eventId\": \"2\"}"),
            "attribute eventId is there twice",
        ),
    ] {
        let mut event = valid.clone();
        event[attribute] = value;
        let refused = from_cloud_event(event).unwrap_err();
        assert_eq!(refused.to_string(), message);
    }
}

#[test]
fn a_recorded_event_is_a_cloud_event_with_the_official_names() {
    let text = r#"{"eventId": "12345", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
        "streamId": "order-67890", "version": 1, "schemaVersion": 2, "correlationId": "c",
        "causationId": "r", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "actor": "abc123", "previousHash": "p", "hash": "h", "data": {"totalAmount": 150.750},
        "region": "eu", "Nested": {"n": 1.50}, "id": "another"}"#;
    let envelope: Envelope = serde_json::from_str(text).unwrap();
    let expected = r#"{"specversion": "1.0", "id": "12345", "type": "OrderPlaced", "source": "orderflow",
        "time": "2025-01-01T12:00:00Z", "subject": "order-67890", "streamversion": 1,
        "schemaversion": 2, "correlationid": "c", "causationid": "r",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "actor": "abc123", "previoushash": "p", "hash": "h", "region": "eu",
        "envelopeextra": "{\"Nested\":{\"n\":1.50},\"id\":\"another\"}",
        "datacontenttype": "application/json", "data": {"totalAmount": 150.750}}"#;
    let event = to_cloud_event(&envelope, "orderflow");
    assert_eq!(event, serde_json::from_str::<Value>(expected).unwrap());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (any::<u32>(), any::<u16>()).prop_map(|(whole, part)| {
            serde_json::from_str(&format!("{whole}.{part}")).unwrap()
        }),
        ".{0,8}".prop_map(Value::from),
        Just(json!("application/json")),
        Just(json!("application/x+json")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            object(any_name(), inner),
        ]
    })
}

fn object(
    names: impl Strategy<Value = String>,
    values: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Value> {
    btree_map(names, values, 0..4).prop_map(|fields| fields.into_iter().collect())
}

/// Names that mean something to one side or the other, and any.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "source",
            "type",
            "time",
            "subject",
            "specversion",
            "data_base64",
            "datacontenttype",
            "dataschema",
            "streamversion",
            "schemaversion",
            "correlationid",
            "envelopeextra",
            "cloudEventData",
            "cloudEventDataBase64",
            "cloudEventNoData",
            "Later",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9]{1,6}",
        ".{0,6}",
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,20}"
}

fn any_time() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_i64..4_000_000_000_000)
            .prop_map(|at| { jiff::Timestamp::from_millisecond(at).unwrap().to_string() }),
        Just("2025-01-01T13:00:00.120+01:00".to_owned()),
    ]
}

prop_compose! {
    fn any_envelope()(
        (event_id, event_type, timestamp) in (any_text(), any_text(), any_time()),
        data in object(any_name(), any_json()),
        (version, schema_version) in (
            proptest::option::of(1..=u64::MAX),
            proptest::option::of(1..=u32::MAX),
        ),
        texts in proptest::collection::vec(proptest::option::of(any_text()), 7),
        extra in object(any_name(), any_json()),
    ) -> Envelope {
        let mut fields = json!({"eventId": event_id, "eventType": event_type,
            "timestamp": timestamp, "data": data, "version": version,
            "schemaVersion": schema_version});
        let names = ["streamId", "correlationId", "causationId", "traceparent", "actor",
            "previousHash", "hash"];
        let Value::Object(extra) = extra else { unreachable!() };
        for (name, value) in names.into_iter().zip(texts) {
            fields[name] = value.into();
        }
        for (name, value) in extra {
            fields.as_object_mut().unwrap().entry(name).or_insert(value);
        }
        Envelope::from_value(fields).unwrap()
    }
}

proptest! {
    #[test]
    fn an_envelope_comes_back_from_its_cloud_event_whole(
        envelope in any_envelope(), source in any_text()
    ) {
        let event = to_cloud_event(&envelope, &source);
        for (name, value) in event.as_object().unwrap() {
            prop_assert!(
                [DATA, DATA_BASE64].contains(&name.as_str()) || check_attribute(name, value).is_ok(),
                "{} is no attribute", name
            );
        }
        let text = event.to_string();
        let back = from_cloud_event(serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(back, Sourced { source, envelope });
    }
}
