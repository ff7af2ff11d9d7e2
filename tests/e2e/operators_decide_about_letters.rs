//! `cargo local dlq`: an operator lists, shows, redrives, parks, resolves and purges what consumers
//! gave up, here and by a stack's name, and each letter keeps who did it and why.

use std::process::Output;

use serde_json::{Value, json};

use crate::dead_letters::{of_nobody, publish, redrive, taken_in};
use crate::operators_reach_a_stack::signed_in;
use crate::system::{System, command, eventually, order, template_whose_relay_fails};

/// Only an operator redrives, as long as a test takes.
const LATE: [&str; 2] = ["--parameter", "RedriveFirstDelaySeconds=3600"];

/// The command on the system, reached by its address.
fn dlq(system: &System, arguments: &[&str]) -> Output {
    let mut all = vec!["dlq"];
    all.extend(arguments);
    all.extend(["--aws-endpoint", &system.aws]);
    command(&all).output().unwrap()
}

/// The command on the system, reached by a stack's name.
fn dlq_of_stack(system: &System, arguments: &[&str]) -> Output {
    let mut all = vec!["dlq"];
    all.extend(arguments);
    all.extend(["--stack", "local"]);
    signed_in(&system.aws, &all).output().unwrap()
}

/// What it printed, when it ended with this code.
#[track_caller]
fn printed(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{printed}{said}");
    printed.into_owned()
}

#[track_caller]
fn as_json(output: &Output, code: i32) -> Value {
    let printed = printed(output, code);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// It ended with this code, and said these on standard error.
#[track_caller]
fn refused(output: &Output, code: i32, with: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in with {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

/// The last entry of a letter's history: what, by whom, why.
async fn last_act(system: &System, letter: &str) -> (String, String, String) {
    let letters = system.letters().await;
    let history = letters[letter]["history"].as_array().unwrap();
    let entry = history.last().unwrap();
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    (text("act"), text("by"), text("note"))
}

fn act(act: &str, by: &str, why: &str) -> (String, String, String) {
    (act.to_owned(), by.to_owned(), why.to_owned())
}

/// A system in which two events of an order that nobody knows were given up.
async fn with_letters_of_nobody() -> System {
    let system = System::start(&LATE);
    for (id, version) in [("n-1", 2), ("n-2", 3)] {
        let mut event = of_nobody(id);
        event["version"] = json!(version);
        publish(&system, &event).await;
        for consumer in ["update-inventory", "process-payment"] {
            taken_in(&system, &format!("{consumer}/{id}")).await;
        }
    }
    system
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_counted_by_cause_and_shown_one_by_one() {
    let system = with_letters_of_nobody().await;
    let list = ["list", "--consumer", "update-inventory", "--limit", "1"];
    for output in [
        dlq(&system, &[&list[..], &["--json"]].concat()),
        dlq_of_stack(&system, &[&list[..], &["--json"]].concat()),
    ] {
        let listed = as_json(&output, 0);
        let group = &listed["groups"][0];
        assert_eq!(group["class"], "Permanent", "{listed}");
        assert_eq!(group["statuses"], json!({"waiting": 2}));
        let cause = group["cause"].as_str().unwrap();
        assert!(
            cause.contains("order * is not in the event store"),
            "{cause}"
        );
        assert_eq!(listed["letters"].as_array().unwrap().len(), 1);
        assert_eq!(listed["lettersLeftOut"], 1);
        assert!(!listed.to_string().contains("userId"), "{listed}");
    }
    let table = printed(&dlq(&system, &list), 0);
    assert!(table.starts_with("2 dead letters\nconsumer"), "{table}");
    assert!(table.contains("and 1 more letters"), "{table}");
    let nothing = ["list", "--cause", "NO SUCH CAUSE", "--json"];
    assert_eq!(as_json(&dlq(&system, &nothing), 0)["total"], 0);

    let shown = printed(&dlq(&system, &["show", "update-inventory/n-1"]), 0);
    for part in [
        "Permanent",
        "OrderCancelled n-1, order-nobody v2",
        "taken in",
        "\"userId\": \"u\"",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let shown = dlq_of_stack(&system, &["show", "update-inventory/n-2", "--json"]);
    let shown = as_json(&shown, 0);
    assert_eq!(shown["payload"]["detail"]["data"]["userId"], "u", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_not_clear_or_not_allowed_is_said_and_changes_nothing() {
    let system = with_letters_of_nobody().await;
    let before = system.letters().await;
    let ambiguous = dlq(&system, &["show", "n-1"]);
    refused(
        &ambiguous,
        1,
        &["process-payment/n-1, update-inventory/n-1"],
    );
    refused(&dlq(&system, &["show", "n-7"]), 1, &["no letter n-7"]);
    let unknown = ["list", "--consumer", "pay"];
    refused(
        &dlq(&system, &unknown),
        1,
        &["no consumer pay", "notify-user, process-payment"],
    );
    let nothing = ["park", "--type", "OrderPlaced", "--why", "x", "--by", "ada"];
    refused(&dlq(&system, &nothing), 1, &["no open letter matches"]);
    let all = ["redrive", "--why", "x", "--by", "ada"];
    refused(&dlq(&system, &all), 2, &["--all"]);
    let unasked = ["purge", "--all", "--why", "x", "--by", "ada"];
    refused(&dlq(&system, &unasked), 2, &["no terminal", "--yes"]);
    let mut nobody = command(&["dlq", "park", "--all", "--why", "x"]);
    for name in ["USER", "LOGNAME", "USERNAME"] {
        nobody.env_remove(name);
    }
    refused(&nobody.output().unwrap(), 2, &["--by NAME"]);
    for act in ["redrive", "park", "purge"] {
        let dry = [
            act,
            "--consumer",
            "update-inventory",
            "--why",
            "x",
            "--by",
            "ada",
        ];
        let dry = [&dry[..], &["--dry-run", "--json"]].concat();
        let report = as_json(&dlq(&system, &dry), 0);
        assert_eq!(report["counts"], json!({"chosen": 2}), "{report}");
    }
    assert_eq!(system.letters().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_parked_redriven_in_its_turn_and_purged_and_keeps_by_whom_and_why() {
    let system = with_letters_of_nobody().await;
    let (first, second) = ("update-inventory/n-1", "update-inventory/n-2");
    let signed = ["--by", "ada", "--json", "--why"];
    let with = |act: &[&'static str], why: &'static str| [act, &signed, &[why]].concat();

    // The second does not pass the first, neither by its name nor by a filter.
    let behind = as_json(&dlq(&system, &with(&["redrive", second], "mended")), 1);
    assert_eq!(behind["letters"][0]["outcome"], "behind", "{behind}");
    assert_eq!(system.letters().await[second]["attempts"], 1);

    let park = with(&["park", first, second], "wait for the fix");
    assert_eq!(
        as_json(&dlq(&system, &park), 0)["counts"],
        json!({"parked": 2})
    );
    assert_eq!(
        last_act(&system, first).await,
        act("parked", "ada", "wait for the fix")
    );

    // Nothing was mended: the first fails, and the second is not tried.
    let redrive = with(&["redrive", "--consumer", "update-inventory"], "mended");
    let report = as_json(&dlq_of_stack(&system, &redrive), 1);
    assert_eq!(
        report["counts"],
        json!({"failed": 1, "behind": 1}),
        "{report}"
    );
    let letters = system.letters().await;
    assert_eq!(
        (&letters[first]["attempts"], &letters[second]["attempts"]),
        (&json!(2), &json!(1))
    );
    let history = letters[first]["history"].as_array().unwrap();
    let released = history.iter().find(|entry| entry["act"] == "released");
    assert_eq!(released.unwrap()["by"], "ada");
    assert_eq!(released.unwrap()["note"], "mended");

    let purge = with(
        &["purge", "--yes", "--consumer", "update-inventory"],
        "a test",
    );
    assert_eq!(
        as_json(&dlq(&system, &purge), 0)["counts"],
        json!({"purged": 2})
    );
    assert_eq!(
        last_act(&system, second).await,
        act("purged", "ada", "a test")
    );
    let again = as_json(&dlq(&system, &with(&["park", first], "x")), 1);
    let reason = again["letters"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("is purged already"), "{reason}");
    let resolve = with(&["resolve", "process-payment/n-1"], "told by telephone");
    assert_eq!(
        as_json(&dlq(&system, &resolve), 0)["counts"],
        json!({"resolved": 1})
    );
    let told = act("resolved", "ada", "told by telephone");
    assert_eq!(last_act(&system, "process-payment/n-1").await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_letters_yet_are_counted() {
    let system = System::start(&LATE);
    eventually("it is in the queue while it is listed", async || {
        // Each minute the redriver takes everything in.
        system.send("notify-user-dlq", "no JSON {", &[]).await;
        let listed = as_json(&dlq(&system, &["list", "--json"]), 0);
        assert_eq!(listed["queues"]["update-inventory"], 0, "{listed}");
        (listed["queues"]["notify-user"].as_u64() > Some(0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cause_is_mended_an_operator_redrives_by_filter() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let (_folder, broken) = template_whose_relay_fails();
    let started =
        |template: &[&str]| System::start(&[&["--data-dir", data][..], &LATE, template].concat());
    let system = started(&["--template", &broken]);
    system.stock("tea", 5, "1").await;
    let id = system.place("k", &order("u", "tea", 1, "1")).await;
    let stream = format!("order-{id}");
    let letter = eventually("the relay gave the order's event up", async || {
        redrive(&system, json!({})).await;
        let letters = system.letters().await.into_iter();
        let mut of_order = letters.filter(|(_, one)| one["event"]["streamId"] == stream);
        of_order.find(|(_, one)| one["consumer"] == "publish-events")
    })
    .await
    .0;
    assert_eq!(system.interrupt(), Some(0));

    let system = started(&[]);
    let filter = ["redrive", "--consumer", "publish-events", "--rate", "50"];
    let signed = [
        "--by",
        "ada",
        "--why",
        "the bus has its name again",
        "--json",
    ];
    let report = as_json(&dlq_of_stack(&system, &[filter, signed].concat()), 0);
    assert_eq!(report["counts"].as_object().unwrap().len(), 1, "{report}");
    assert!(report["counts"]["redriven"].as_u64() > Some(0), "{report}");
    system.order_at(&id, "confirmed").await;
    assert_eq!(system.letters().await[&letter]["status"], "redriven");
    system.invariants_hold(&[id]).await;
}

/// The letter of an order whose payment is unknown.
async fn unknown_payment(system: &System, key: &str) -> (String, String) {
    let mut body = order("u", "tea", 2, "2");
    body["payment"] = json!({"token": "tok_timeout"});
    let id = system.place(key, &body).await;
    let stream = format!("order-{id}");
    let letter = eventually("the payment is given up", async || {
        redrive(system, json!({})).await;
        let letters = system.letters().await.into_iter();
        let mut of_order = letters.filter(|(_, one)| one["event"]["streamId"] == stream);
        of_order.find(|(_, one)| one["consumer"] == "process-payment")
    })
    .await;
    (id, letter.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_payment_is_resolved_by_its_letter_or_its_order_and_the_letter_closes() {
    let system = System::start(&[&["--retry-delay", "20"][..], &LATE].concat());
    system.stock("tea", 10, "2").await;
    let (paid, letter) = unknown_payment(&system, "paid").await;
    let (failed, other) = unknown_payment(&system, "failed").await;
    let why = ["--by", "ada", "--why", "seen in the dashboard"];
    let open = dlq(&system, &[&["resolve", &letter][..], &why].concat());
    refused(&open, 1, &["outcome is unknown", "--as paid"]);

    let as_paid = ["resolve", &letter, "--as", "paid", "--payment-id", "pi_1"];
    let output = dlq_of_stack(&system, &[&as_paid[..], &why].concat());
    let said = printed(&output, 0);
    assert!(
        said.contains("is confirmed: PaymentProcessed was appended"),
        "{said}"
    );
    let resolved = act("resolved", "ada", "seen in the dashboard");
    assert_eq!(last_act(&system, &letter).await, resolved);
    system.order_at(&paid, "confirmed").await;
    let trail = system.get(&format!("/orders/{paid}/events")).await.json();
    assert_eq!(trail["events"][2]["actor"], "ada", "{trail}");

    // Against what is settled: refused, whatever letters there are.
    let against = ["resolve", "--order", &paid, "--as", "failed"];
    let output = dlq(&system, &[&against[..], &why].concat());
    refused(
        &output,
        1,
        &["resolve-payment says", "settled before (paid as pi_1)"],
    );

    let as_failed = ["resolve", "--order", &failed, "--as", "failed", "--json"];
    let report = as_json(&dlq(&system, &[&as_failed[..], &why].concat()), 0);
    assert_eq!(report["payment"]["status"], "rejected", "{report}");
    assert_eq!(
        report["letters"],
        json!([{"letterId": other, "outcome": "resolved"}])
    );
    system.order_at(&failed, "rejected").await;
    system.invariants_hold(&[paid, failed]).await;
}
