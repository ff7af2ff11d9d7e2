use super::*;
use crate::execute::Cause;
use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

/// A parcel's weight. Version 1 said grams in a text, version 2 as a number, version 3 says which
/// scale it was weighed on.
#[derive(Debug, Clone, PartialEq)]
enum ParcelEvent {
    Weighed { grams: u64, scale: String },
    Sent,
}

fn text_to_number(mut data: Value) -> Value {
    if let Some(grams) = data["grams"].as_str().and_then(|text| text.parse().ok()) {
        data["grams"] = Value::Number(grams);
    }
    data
}

fn name_the_scale(mut data: Value) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.entry("scale").or_insert_with(|| "unknown".into());
    }
    data
}

static UPCASTERS: [Upcaster; 2] = [
    Upcaster {
        event_type: "ParcelWeighed",
        from: 1,
        upcast: text_to_number,
    },
    Upcaster {
        event_type: "ParcelWeighed",
        from: 2,
        upcast: name_the_scale,
    },
];

#[derive(Deserialize)]
struct Weight {
    grams: u64,
    scale: String,
}

impl Event for ParcelEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Weighed { .. } => "ParcelWeighed",
            Self::Sent => "ParcelSent",
        }
    }

    fn to_data(&self) -> Result<Value, serde_json::Error> {
        Ok(match self {
            Self::Weighed { grams, scale } => json!({"grams": grams, "scale": scale}),
            Self::Sent => json!({}),
        })
    }

    fn from_data(event_type: &str, data: &Value) -> Result<Option<Self>, serde_json::Error> {
        Ok(match event_type {
            "ParcelWeighed" => {
                let Weight { grams, scale } = Weight::deserialize(data)?;
                Some(Self::Weighed { grams, scale })
            }
            "ParcelSent" => Some(Self::Sent),
            _ => None,
        })
    }

    fn upcasters() -> &'static [Upcaster] {
        &UPCASTERS
    }
}

fn envelope(event_type: &str, version: Option<u32>, data: Value) -> Envelope {
    let mut envelope = Envelope::new("e", event_type, Timestamp::UNIX_EPOCH, data);
    envelope.schema_version = version;
    envelope
}

fn weighed(scale: &str) -> ParcelEvent {
    ParcelEvent::Weighed {
        grams: 250,
        scale: scale.into(),
    }
}

#[test]
fn events_of_every_version_are_read() {
    for (version, data, scale) in [
        (None, json!({"grams": "250"}), "unknown"),
        (Some(1), json!({"grams": "250"}), "unknown"),
        (Some(2), json!({"grams": 250}), "unknown"),
        (Some(3), json!({"grams": 250, "scale": "left"}), "left"),
    ] {
        let read = decode(&envelope("ParcelWeighed", version, data));
        assert_eq!(read, Ok(weighed(scale)), "version {version:?}");
    }
}

#[test]
fn an_event_of_a_newer_version_is_refused_and_not_guessed() {
    let data = json!({"grams": 250, "scale": "left"});
    let refused = decode::<ParcelEvent>(&envelope("ParcelWeighed", Some(4), data)).unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    assert_eq!(
        refused.to_string(),
        "event e (ParcelWeighed) cannot be read: a newer version of the software wrote it: its \
         schemaVersion is 4, this one knows 3 at most; deploy the newer one here, then redrive"
    );
    // Data in a shape that this version cannot even parse is as new.
    for data in [json!({}), json!({"kilograms": 0.25})] {
        let refused = decode_optional::<ParcelEvent>(&envelope("ParcelWeighed", Some(4), data));
        assert!(refused.unwrap_err().reason.contains("newer version"));
    }
}

#[test]
fn an_unknown_type_is_passed_over_where_that_is_asked_for_whatever_its_version() {
    for version in [None, Some(7)] {
        let other = envelope("CouponRedeemed", version, json!({"grams": 1}));
        assert_eq!(decode_optional::<ParcelEvent>(&other), Ok(None));
        assert!(decode::<ParcelEvent>(&other).is_err());
    }
}

#[test]
fn data_that_lacks_something_is_named() {
    let lacking = envelope("ParcelWeighed", Some(3), json!({"grams": 1}));
    let reason = decode::<ParcelEvent>(&lacking).unwrap_err().reason;
    assert!(reason.contains("scale"), "{reason}");
}

#[test]
fn only_types_with_more_than_one_version_write_it() {
    let cause = Cause {
        id: "c".into(),
        seed: "c".into(),
        purpose: "test",
        correlation_id: None,
        traceparent: None,
        actor: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let events = [weighed("left"), ParcelEvent::Sent];
    let written: Vec<_> = cause
        .envelopes("parcel-1", &events)
        .unwrap()
        .iter()
        .map(|envelope| {
            assert!(decode::<ParcelEvent>(envelope).is_ok());
            envelope.schema_version
        })
        .collect();
    assert_eq!(written, [Some(3), None]);
}

#[test]
fn a_gap_or_a_double_among_upcasters_is_found() {
    assert_eq!(check(&UPCASTERS), Ok(()));
    let (first, second) = (UPCASTERS[0], UPCASTERS[1]);
    for (upcasters, from, found) in [
        (vec![second], 1, 0),
        (vec![first, first], 1, 2),
        (vec![first, Upcaster { from: 3, ..second }], 2, 0),
    ] {
        let gap = UpcasterGap {
            event_type: "ParcelWeighed",
            from,
            found,
        };
        assert_eq!(check(&upcasters), Err(gap));
    }
}

fn any_weight() -> impl Strategy<Value = (u32, Value)> {
    let grams = prop_oneof![
        any::<u64>().prop_map(|grams| json!(grams)),
        any::<u64>().prop_map(|grams| json!(grams.to_string())),
        ".{0,5}".prop_map(|text| json!(text)),
    ];
    let data = prop_oneof![
        grams.prop_map(|grams| json!({"grams": grams, "kept": 1})),
        Just(json!({"scale": "left"})),
    ];
    (1_u32..=3, data)
}

proptest! {
    #[test]
    fn upcasting_is_idempotent_once_current_and_the_same_in_one_step_or_many(
        (version, data) in any_weight()
    ) {
        let lift = |version, data: &Value| {
            upcast(&UPCASTERS, "ParcelWeighed", version, data).unwrap().into_owned()
        };
        let lifted = lift(version, &data);
        prop_assert_eq!(&lift(3, &lifted), &lifted);
        let stepwise = UPCASTERS.iter().filter(|step| step.from >= version)
            .fold(data.clone(), |data, step| (step.upcast)(data));
        prop_assert_eq!(&stepwise, &lifted);
        prop_assert_eq!(data.get("kept"), lifted.get("kept"));
    }
}
