//! What belongs to a consumer.

use event_sourcing::envelope::Envelope;

use super::args::ConsumerArgs;
use super::name::{Name, begins};
use super::plan::Plan;
use super::published::{self, EventType};
use super::{commands, fill, refused, watched};
use crate::error::LocalError;

/// The files of a function's folder.
const FILES: [(&str, &str); 6] = [
    (
        "Cargo.toml",
        include_str!("templates/consumer/Cargo.toml.txt"),
    ),
    (
        "src/main.rs",
        include_str!("templates/consumer/main.rs.txt"),
    ),
    ("src/lib.rs", include_str!("templates/consumer/lib.rs.txt")),
    (
        "src/config.rs",
        include_str!("templates/consumer/config.rs.txt"),
    ),
    (
        "src/decision.rs",
        include_str!("templates/consumer/decision.rs.txt"),
    ),
    (
        "src/handler.rs",
        include_str!("templates/consumer/handler.rs.txt"),
    ),
];
const FUNCTION: &str = include_str!("templates/consumer/function.yaml.txt");
const EVENT: &str = include_str!("templates/consumer/event.json.txt");
/// What happens to orders and to SKUs; a consumer of orders' events wants that of orders.
const STOCK_MOVES: &str = "InventoryUpdated";
const OF_ORDERS_ONLY: &str = "\n                data: { orderId: [{ exists: true }] }";

/// Plans a consumer; what to do next.
pub(super) fn plan(plan: &mut Plan, args: &ConsumerArgs) -> Result<String, LocalError> {
    let name = &args.name;
    refuse_taken(plan, name)?;
    let events = events(plan, &args.on)?;
    folder(plan, name, &events)?;
    workspace(plan, name)?;
    template(plan, name, &events)?;
    watched::plan(plan, name)?;
    rule(plan, name, &events)?;
    sample(plan, name, &events[0])?;
    readme(plan, name, &events)?;
    cost(plan, name, &events)?;
    let name = name.kebab();
    let then = format!("Then store what your business needs: functions/{name}/src/decision.rs.");
    let next = commands(&[
        (format!("cargo test -p {name}"), "what it does so far"),
        (
            format!("cargo local invoke {name} events/{name}.json"),
            "the sample event through it",
        ),
        (
            "cargo test -p local --test e2e -- agreement sample_events rules watched".to_owned(),
            "template, README, samples and runbooks agree",
        ),
    ]);
    Ok(format!("{next}\n{then}"))
}

/// Refuses a name that means something already.
fn refuse_taken(plan: &Plan, name: &Name) -> Result<(), LocalError> {
    let kebab = name.kebab();
    let folder = format!("functions/{kebab}");
    if plan.exists(&folder) {
        return Err(refused(folder, "is there already; choose another name"));
    }
    for there in plan.names_in("functions")? {
        if begins(kebab, &there) || begins(&there, kebab) {
            let problem = format!(
                "is a function, and samples are told apart by what they begin with: no name may \
                 begin with another one and a hyphen, as {kebab} and {there} do"
            );
            return Err(refused(format!("functions/{there}"), problem));
        }
    }
    let module = format!("shared/domain/src/{}.rs", name.snake());
    if plan.exists(&module) {
        let problem = format!("has the streams that begin with {kebab}-; choose another name");
        return Err(refused(module, problem));
    }
    let crates = plan.read("Cargo.lock").unwrap_or_default();
    if crates.contains(&format!("name = \"{kebab}\"\n")) {
        return Err(refused(
            "Cargo.lock",
            format!("has another {kebab}; choose another name"),
        ));
    }
    Ok(())
}

/// The events to handle, each once, all of one aggregate.
fn events(plan: &Plan, names: &[String]) -> Result<Vec<EventType>, LocalError> {
    let mut events: Vec<EventType> = Vec::new();
    for name in names {
        let event = published::find(plan, name)?;
        if let Some(first) = events.first().filter(|first| first.events != event.events) {
            let problem = format!(
                "{} is a {}, {} is a {}; scaffold a consumer for each, or for one of them, and \
                 add the other by hand",
                first.name, first.events, event.name, event.events
            );
            return Err(refused(published::GOLDEN, problem));
        }
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

fn folder(plan: &mut Plan, name: &Name, events: &[EventType]) -> Result<(), LocalError> {
    let first = &events[0];
    let quoted = listed(events, |event| format!("`{}`", event.name));
    let patterns: Vec<_> = events
        .iter()
        .map(|event| format!("{}::{}(_)", event.events, event.variant))
        .collect();
    let values = [
        ("name", name.kebab()),
        ("snake", &name.snake()),
        ("Name", &name.pascal()),
        ("events", &quoted),
        ("module", &first.module),
        ("Enum", &first.events),
        ("patterns", &patterns.join(" | ")),
    ];
    for (file, text) in FILES {
        let path = format!("functions/{}/{file}", name.kebab());
        plan.create(&path, fill(text, &values))?;
    }
    Ok(())
}

fn listed(events: &[EventType], form: impl Fn(&EventType) -> String) -> String {
    events.iter().map(form).collect::<Vec<_>>().join(", ")
}

/// The crate is a member, is built by default, and `cargo local` hosts it.
fn workspace(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    let (kebab, snake) = (name.kebab(), name.snake());
    let manifest = "Cargo.toml";
    let member = format!("  \"functions/{kebab}\",\n");
    plan.insert(manifest, &["members = [", "  \"local"], &member)?;
    plan.insert(manifest, &["default-members = [", "]"], &member)?;
    plan.insert(
        manifest,
        &["[workspace.dependencies]", "sam-template = "],
        &format!("{kebab} = {{ path = \"functions/{kebab}\" }}\n"),
    )?;
    plan.insert_sorted(
        "local/Cargo.toml",
        "[dependencies]",
        &format!("{kebab} = {{ workspace = true }}\n"),
    )?;
    plan.insert(
        "local/src/programs.rs",
        &["functions! {", "}"],
        &format!("    \"{kebab}\" => {snake}::run,\n"),
    )
}

/// The function with its rule and its dead-letter queue.
fn template(plan: &mut Plan, name: &Name, events: &[EventType]) -> Result<(), LocalError> {
    let stock_moves = events.iter().any(|event| event.name == STOCK_MOVES);
    let values = [
        ("name", name.kebab()),
        ("Name", &name.pascal()),
        ("Events", &listed(events, |event| event.name.clone())),
        ("only", if stock_moves { OF_ORDERS_ONLY } else { "" }),
    ];
    let template = "template.yaml";
    let function = fill(FUNCTION, &values);
    plan.insert(template, &["Resources:", "  # ---- Read side"], &function)?;
    plan.insert(
        template,
        &[
            "  DeadLetterQueuesPolicy:",
            "      Queues:",
            "      PolicyDocument:",
        ],
        &format!("        - !Ref {}Dlq\n", name.pascal()),
    )?;
    redriven(plan, name)
}

/// The redriver takes in what the consumer gives up, and may call it.
fn redriven(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    let (kebab, pascal) = (name.kebab(), name.pascal());
    let template = "template.yaml";
    let redriver = "  RedriveDlqFunction:";
    let queues = "              Action: [sqs:DeleteMessage, sqs:ReceiveMessage]";
    let calls = "              Action: [lambda:InvokeFunction]";
    for (anchors, text) in [
        (
            [
                redriver,
                "          CONSUMERS: !Sub |",
                "              \"notify-user\"",
            ],
            format!(
                "              \"{kebab}\": {{\"queue\": \"${{{pascal}Dlq}}\", \
                 \"function\": \"${{{pascal}Function}}:live\"}},\n"
            ),
        ),
        (
            [
                redriver,
                queues,
                "                - !GetAtt NotifyUserDlq.Arn",
            ],
            format!("                - !GetAtt {pascal}Dlq.Arn\n"),
        ),
        (
            [
                redriver,
                calls,
                "                - !Ref NotifyUserFunction.Alias",
            ],
            format!("                - !Ref {pascal}Function.Alias\n"),
        ),
    ] {
        plan.insert(template, &anchors, &text)?;
    }
    // By which an operator's commands know the consumer.
    for (names, name) in [
        ("functions", format!("{pascal}Function}}:live")),
        ("queues", format!("{pascal}Dlq}}")),
    ] {
        plan.insert(
            template,
            &[
                "  StackResources:",
                &format!("            \"{names}\": {{"),
                "              \"notify-user\"",
            ],
            &format!("              \"{kebab}\": \"${{{name}\",\n"),
        )?;
    }
    Ok(())
}

/// The rule's line among those that the samples are held against.
fn rule(plan: &mut Plan, name: &Name, events: &[EventType]) -> Result<(), LocalError> {
    let kinds = events.iter().flat_map(|event| match event.name.as_str() {
        STOCK_MOVES => vec![
            format!("\"{STOCK_MOVES} (reserved)\""),
            format!("\"{STOCK_MOVES} (released)\""),
        ],
        name => vec![format!("\"{name}\"")],
    });
    let kinds: Vec<_> = kinds.collect();
    plan.insert(
        "tests/e2e/rules.rs",
        &["const RULES", "    (\"RecordEventsFunctionPlainEvent\""],
        &format!(
            "    (\"{}FunctionEventToHandle\", &[{}]),\n",
            name.pascal(),
            kinds.join(", ")
        ),
    )
}

/// The golden file of the event, as the bus delivers it, and what the function answers.
fn sample(plan: &mut Plan, name: &Name, event: &EventType) -> Result<(), LocalError> {
    let fits =
        |golden: &Envelope| event.name != STOCK_MOVES || golden.data.get("orderId").is_some();
    let (golden, text) = published::golden(plan, &event.name, fits)?;
    let values = [
        ("type", event.name.as_str()),
        ("time", &golden.timestamp),
        ("stream", golden.stream_id.as_deref().unwrap_or_default()),
        ("detail", &text.trim().replace('\n', "\n  ")),
    ];
    let kebab = name.kebab();
    plan.create(&format!("events/{kebab}.json"), fill(EVENT, &values))?;
    plan.insert(
        "tests/sample-events/answers.json",
        &["  {\"call\": \"redrive-dlq\""],
        &format!("  {{\"call\": \"{kebab}\", \"answer\": null}},\n"),
    )
}

/// The row of the table of functions.
fn readme(plan: &mut Plan, name: &Name, events: &[EventType]) -> Result<(), LocalError> {
    let (kebab, pascal) = (name.kebab(), name.pascal());
    let events = listed(events, |event| match event.name.as_str() {
        STOCK_MOVES => format!("`{STOCK_MOVES}` (of orders)"),
        name => format!("`{name}`"),
    });
    plan.insert(
        "README.md",
        &["## The functions", "| [project-orders]"],
        &format!(
            "| [{kebab}](functions/{kebab}) | {events} | `{pascal}Done` | retried, then `{kebab}-dlq` |\n"
        ),
    )
}

/// What a happy order takes, which the tests hold to the unit: each event that is handled is one
/// more to append (one request, one unit), to publish and to call two functions for.
fn cost(plan: &mut Plan, name: &Name, events: &[EventType]) -> Result<(), LocalError> {
    let handled: u32 = events
        .iter()
        .map(|event| match event.name.as_str() {
            "OrderPlaced" | STOCK_MOVES | "PaymentProcessed" => 1,
            "UserNotified" => 2,
            _ => 0,
        })
        .sum();
    if handled == 0 {
        return Ok(());
    }
    let tests = "tests/e2e/load.rs";
    for test in [
        "fn a_happy_order_that_shares_no_batch_takes_exactly",
        "fn happy_orders_that_share_batches_take_fewer_units",
    ] {
        for (what, each) in [
            ("dynamodb_requests", 1),
            ("write_units", 1),
            ("eventbridge_entries", 1),
            ("lambda_invocations", 2),
            ("kinesis_units", 1),
            ("firehose_units", 1),
        ] {
            let row = format!("        (\"{what}\", ");
            plan.add(tests, &[test, &row], each * handled)?;
        }
    }
    plan.insert(
        tests,
        &["/// With every event in a batch of its own", "#[test]"],
        &format!(
            "/// And {}: {handled} more, on streams of its own.\n",
            name.kebab()
        ),
    )
}
