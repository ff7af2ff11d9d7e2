//! `PutEvents` over the real SDK.

use std::sync::{Arc, Mutex};

use aws_endpoint::{BusEvent, Endpoint, EventSink, MAX_PUT_EVENTS_BYTES, Options};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::{Value, json};

use crate::setup::config;

#[derive(Default)]
pub struct Collected(Mutex<Vec<(String, Vec<Value>)>>);

#[async_trait::async_trait]
impl EventSink for Collected {
    async fn accept(&self, bus: &str, events: Vec<BusEvent>) {
        let events = events.into_iter().map(|one| one.envelope).collect();
        self.0
            .lock()
            .expect("no panic")
            .push((bus.to_owned(), events));
    }
}

impl Collected {
    pub fn take(&self) -> Vec<(String, Vec<Value>)> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

pub fn events(endpoint: &Endpoint) -> Client {
    let retries = aws_sdk_eventbridge::config::retry::RetryConfig::disabled();
    Client::from_conf(
        config!(aws_sdk_eventbridge, endpoint)
            .retry_config(retries)
            .build(),
    )
}

pub async fn started(options: Options) -> (Endpoint, Client, Arc<Collected>) {
    let endpoint = Endpoint::start(options).await.expect("started");
    endpoint.create_bus("orders");
    let sink = Arc::new(Collected::default());
    endpoint.register_sink(Arc::clone(&sink) as Arc<dyn EventSink>);
    let client = events(&endpoint);
    (endpoint, client, sink)
}

pub fn entry(detail: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name("orders")
        .source("orderflow")
        .detail_type("OrderPlaced")
        .detail(detail)
        .resources("order-67890")
        .build()
}

#[tokio::test]
async fn an_entry_becomes_the_envelope_that_the_bus_delivers() {
    let (_endpoint, client, sink) = started(Options::default()).await;
    let mut timed = entry("{\"totalAmount\": 150.75}");
    timed.time = Some(DateTime::from_secs(1_735_732_800));

    let answer = client
        .put_events()
        .entries(timed)
        .send()
        .await
        .expect("put");

    let id = answer.entries()[0].event_id().expect("an id").to_owned();
    assert_eq!(answer.failed_entry_count(), 0);
    assert_eq!(
        sink.take(),
        [(
            "orders".to_owned(),
            vec![json!({
                "version": "0", "id": id, "detail-type": "OrderPlaced", "source": "orderflow",
                "account": "000000000000", "time": "2025-01-01T12:00:00Z", "region": "us-east-1",
                "resources": ["order-67890"],
                "detail": serde_json::from_str::<Value>("{\"totalAmount\": 150.75}").expect("JSON"),
            })]
        )]
    );
}

#[tokio::test]
async fn bad_entries_fail_one_by_one_and_the_others_go_through() {
    let (_endpoint, client, sink) = started(Options::default()).await;
    let plain = || PutEventsRequestEntry::builder().event_bus_name("orders");
    let entries = vec![
        entry("{}"),
        entry("not json"),
        entry("[1]"),
        plain().detail_type("T").detail("{}").build(),
        plain().source("s").detail("{}").build(),
        plain().source("s").detail_type("T").build(),
        plain()
            .source("aws.ec2")
            .detail_type("T")
            .detail("{}")
            .build(),
        PutEventsRequestEntry::builder()
            .event_bus_name("nowhere")
            .source("s")
            .detail_type("T")
            .detail("{}")
            .build(),
        entry("{\"last\": true}"),
    ];

    let answer = client
        .put_events()
        .set_entries(Some(entries))
        .send()
        .await
        .expect("answered");

    let codes: Vec<Option<&str>> = answer.entries().iter().map(|e| e.error_code()).collect();
    assert_eq!(
        codes,
        [
            None,
            Some("MalformedDetail"),
            Some("MalformedDetail"),
            Some("InvalidArgument"),
            Some("InvalidArgument"),
            Some("InvalidArgument"),
            Some("NotAuthorizedForSourceException"),
            Some("ResourceNotFoundException"),
            None
        ]
    );
    assert_eq!(answer.failed_entry_count(), 7);
    let taken = sink.take();
    assert_eq!((taken.len(), taken[0].1.len()), (1, 2));
}

#[tokio::test]
async fn ten_entries_and_256_kb_are_the_most() {
    let (endpoint, client, sink) = started(Options::default()).await;
    let put =
        |entries: Vec<PutEventsRequestEntry>| client.put_events().set_entries(Some(entries)).send();
    assert!(put(vec![entry("{}"); 10]).await.is_ok());
    assert!(put(vec![entry("{}"); 11]).await.is_err());
    // source 9, type 11, resource 11
    let fill = |bytes: usize| {
        let padding = "x".repeat(bytes - 31 - 8);
        entry(&format!("{{\"a\":\"{padding}\"}}"))
    };
    assert_eq!(MAX_PUT_EVENTS_BYTES, 262_144);
    sink.take();
    assert!(put(vec![fill(MAX_PUT_EVENTS_BYTES)]).await.is_ok());
    let error = put(vec![fill(MAX_PUT_EVENTS_BYTES + 1)])
        .await
        .expect_err("too large");
    assert_eq!(
        error.into_service_error().meta().code(),
        Some("ValidationException")
    );
    let half = fill(MAX_PUT_EVENTS_BYTES / 2 + 1);
    assert!(put(vec![half.clone(), half]).await.is_err());
    assert_eq!(sink.take().len(), 1);
    let used = endpoint.meter().total(|call| call.operation == "PutEvents");
    assert_eq!(
        (used.requests, used.errors, used.entries, used.chunks),
        (5, 3, 11, 10 + 4)
    );
}

#[tokio::test]
async fn a_trace_header_is_taken_and_a_global_endpoint_refused() {
    let (endpoint, client, sink) = started(Options::default()).await;
    let mut traced = entry("{}");
    traced.trace_header = Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned());
    let answer = client.put_events().entries(traced).send().await;
    assert_eq!(answer.expect("put").failed_entry_count(), 0);
    assert_eq!(sink.take().len(), 1);

    let request = json!({"EndpointId": "abcde.veo", "Entries": [
        {"Source": "s", "DetailType": "T", "Detail": "{}"}]});
    let error = endpoint
        .call("events", "PutEvents", request)
        .await
        .expect_err("refused");
    assert!(error.message.contains("EndpointId"), "{error}");
    assert!(sink.take().is_empty());
}
