//! `invoke`: one event for one function, of a system that runs or of a fresh one.

use serde_json::{Value, json};

use crate::system::{System, run};

const EVENT: &str = "events/notify-user-plain.json";
/// What the function logs.
const LINE: &str = "Sending notification for Order ID: 67890 to User ID: abc123";

#[test]
fn a_function_of_a_running_system_is_called_by_its_logical_id_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let system = System::start(&["--data-dir", folder]);
    let call = |function| run(&["invoke", function, EVENT, "--data-dir", folder]);
    let output = call("NotifyUserFunction");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains(LINE), "{log}");
    assert!(!call("NotifyUsr").status.success());
    drop(system);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_on_another_folder_is_not_called_in_place_of_the_one_that_is_gone() {
    let gone = tempfile::tempdir().unwrap();
    let other = System::start(&[]);
    let noted = json!({"api": other.api, "aws": other.aws, "lambda": other.lambda, "pid": 1,
        "instance": "the one that is gone"});
    std::fs::write(gone.path().join("running.json"), noted.to_string()).unwrap();
    other.stock("tea", 1, "1").await;
    let before = other.stored().await;
    let folder = gone.path().to_str().unwrap();
    let event = "events/restock-inventory.json";
    let output = run(&["invoke", "restock-inventory", event, "--data-dir", folder]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(other.stored().await, before);
}

#[test]
fn the_log_of_a_function_that_is_called_by_its_logical_id_is_printed() {
    let output = run(&["invoke", "NotifyUserFunction", EVENT]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains(LINE), "{log}");
}

#[test]
fn closing_windows_tells_how_far_it_is_in_a_form_that_cloudwatch_reads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let system = System::start(&["--data-dir", folder]);
    let event = "events/close-windows.json";
    let called = run(&["invoke", "close-windows", event, "--data-dir", folder]);
    let log = String::from_utf8(called.stderr).unwrap();
    let told = log.lines().find_map(|line| {
        let line = line.get(line.find("{\"_aws\"")?..)?;
        serde_json::from_str::<Value>(line).ok()
    });
    let told = told.unwrap_or_else(|| panic!("no figures in {log}"));
    let ago = told["WindowsClosedSecondsAgo"].as_u64().unwrap();
    assert!((180..600).contains(&ago), "{told}");
    assert_eq!(told["function"], "close-windows");
    let directive = &told["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Orderflow");
    assert_eq!(
        directive["Metrics"],
        json!([{"Name": "WindowsClosedSecondsAgo", "Unit": "Seconds"}])
    );
    drop(system);
}
