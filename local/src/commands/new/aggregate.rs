//! What belongs to an aggregate.

use event_sourcing::chain::{self, Head};
use event_sourcing::envelope::Envelope;
use event_sourcing::ids::event_id;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::AggregateArgs;
use super::name::Name;
use super::plan::Plan;
use super::published::{self, GOLDEN};
use super::{commands, fill, refused};
use crate::error::LocalError;

const CODE: &str = include_str!("templates/aggregate/aggregate.rs.txt");
const TESTS: &str = include_str!("templates/aggregate/tests.rs.txt");
/// The events, by what their names end with, and the schemas of their data.
const EVENTS: [(&str, &str); 2] = [
    (
        "Opened",
        include_str!("templates/aggregate/opened.schema.json.txt"),
    ),
    (
        "Closed",
        include_str!("templates/aggregate/closed.schema.json.txt"),
    ),
];
/// When the golden events happened: 2025-01-01T12:00:00Z.
const GOLDEN_SECOND: i64 = 1_735_732_800;

/// Plans an aggregate; what to do next.
pub(super) fn plan(plan: &mut Plan, args: &AggregateArgs) -> Result<String, LocalError> {
    let name = &args.name;
    refuse_taken(plan, name)?;
    domain(plan, name)?;
    golden(plan, name)?;
    schemas(plan, name)?;
    asyncapi(plan, name)?;
    let module = name.snake();
    let then = format!("Then decide what your business needs: shared/domain/src/{module}.rs.");
    let next = commands(&[
        (
            "cargo test -p domain --all-features".to_owned(),
            "what it decides so far, and what is published of it",
        ),
        (
            "UPDATE_SCHEMAS=1 cargo test -p domain --all-features published_schemas".to_owned(),
            "after each change of an event",
        ),
    ]);
    Ok(format!("{next}\n{then}"))
}

/// Refuses a name that means something already.
fn refuse_taken(plan: &Plan, name: &Name) -> Result<(), LocalError> {
    let snake = name.snake();
    for path in [
        format!("shared/domain/src/{snake}.rs"),
        format!("shared/domain/src/{snake}"),
    ] {
        if plan.exists(&path) {
            return Err(refused(path, "is there already; choose another name"));
        }
    }
    let function = format!("functions/{}", name.kebab());
    if plan.exists(&function) {
        let problem = "has, or may have, the streams of this name; choose another one";
        return Err(refused(function, problem));
    }
    let types = published::types(plan)?;
    for (what, _) in EVENTS {
        let event = format!("{}{what}", name.pascal());
        if types.contains(&event) {
            let problem = format!("has another {event}; choose another name");
            return Err(refused(GOLDEN, problem));
        }
    }
    Ok(())
}

/// The decider with its tests, and where the domain names its aggregates and ids.
fn domain(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    let (snake, pascal, words) = (name.snake(), name.pascal(), name.words());
    let filled = |text: &str| fill_with(text, name);
    let path = |file: &str| format!("shared/domain/src/{file}");
    plan.create(&path(&format!("{snake}.rs")), filled(CODE))?;
    plan.create(&path(&format!("{snake}/tests.rs")), filled(TESTS))?;
    let lib = path("lib.rs");
    plan.insert(
        &lib,
        &["//! [`order_summary`]"],
        &format!("//! [`{snake}`],\n"),
    )?;
    plan.insert(&lib, &["pub mod ids;"], &format!("pub mod {snake};\n"))?;
    plan.insert(
        &path("ids.rs"),
        &["impl OrderId {"],
        &format!(
            "opaque_id!(\n    /// {}.\n    {pascal}Id\n);\n\n",
            with_article(&words)
        ),
    )?;
    let values = path("schema/values.rs");
    plan.insert(
        &values,
        &["use crate::ids::"],
        &format!("use crate::ids::{pascal}Id;\n"),
    )?;
    plan.insert(
        &values,
        &["schema!(Amount"],
        &format!(
            "schema!({pascal}Id, {{\"type\": \"string\", \"minLength\": 1, \"maxLength\": MAX_ID_CHARS}});\n"
        ),
    )?;
    let schema = path("schema.rs");
    let import = format!("use crate::{snake}::{pascal}Event;\n");
    plan.insert(&schema, &["use crate::order::"], &import)?;
    plan.insert(
        &schema,
        &["pub fn event_schemas()", "    for of_order in"],
        &format!("    schemas.extend({pascal}Event::schemas());\n"),
    )
}

fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {words}", if vowel { "An" } else { "A" })
}

fn fill_with(text: &str, name: &Name) -> String {
    let values = [
        ("name", name.kebab()),
        ("snake", &name.snake()),
        ("Name", &name.pascal()),
        ("camel", &name.camel()),
        ("words", &name.words()),
    ];
    fill(text, &values)
}

/// One event of each type as it is published, and the test that reads them.
fn golden(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    for event in golden_events(name) {
        let path = format!("{GOLDEN}/{}.v1.json", event.event_type);
        plan.create(&path, pretty(&path, &event)?)?;
    }
    let (snake, pascal) = (name.snake(), name.pascal());
    let tests = "shared/domain/tests/published/golden.rs";
    plan.insert(
        tests,
        &["use domain::order::"],
        &format!("use domain::{snake}::{pascal}Event;\n"),
    )?;
    plan.insert(
        tests,
        &["pub(crate) fn read(", "    } else {"],
        &format!(
            "    }} else if {pascal}Event::TYPES.contains(&envelope.event_type.as_str()) {{\n        \
             read::<{pascal}Event>(envelope)\n"
        ),
    )?;
    let versions = "pub(crate) fn current_versions()";
    plan.insert(
        tests,
        &[versions, "    of_orders"],
        &format!(
            "    let of_{snake} = {pascal}Event::TYPES\n        .iter()\n        \
             .map(|name| (*name, current_version({pascal}Event::upcasters(), name)));\n"
        ),
    )?;
    let chained = format!("        .chain(of_{snake})\n");
    plan.insert(tests, &[versions, "}"], &chained)?;
    plan.insert(
        tests,
        &[
            "fn every_version_of_every_event_has_a_golden_file()",
            "    let golden = golden();",
        ],
        &format!("    assert_eq!(check({pascal}Event::upcasters()), Ok(()));\n"),
    )
}

/// The stream of one that was opened and closed.
fn golden_events(name: &Name) -> Vec<Envelope> {
    let stream = format!("{}-1", name.kebab());
    let id = format!("{}Id", name.camel());
    let opened = json!({id.as_str(): "1"});
    let closed = json!({id.as_str(): "1", "reason": "unused"});
    let events = EVENTS.iter().zip([opened, closed]).zip(1_u8..);
    let events = events.map(|(((what, _), data), number)| {
        let request = format!("request-{number}");
        let at = Timestamp::from_second(GOLDEN_SECOND + i64::from(number) - 1);
        let mut event = Envelope::new(
            &event_id(&stream, &request, name.kebab(), 0),
            &format!("{}{what}", name.pascal()),
            at.unwrap_or_default(),
            data,
        );
        event.correlation_id = Some(stream.clone());
        event.causation_id = Some(request);
        event
    });
    chain::record(&stream, &Head::START, events.collect())
}

fn schemas(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    EVENTS.iter().try_for_each(|(what, schema)| {
        let path = format!("events/schemas/{}{what}.v1.json", name.pascal());
        plan.create(&path, fill_with(schema, name))
    })
}

/// The events in the description of the bus.
fn asyncapi(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    let path = "events/asyncapi.json";
    let text = plan.read(path)?;
    let mut document: Value =
        serde_json::from_str(&text).map_err(|error| refused(path, error.to_string()))?;
    let mut added = Vec::new();
    for (what, schema) in EVENTS {
        let event_type = format!("{}{what}", name.pascal());
        let mut schema: Value = serde_json::from_str(&fill_with(schema, name))
            .map_err(|error| refused(path, error.to_string()))?;
        if let Value::Object(keywords) = &mut schema {
            keywords.remove("$schema");
        }
        if !describe(&mut document, &event_type, schema) {
            let problem = "is not the description of the bus that the domain's tests write";
            return Err(refused(path, problem));
        }
        added.push(format!("message and schema {event_type}.v1\n"));
    }
    document.sort_all_objects();
    let whole = pretty(path, &document)?;
    plan.rewrite(path, whole, &added.concat())
}

/// Adds version 1 of an event; false where a part of the document is not there.
fn describe(document: &mut Value, event_type: &str, schema: Value) -> bool {
    let message = format!("{event_type}.v1");
    let reference = |prefix: &str| json!({"$ref": format!("#/{prefix}/{message}")});
    let own = json!({
        "type": "object",
        "properties": {
            "eventType": {"const": event_type},
            "data": reference("components/schemas"),
            "schemaVersion": {"enum": [1, null]},
        },
    });
    let described = json!({
        "name": event_type,
        "title": format!("{event_type}, version 1"),
        "contentType": "application/json",
        "correlationId": {"location": "$message.payload#/correlationId"},
        "payload": {"allOf": [{"$ref": "#/components/schemas/Envelope"}, own]},
    });
    let maps = [
        (
            "/channels/orders/messages",
            reference("components/messages"),
        ),
        ("/components/messages", described),
        ("/components/schemas", schema),
    ];
    for (pointer, value) in maps {
        let Some(Value::Object(map)) = document.pointer_mut(pointer) else {
            return false;
        };
        map.insert(message.clone(), value);
    }
    let Some(Value::Object(operations)) = document.pointer_mut("/operations") else {
        return false;
    };
    for operation in operations.values_mut() {
        let Some(Value::Array(messages)) = operation.get_mut("messages") else {
            return false;
        };
        messages.push(reference("channels/orders/messages"));
    }
    true
}

fn pretty(path: &str, value: &impl serde::Serialize) -> Result<String, LocalError> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| refused(path, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_events_are_one_stream_whose_hashes_link() {
        let name: Name = "gift-card".parse().unwrap();
        let events = golden_events(&name);
        chain::verify("gift-card-1", &events).unwrap();
        let types: Vec<_> = events
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        assert_eq!(types, ["GiftCardOpened", "GiftCardClosed"]);
        assert_eq!(events[0].timestamp, "2025-01-01T12:00:00.000Z");
        assert_eq!(
            events[1].data,
            json!({"giftCardId": "1", "reason": "unused"})
        );
    }
}
