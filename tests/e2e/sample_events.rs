//! Every file in `events/` through the function that it is for.

use crate::repository::read;
use crate::system::{System, workspace};
use serde_json::Value;

fn sample(name: &str) -> Value {
    serde_json::from_str(&read(format!("events/{name}.json"))).unwrap()
}

/// The function that a sample is named after.
fn function_of(sample: &str) -> String {
    let functions = std::fs::read_dir(workspace().join("functions")).unwrap();
    functions
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|function| sample == function || sample.starts_with(&format!("{function}-")))
        .unwrap()
}

/// What the samples are answered with, one after the other; see `tests/sample-events/README.md`.
fn steps() -> Vec<Value> {
    serde_json::from_str(&read("tests/sample-events/answers.json")).unwrap()
}

/// Whether an answer is what is expected: part of it, where an object is.
fn is_answered(answer: &Value, expected: &Value) -> bool {
    let Value::Object(fields) = expected else {
        return answer == expected;
    };
    fields
        .iter()
        .all(|(field, expected)| match (&answer[field], expected) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (value, expected) => value == expected,
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_event_passes_through_its_function() {
    let system = System::start(&[]);
    let mut left: std::collections::BTreeSet<_> = std::fs::read_dir(workspace().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "asyncapi")
        .collect();
    for step in steps() {
        if let Some(state) = step["await"].as_str() {
            system.order_at("67890", state).await;
            continue;
        }
        let name = step["call"].as_str().unwrap();
        left.remove(name);
        let answer = match system.invoke(&function_of(name), &sample(name)).await {
            Ok(answer) | Err(answer) => answer,
        };
        let expected = &step["answer"];
        assert!(
            is_answered(&answer, expected),
            "{name}: {answer}, expected {expected}"
        );
    }
    assert!(left.is_empty(), "not tried: {left:?}");
}
