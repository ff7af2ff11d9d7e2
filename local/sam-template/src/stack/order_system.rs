//! A realistic template, whole: what it sets up, with AWS's defaults where it says nothing.

use std::time::Duration;

use serde_json::json;

use super::Stack;
use crate::Context;
use crate::input::Origin;
use crate::mapping::{MappingSource, StartingPosition};
use crate::rule::{RetryPolicy, Target};
use crate::schedule::{Cadence, ScheduledBy};

const TEMPLATE: &str = include_str!("order_system.yaml");

fn context() -> Context {
    let mut context = Context {
        stack_name: "shop".to_owned(),
        aws_endpoint: "http://127.0.0.1:9999".to_owned(),
        ..Context::default()
    };
    let api = "OrdersApi.ApiEndpoint".to_owned();
    let url = "http://127.0.0.1:3000".to_owned();
    context.local.insert(api, url);
    context
}

fn stack() -> Stack {
    Stack::from_yaml(TEMPLATE, &context()).unwrap()
}

fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

#[test]
fn functions_take_what_globals_and_they_say() {
    let stack = stack();
    let function = stack.function("PlaceOrderFunction").unwrap();
    assert_eq!(function.name, "shop-PlaceOrderFunction");
    assert_eq!(function.binary, "place-order");
    assert_eq!(function.timeout, Duration::from_secs(10));
    assert_eq!(function.memory_mb, 256);
    assert_eq!(function.reserved_concurrency, Some(50));
    let variable = |name: &str| function.environment[name].as_str();
    assert_eq!(variable("EVENT_STORE_TABLE"), "shop-EventStore");
    assert_eq!(variable("LOG_LEVEL"), "debug");
    assert_eq!(variable("GRACE"), "10");
    let statements = function.permissions.as_ref().unwrap();
    assert_eq!(
        statements[0].resources,
        ["arn:aws:dynamodb:us-east-1:000000000000:table/shop-EventStore"]
    );
    assert_eq!(function.async_retries, 2);
    assert_eq!(function.maximum_event_age, Duration::from_hours(6));
    assert_eq!(function.on_failure, None);
    let function = stack.function("UpdateInventoryFunction").unwrap();
    assert_eq!(function.binary, "update-inventory");
    assert_eq!(function.async_retries, 1);
    assert_eq!(function.maximum_event_age, Duration::from_mins(10));
    assert_eq!(
        function.on_failure,
        Some(queue_arn("shop-UpdateInventoryDlq"))
    );
    let function = stack.function("PublishEventsFunction").unwrap();
    assert_eq!(function.binary, "publish-events");
    assert_eq!(function.environment["BUS"], "shop-orders");
}

#[test]
fn a_parameter_changes_the_size_and_creates_the_alarm() {
    let mut context = context();
    let stage = ("Stage".to_owned(), "prod".to_owned());
    context.parameters.insert(stage.0, stage.1);
    let prod = Stack::from_yaml(TEMPLATE, &context).unwrap();
    assert_eq!(prod.functions[0].memory_mb, 1024);
    let alarm = ("DlqAlarm".to_owned(), "AWS::CloudWatch::Alarm".to_owned());
    assert!(prod.other.contains(&alarm));
    assert_eq!(prod.outputs["Alarm"], "shop-DlqAlarm");
    assert!(!stack().other.contains(&alarm));
    assert_eq!(stack().outputs.get("Alarm"), None);
}

#[test]
fn routes_belong_to_their_api() {
    let stack = stack();
    let [api] = stack.apis.as_slice() else {
        panic!("one API expected: {:?}", stack.apis);
    };
    assert_eq!(api.logical_id, "OrdersApi");
    assert_eq!(api.stage, "$default");
    assert_eq!(api.cors, Some(json!({"AllowOrigins": ["*"]})));
    let found = stack.route("POST", "/orders/a%20b/cancel").unwrap();
    assert_eq!(found.route.function, "PlaceOrderFunction");
    assert_eq!(found.route.key(), "POST /orders/{id}/cancel");
    assert_eq!(found.route.timeout, Duration::from_secs(5));
    assert_eq!(found.path_parameters["id"], "a b");
    assert_eq!(stack.route("GET", "/orders"), None);
}

#[test]
fn a_table_is_a_create_table_request() {
    let table = &stack().tables[0];
    assert_eq!(
        table.create_table_request,
        json!({
            "TableName": "shop-EventStore",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "streamId", "AttributeType": "S"},
                {"AttributeName": "version", "AttributeType": "N"},
                {"AttributeName": "userId", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "streamId", "KeyType": "HASH"},
                {"AttributeName": "version", "KeyType": "RANGE"},
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": "byUser",
                "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        })
    );
    assert!(table.has_stream);
    assert_eq!(table.ttl_attribute.as_deref(), Some("expiresAt"));
}

#[test]
fn queues_have_the_attributes_that_were_set() {
    let stack = stack();
    let names: Vec<&str> = stack.queues.iter().map(|one| one.name.as_str()).collect();
    let expected = [
        "shop-PublishEventsDlq",
        "shop-UpdateInventoryDlq",
        "shop-ParkingLot",
        "shop-ForeignDlq",
    ];
    assert_eq!(names, expected);
    let queue = stack.queue_by_arn(&queue_arn("shop-UpdateInventoryDlq"));
    let queue = queue.unwrap();
    assert_eq!(
        queue.url,
        "http://127.0.0.1:9999/000000000000/shop-UpdateInventoryDlq"
    );
    assert_eq!(queue.visibility_timeout, Duration::from_mins(1));
    let redrive = queue.redrive.as_ref().unwrap();
    assert_eq!(redrive.dead_letter, queue_arn("shop-ParkingLot"));
    assert_eq!(redrive.maximum_receive_count, 3);
    let parsed: serde_json::Value =
        serde_json::from_str(&queue.attributes["RedrivePolicy"]).unwrap();
    assert_eq!(
        parsed,
        json!({"deadLetterTargetArn": queue_arn("shop-ParkingLot"), "maxReceiveCount": 3})
    );
    assert_eq!(queue.attributes["VisibilityTimeout"], "60");
    assert_eq!(queue.attributes.len(), 2);
}

#[test]
fn rules_of_both_kinds_have_their_targets() {
    let stack = stack();
    let rule = |name: &str| stack.rules.iter().find(|one| one.name == name).unwrap();
    let placed = rule("shop-UpdateInventoryFunctionPlaced");
    assert_eq!(placed.bus, "shop-orders");
    assert!(placed.enabled);
    let event =
        |detail| json!({"source": "orderflow", "detail-type": "OrderPlaced", "detail": detail});
    assert!(placed.pattern.matches(&event(json!({"version": 1}))));
    assert!(!placed.pattern.matches(&event(json!({"eventId": "1"}))));
    let target = &placed.targets[0];
    assert_eq!(
        target.retry,
        RetryPolicy {
            maximum_retry_attempts: 4,
            maximum_event_age: Duration::from_mins(15),
        }
    );
    assert_eq!(
        target.dead_letter,
        Some(queue_arn("shop-UpdateInventoryDlq"))
    );
    let foreign = rule("foreign");
    assert!(!foreign.enabled);
    assert_eq!(foreign.targets[0].retry, RetryPolicy::default());
    assert_eq!(foreign.targets[0].retry.maximum_retry_attempts, 185);
    let made = Some(queue_arn("shop-ForeignDlq"));
    assert_eq!(foreign.targets[0].dead_letter, made);
    let audit = rule("shop-AuditRule");
    assert_eq!(
        audit.arn,
        "arn:aws:events:us-east-1:000000000000:rule/shop-orders/shop-AuditRule"
    );
    let targets: Vec<&Target> = audit.targets.iter().map(|one| &one.target).collect();
    let expected = [
        &Target::Queue {
            arn: queue_arn("shop-ParkingLot"),
            message_group_id: None,
        },
        &Target::Kinesis {
            stream: "shop-OrderEvents".to_owned(),
            partition_key: None,
        },
        &Target::Function {
            logical_id: "RedriveFunction".to_owned(),
        },
    ];
    assert_eq!(targets, expected);
    let origin = Origin {
        rule_arn: &audit.arn,
        rule_name: &audit.name,
        ingestion_time: "2025-01-01T12:00:00Z",
    };
    let input = audit.targets[0].input.apply(&json!({"id": "e1"}), origin);
    assert_eq!(input, r#"{"seen":"e1"}"#);
}

#[test]
fn a_stream_mapping_has_every_setting() {
    let stack = stack();
    let mapping = &stack.mappings[0];
    assert_eq!(mapping.logical_id, "PublishEventsFunctionAppended");
    assert_eq!(mapping.function, "PublishEventsFunction");
    let table = "shop-EventStore".to_owned();
    assert_eq!(mapping.source, MappingSource::TableStream { table });
    assert_eq!(mapping.batch_size, 50);
    assert_eq!(mapping.batching_window, Duration::from_secs(1));
    assert!(mapping.report_batch_item_failures);
    assert!(mapping.bisect_batch_on_function_error);
    assert_eq!(mapping.maximum_retry_attempts, Some(5));
    assert_eq!(mapping.maximum_record_age, Some(Duration::from_hours(1)));
    assert_eq!(mapping.parallelization_factor, 2);
    assert_eq!(mapping.tumbling_window, None);
    assert_eq!(mapping.on_failure, Some(queue_arn("shop-PublishEventsDlq")));
    assert!(mapping.accepts(&json!({"eventName": "INSERT"})));
    assert!(!mapping.accepts(&json!({"eventName": "REMOVE"})));
}

#[test]
fn mappings_have_awss_defaults() {
    let stack = stack();
    let queue = &stack.mappings[1];
    let source = MappingSource::Queue {
        arn: queue_arn("shop-UpdateInventoryDlq"),
        name: "shop-UpdateInventoryDlq".to_owned(),
    };
    assert_eq!(queue.source, source);
    assert_eq!(queue.batch_size, 10);
    assert_eq!(queue.maximum_concurrency, Some(2));
    assert!(queue.accepts(&json!({"body": r#"{"detail-type": "OrderPlaced"}"#})));
    assert!(!queue.accepts(&json!({"body": r#"{"detail-type": "X"}"#})));
    assert!(!queue.accepts(&json!({"body": "OrderPlaced"})));
    let kinesis = &stack.mappings[2];
    assert_eq!(kinesis.logical_id, "AnalyzeMapping");
    assert_eq!(kinesis.function, "RedriveFunction");
    assert_eq!(kinesis.batch_size, 100);
    assert_eq!(kinesis.starting_position, StartingPosition::Latest);
    assert_eq!(kinesis.maximum_retry_attempts, None);
    assert_eq!(kinesis.maximum_record_age, None);
    assert_eq!(kinesis.tumbling_window, Some(Duration::from_mins(1)));
    assert!(kinesis.enabled);
    assert!(kinesis.accepts(&json!({})));
}

#[test]
fn schedules_of_both_kinds_are_read() {
    let stack = stack();
    let [sweep, nightly] = stack.schedules.as_slice() else {
        panic!("two schedules expected: {:?}", stack.schedules);
    };
    assert_eq!(sweep.name, "RedriveFunctionSweep");
    assert_eq!(sweep.cadence, Cadence::Rate(Duration::from_mins(1)));
    assert_eq!(sweep.by, ScheduledBy::Scheduler);
    assert_eq!(sweep.targets[0].retry.maximum_retry_attempts, 0);
    assert_eq!(nightly.by, ScheduledBy::Rule);
    assert!(!nightly.enabled);
}

#[test]
fn everything_else_is_listed() {
    let stack = stack();
    assert_eq!(stack.buses[0].name, "shop-orders");
    assert_eq!(stack.kinesis_streams[0].shards, 2);
    assert_eq!(stack.parameters[0].name, "/orders/gateway");
    assert_eq!(stack.parameters[0].value, "simulated");
    let others: Vec<&str> = stack.other.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(others, ["DlqPolicy", "PlaceOrderLogs"]);
    assert_eq!(stack.outputs["Api"], "http://127.0.0.1:3000/orders");
    assert_eq!(
        stack.outputs["Parking"],
        "http://127.0.0.1:9999/000000000000/shop-ParkingLot"
    );
}
