//! Random streams: events and readings as their producers write them, and how they are delivered.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What one event or reading says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Placed {
        user: u8,
        lines: Vec<(u8, u32)>,
    },
    Confirmed {
        cents: u64,
        currency: &'static str,
        took_ms: Option<i64>,
    },
    Refunded {
        cents: u64,
        currency: &'static str,
    },
    Rejected,
    Failed,
    Cancelled,
    Notified,
    Reading {
        device: u8,
        sensor: &'static str,
        thousandths: i64,
    },
    /// Bytes that nobody can read.
    Garbage,
}

/// One event or reading.
#[derive(Debug, Clone)]
pub struct Event {
    pub number: usize,
    /// Its partition key.
    pub key: u8,
    /// When it happened, in milliseconds since 1970.
    pub at: i64,
    pub said: Said,
}

/// One time that the stream took it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event: Event,
    pub arrived: i64,
}

/// 2026-01-01T11:56:00Z: the streams cross an hour.
pub const START: i64 = 1_767_268_560_000;
/// Shards are split when the stream has taken this.
pub const SPLIT: i64 = START + 4 * 60_000;

fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap().to_string()
}

impl Event {
    /// The record's data.
    pub fn data(&self) -> Vec<u8> {
        let order = json!({"orderId": format!("o-{}", self.key), "userId": "u", "totalAmount": 1});
        let with = |more: Value| {
            let mut data = order.clone();
            for (field, value) in more.as_object().unwrap() {
                data[field] = value.clone();
            }
            data
        };
        let amount = |cents: &u64| {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let (name, data) = match &self.said {
            Said::Placed { user, lines } => {
                let lines: Vec<_> = lines
                    .iter()
                    .map(|(sku, quantity)| json!({"sku": format!("sku-{sku}"), "quantity": quantity, "unitPrice": 1}))
                    .collect();
                let user = format!("user-{user}");
                ("OrderPlaced", with(json!({"userId": user, "items": lines})))
            }
            Said::Confirmed {
                cents,
                currency,
                took_ms,
            } => {
                let mut data = with(json!({"totalAmount": amount(cents), "currency": currency}));
                if let Some(took) = took_ms {
                    data["placedAt"] = json!(moment(self.at - took));
                }
                ("PaymentProcessed", data)
            }
            Said::Refunded { cents, currency } => (
                "PaymentRefunded",
                with(
                    json!({"totalAmount": amount(cents), "currency": currency, "paymentId": "ch"}),
                ),
            ),
            Said::Rejected => ("InventoryRejected", with(json!({"shortages": []}))),
            Said::Failed => ("PaymentFailed", with(json!({"reason": "declined"}))),
            Said::Cancelled => ("OrderCancelled", with(json!({"reason": "requested"}))),
            Said::Notified => ("UserNotified", json!({})),
            Said::Reading {
                device,
                sensor,
                thousandths,
            } => return self.reading(*device, sensor, *thousandths),
            Said::Garbage => return b"{\"detail\": 7}".to_vec(),
        };
        let event = json!({"detail-type": name, "source": "orderflow", "detail": {
            "eventId": format!("e-{}", self.number), "eventType": name, "version": 1,
            "streamId": "order-1", "timestamp": moment(self.at), "data": data}});
        event.to_string().into_bytes()
    }

    fn reading(&self, device: u8, sensor: &str, thousandths: i64) -> Vec<u8> {
        let sign = if thousandths < 0 { "-" } else { "" };
        let (whole, rest) = (thousandths.abs() / 1_000, thousandths.abs() % 1_000);
        let value: Value = serde_json::from_str(&format!("{sign}{whole}.{rest:03}")).unwrap();
        let reading = json!({"deviceId": format!("d-{device}"), "sensor": sensor, "unit": "°C",
            "value": value, "at": moment(self.at), "eventId": format!("r-{}", self.number)});
        reading.to_string().into_bytes()
    }

    /// Which shard takes it, when: the first one has two children from some time on.
    pub fn shard(&self, arrived: i64) -> &'static str {
        match (self.key % 4, arrived >= SPLIT) {
            (0 | 1, false) => "shard-0",
            (0, true) => "shard-2",
            (1, true) => "shard-3",
            _ => "shard-1",
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let currency = prop::sample::select(vec!["USD", "EUR", "JPY"]);
    let lines = prop::collection::vec((0_u8..12, 1_u32..5), 0..4);
    prop_oneof![
        4 => (0_u8..40, lines).prop_map(|(user, lines)| Said::Placed { user, lines }),
        3 => (0_u64..100_000, currency.clone(), prop::option::of(0_i64..100_000))
            .prop_map(|(cents, currency, took_ms)| Said::Confirmed { cents, currency, took_ms }),
        1 => (0_u64..100_000, currency)
            .prop_map(|(cents, currency)| Said::Refunded { cents, currency }),
        1 => prop::sample::select(vec![Said::Rejected, Said::Failed, Said::Cancelled, Said::Notified]),
        4 => (0_u8..4, prop::sample::select(vec!["temperature", "door"]), -30_000_i64..30_000)
            .prop_map(|(device, sensor, thousandths)| Said::Reading { device, sensor, thousandths }),
        1 => Just(Said::Garbage),
    ]
}

/// How long after it happened the stream takes an event, in milliseconds.
fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![
        20 => 0_i64..5_000,
        3 => 5_000_i64..200_000,
        2 => -30_000_i64..0,
        1 => Just(-30_000_i64),
        1 => -200_000_i64..-30_000,
        2 => 120_000_i64..900_000,
        1 => 170_000_000_i64..180_000_000,
    ]
}

/// A stream as it is delivered, in the order in which it is taken.
pub fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let at = prop_oneof![
        20 => 0_i64..480_000,
        1 => (0_i64..8).prop_map(|minute| minute * 60_000),
        1 => (1_i64..8).prop_map(|minute| minute * 60_000 - 1),
    ];
    let delays = prop_oneof![
        6 => prop::collection::vec(delay(), 1..2),
        1 => prop::collection::vec(delay(), 1..4),
    ];
    let event = (any::<u8>(), at, said(), delays);
    prop::collection::vec(event, 0..120).prop_map(|events| {
        let mut stream = Vec::new();
        for (number, (key, at, said, delays)) in events.into_iter().enumerate() {
            let key = match said {
                Said::Reading { device, .. } => device,
                _ => key,
            };
            let at = START + at;
            let event = Event {
                number,
                key,
                at,
                said,
            };
            for delay in delays {
                let arrived = at + delay;
                let event = event.clone();
                stream.push(Delivery { event, arrived });
            }
        }
        stream.sort_by_key(|delivery| delivery.arrived);
        stream
    })
}

pub fn timestamp(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
}
