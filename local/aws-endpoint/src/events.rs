//! `EventBridge`: `PutEvents`, up to the envelopes that a bus delivers. What
//! becomes of them (rules, targets) is the host's business.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ApiError;
use crate::clock::{now_seconds, rfc3339_seconds};
use crate::meter::Usage;

/// Entries of one `PutEvents` call.
const MAX_ENTRIES: usize = 10;
/// Size of all entries of a call together, and so of each one: 256 KB. Some
/// accounts and regions take more; what is accepted here is accepted by all.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
pub const MAX_PUT_EVENTS_BYTES: usize = 256 * 1024;

/// Takes what is put on a bus.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Takes the envelopes of one `PutEvents` call, in order. The call is
    /// answered when this returns, so the sink must have them safe by then.
    async fn accept(&self, bus: &str, events: Vec<BusEvent>);
}

/// An event on a bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusEvent {
    /// What a rule sees.
    pub envelope: Value,
    /// `TraceHeader` of its entry: AWS hands that on to targets beside the event.
    pub trace: Option<String>,
}

#[derive(Default)]
pub(crate) struct Events {
    buses: RwLock<BTreeSet<String>>,
    sink: RwLock<Option<Arc<dyn EventSink>>>,
    region: String,
    account: String,
}

/// Why one entry is not accepted.
struct EntryError {
    code: &'static str,
    message: String,
}

impl Events {
    pub(crate) fn new(region: &str, account: &str) -> Self {
        Self {
            buses: RwLock::new(BTreeSet::from(["default".to_owned()])),
            sink: RwLock::default(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    pub(crate) fn create_bus(&self, name: &str) {
        let mut buses = self.buses.write().unwrap_or_else(PoisonError::into_inner);
        buses.insert(name.to_owned());
    }

    pub(crate) fn register(&self, sink: Arc<dyn EventSink>) {
        *self.sink.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    /// `failing`: entries (by index) that a fault makes fail.
    pub(crate) async fn call(
        &self,
        operation: &str,
        mut request: Value,
        failing: &[usize],
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        if operation != "PutEvents" {
            return Err(ApiError::unknown_operation("events", operation));
        }
        let entries = take_entries(&mut request)?;
        let sink = self.sink()?;
        let mut accepted: Vec<(String, Vec<BusEvent>)> = Vec::new();
        let mut results = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            usage.add_entry(bus_name(entry), entry_size(entry));
            let envelope = if failing.contains(&index) {
                Err(EntryError {
                    code: "ThrottlingException",
                    message: "Rate exceeded".to_owned(),
                })
            } else {
                self.envelope(entry)
            };
            match envelope {
                Err(error) => {
                    results.push(json!({"ErrorCode": error.code, "ErrorMessage": error.message}));
                }
                Ok(envelope) => {
                    results.push(json!({"EventId": envelope["id"]}));
                    let trace = entry["TraceHeader"].as_str().map(str::to_owned);
                    let event = BusEvent { envelope, trace };
                    add_to_bus(&mut accepted, bus_name(entry), event);
                }
            }
        }
        for (bus, events) in accepted {
            sink.accept(&bus, events).await;
        }
        let failed = results.iter().filter(|r| r.get("ErrorCode").is_some());
        Ok(json!({"FailedEntryCount": failed.count(), "Entries": results}))
    }

    fn sink(&self) -> Result<Arc<dyn EventSink>, ApiError> {
        let sink = self.sink.read().unwrap_or_else(PoisonError::into_inner);
        sink.clone().ok_or_else(|| {
            ApiError::internal("no event sink is registered with the local AWS endpoint")
        })
    }

    /// The envelope that a rule sees.
    fn envelope(&self, entry: &Value) -> Result<Value, EntryError> {
        let argument = |name: &str| match entry.get(name).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(EntryError {
                code: "InvalidArgument",
                message: format!(
                    "Parameter {name} is not valid. Reason: {name} is a required argument."
                ),
            }),
        };
        let source = argument("Source")?;
        let detail_type = argument("DetailType")?;
        let detail = argument("Detail")?;
        let detail: Value = serde_json::from_str(detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| EntryError {
                code: "MalformedDetail",
                message: "Detail is malformed.".to_owned(),
            })?;
        if source.starts_with("aws.") {
            return Err(EntryError {
                code: "NotAuthorizedForSourceException",
                message: "Not authorized for the source.".to_owned(),
            });
        }
        let bus = bus_name(entry);
        let buses = self.buses.read().unwrap_or_else(PoisonError::into_inner);
        if !buses.contains(bus) {
            return Err(EntryError {
                code: "ResourceNotFoundException",
                message: format!("Event bus {bus} does not exist."),
            });
        }
        Ok(json!({
            "version": "0",
            "id": Uuid::new_v4().to_string(),
            "detail-type": detail_type,
            "source": source,
            "account": self.account,
            "time": rfc3339_seconds(entry_time(entry)?),
            "region": self.region,
            "resources": entry.get("Resources").filter(|r| r.is_array()).unwrap_or(&json!([])),
            "detail": detail,
        }))
    }
}

/// Takes the entries out of a request that keeps the limits of a call.
fn take_entries(request: &mut Value) -> Result<Vec<Value>, ApiError> {
    if !matches!(request.get("EndpointId"), None | Some(Value::Null)) {
        return Err(ApiError::unsupported(
            "EndpointId of PutEvents (global endpoints)",
        ));
    }
    let entries = match request.get_mut("Entries").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: \
             Member must have length between 1 and {MAX_ENTRIES} (it has {})",
            entries.len()
        )));
    }
    if entries.iter().map(entry_size).sum::<usize>() > MAX_PUT_EVENTS_BYTES {
        return Err(ApiError::validation(
            "Total size of the entries in the request is over the limit.",
        ));
    }
    Ok(entries)
}

fn add_to_bus(accepted: &mut Vec<(String, Vec<BusEvent>)>, bus: &str, event: BusEvent) {
    match accepted.iter_mut().find(|(name, _)| name == bus) {
        Some((_, events)) => events.push(event),
        None => accepted.push((bus.to_owned(), vec![event])),
    }
}

/// Epoch seconds of an entry: as given, or now.
fn entry_time(entry: &Value) -> Result<i64, EntryError> {
    let given = match entry.get("Time") {
        None | Some(Value::Null) => return Ok(now_seconds()),
        Some(given) => given,
    };
    let text = match given {
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let seconds = if text.contains(['e', 'E']) {
        // JSON allows an exponent; whole seconds are exact in a double.
        given
            .as_f64()
            .and_then(|seconds| format!("{:.0}", seconds.trunc()).parse().ok())
    } else {
        text.split('.').next().and_then(|whole| whole.parse().ok())
    };
    seconds.ok_or_else(|| EntryError {
        code: "InvalidArgument",
        message: "Parameter Time is not valid.".to_owned(),
    })
}

/// Name of the bus an entry is for, given by name or ARN.
fn bus_name(entry: &Value) -> &str {
    let given = entry.get("EventBusName").and_then(Value::as_str);
    let given = given.unwrap_or("default");
    given
        .rsplit_once("event-bus/")
        .map_or(given, |(_, name)| name)
}

/// AWS's formula
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>).
fn entry_size(entry: &Value) -> usize {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map_or(0, str::len);
    let time = match entry.get("Time") {
        None | Some(Value::Null) => 0,
        Some(_) => 14,
    };
    let resources = entry.get("Resources").and_then(Value::as_array);
    let resources: usize = resources
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::len)
        .sum();
    time + text("Source") + text("DetailType") + text("Detail") + resources
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::entry_time;

    #[test]
    fn a_time_is_read_in_every_notation_that_json_has() {
        let time = |text: &str| {
            let time: Value = serde_json::from_str(text).expect("JSON");
            entry_time(&json!({"Time": time})).map_err(|error| error.code)
        };
        for text in [
            "1735732800",
            "1735732800.75",
            "1.7357328E9",
            "1.7357328e+9",
            "17357328000e-1",
        ] {
            assert_eq!(time(text), Ok(1_735_732_800), "{text}");
        }
        for text in ["\"2025-01-01\"", "1e300", "true"] {
            assert_eq!(time(text), Err("InvalidArgument"), "{text}");
        }
    }
}
