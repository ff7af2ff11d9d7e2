//! Which events each rule of the bus takes, by the samples and the golden files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sam_template::Stack;
use serde_json::{Value, json};

use crate::repository::stack;
use crate::system::workspace;

/// Every rule, and the kinds of events that it takes: it takes no other.
const RULES: &[(&str, &[&str])] = &[
    ("analytics", RECORDED),
    ("archive", RECORDED),
    ("alarms", &["AlarmCleared", "AlarmRaised"]),
    ("RecordEventsFunctionPlainEvent", &["plain"]),
    // Disabled, unless events are mirrored.
    ("MirrorEventsFunctionEventRecorded", RECORDED),
    ("UpdateInventoryFunctionOrderToReserve", &["OrderPlaced"]),
    (
        "UpdateInventoryFunctionOrderToRelease",
        &["PaymentFailed", "OrderCancelled"],
    ),
    (
        "ProcessPaymentFunctionStockReserved",
        &["InventoryUpdated (reserved)"],
    ),
    ("ProcessPaymentFunctionOrderToRefund", &["OrderCancelled"]),
    (
        "NotifyUserFunctionOrderMovedOn",
        &[
            "OrderPlaced",
            "PaymentProcessed",
            "InventoryRejected",
            "PaymentFailed",
            "OrderCancelled",
            "PaymentRefunded",
        ],
    ),
];

/// Everything that is stored.
const RECORDED: &[&str] = &[
    "AlarmCleared",
    "AlarmRaised",
    "InventoryRejected",
    "InventoryUpdated (released)",
    "InventoryUpdated (reserved)",
    "InventoryUpdated (restocked)",
    "NotificationFailed",
    "NotificationRetried",
    "OrderCancelled",
    "OrderPlaced",
    "PaymentFailed",
    "PaymentProcessed",
    "PaymentRefunded",
    "UserNotified",
];

/// What an event of the bus is for the rules: one of another producer, or one of ours.
fn kind(event: &Value) -> String {
    let detail = &event["detail"];
    if detail.get("version").is_none() {
        return "plain".to_owned();
    }
    let event_type = event["detail-type"].as_str().unwrap();
    match (event_type, detail["data"]["reason"].as_str()) {
        ("InventoryUpdated", Some(reason)) => format!("{event_type} ({reason})"),
        _ => event_type.to_owned(),
    }
}

fn events_in(folder: &str) -> impl Iterator<Item = (String, Value)> {
    let files = fs::read_dir(workspace().join(folder)).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&text).unwrap())
    })
}

/// Every sample that comes from the bus, and every golden file as the bus would bring it.
fn samples() -> BTreeMap<String, Value> {
    let samples = events_in("events").filter(|(_, sample)| sample.get("detail-type").is_some());
    let golden = events_in("events/golden").map(|(name, envelope)| {
        let event = json!({"version": "0", "id": "1", "source": "orderflow", "account": "1",
            "time": envelope["timestamp"], "region": "us-east-1", "resources": [envelope["streamId"]],
            "detail-type": envelope["eventType"], "detail": envelope});
        (format!("golden/{name}"), event)
    });
    samples.chain(golden).collect()
}

/// The rule's logical id, out of `<stack>-<logical id>`.
fn rules(stack: &Stack) -> impl Iterator<Item = (&str, &sam_template::EventPattern)> {
    let rules = stack.rules.iter();
    rules.map(|rule| (rule.name.trim_start_matches("local-"), &rule.pattern))
}

#[test]
fn every_sample_event_goes_to_the_rules_that_are_to_have_it_and_to_no_other() {
    let stack = stack(&[]);
    let listed: BTreeSet<_> = RULES.iter().map(|(rule, _)| *rule).collect();
    let wired: BTreeSet<_> = rules(&stack).map(|(rule, _)| rule).collect();
    assert_eq!(wired, listed, "a rule without a line here");
    let mut taken = BTreeSet::new();
    for (name, event) in samples() {
        let kind = kind(&event);
        let matched: BTreeSet<_> = rules(&stack)
            .filter(|(_, pattern)| pattern.matches(&event))
            .map(|(rule, _)| rule)
            .collect();
        let expected: BTreeSet<_> = RULES
            .iter()
            .filter(|(_, kinds)| kinds.contains(&kind.as_str()))
            .map(|(rule, _)| *rule)
            .collect();
        assert_eq!(matched, expected, "{name}: {kind}");
        taken.insert(kind);
    }
    for (rule, kinds) in RULES {
        for kind in *kinds {
            assert!(taken.contains(*kind), "no sample of {kind} for {rule}");
        }
    }
}

#[test]
fn the_rules_of_the_saga_take_nothing_that_the_store_did_not_publish() {
    let stack = stack(&[]);
    for (name, mut event) in samples() {
        if kind(&event) == "plain" {
            continue;
        }
        event["source"] = json!("another.shop");
        let matched: Vec<_> = rules(&stack)
            .filter(|(_, pattern)| pattern.matches(&event))
            .map(|(rule, _)| rule)
            .collect();
        assert!(matched.is_empty(), "{name} from elsewhere: {matched:?}");
    }
}
