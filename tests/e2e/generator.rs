//! `new`: what is scaffolded agrees with the workspace that it is put into.
//!
//! Under names that nobody would choose: the tests have to pass in a workspace that somebody
//! scaffolded in, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use local::template::context_to_read;
use sam_template::{Stack, Target};
use serde_json::Value;

use crate::system::{command, workspace};

/// What is no source of the workspace.
const LEFT_OUT: [&str; 5] = ["target", ".git", ".aws-sam", ".venv", ".local-data"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let named = name.to_string_lossy().into_owned();
        if LEFT_OUT.iter().any(|left_out| named.starts_with(left_out)) && path.is_dir() {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A copy of the workspace to scaffold in.
struct Scaffolded {
    folder: tempfile::TempDir,
}

impl Scaffolded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&workspace(), folder.path());
        Self { folder }
    }

    fn run_new(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["new"];
        all.extend(arguments);
        let mut command = command(&all);
        command.current_dir(self.folder.path()).output().unwrap()
    }

    #[track_caller]
    fn scaffold(&self, arguments: &[&str]) -> String {
        let output = self.run_new(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The error with which this is refused; nothing is written.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.files();
        let output = self.run_new(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(self.files(), before, "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    fn members(&self) -> Vec<String> {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--offline",
                "--no-deps",
                "--format-version",
                "1",
            ])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        packages
            .map(|package| package["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn a_new_consumer_is_wired_listed_sampled_and_hosted() {
    let copy = Scaffolded::new();
    let told = copy.scaffold(&[
        "consumer",
        "try-generator",
        "--on",
        "PaymentProcessed,OrderCancelled",
    ]);
    assert!(
        told.contains("created  functions/try-generator/src/handler.rs\n"),
        "{told}"
    );
    assert!(told.contains("cargo test -p try-generator"), "{told}");

    assert!(copy.members().contains(&"try-generator".to_owned()));
    let stack = Stack::from_yaml(&copy.read("template.yaml"), &context_to_read()).unwrap();
    let function = stack.function("TryGeneratorFunction").unwrap();
    assert_eq!(
        (function.name.as_str(), function.binary.as_str()),
        ("try-generator", "try-generator")
    );
    let queue = function.on_failure.clone().unwrap();
    assert!(queue.ends_with(":try-generator-dlq"), "{queue}");
    assert!(
        stack
            .queues
            .iter()
            .any(|queue| queue.name == "try-generator-dlq")
    );
    assert!(
        copy.read("template.yaml")
            .contains("- !Ref TryGeneratorDlq\n      PolicyDocument:")
    );

    let sample: Value = serde_json::from_str(&copy.read("events/try-generator.json")).unwrap();
    assert_eq!(sample["detail-type"], "PaymentProcessed");
    let rules: Vec<_> = stack
        .rules
        .iter()
        .flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)))
        .filter(|(_, target)| {
            matches!(&target.target, Target::Function { logical_id } if logical_id == "TryGeneratorFunction")
        })
        .collect();
    let [(rule, target)] = rules[..] else {
        panic!("one rule");
    };
    assert!(rule.pattern.matches(&sample));
    assert_eq!(target.dead_letter, function.on_failure);

    // It is watched as every other.
    for alarm in ["dlq", "dlq-age", "errors", "throttles"] {
        let name = format!("try-generator-{alarm}");
        let alarm = stack.alarms.iter().find(|alarm| alarm.name == name);
        let runbook = alarm.unwrap().description.rsplit(' ').next().unwrap();
        assert!(copy.read(runbook).contains(&format!("| `{name}` |")));
    }
    assert_eq!(
        function.log_group.as_deref(),
        Some("/orderflow/try-generator")
    );
    let [dashboard] = stack.dashboards.as_slice() else {
        panic!("one dashboard");
    };
    assert_eq!(dashboard.body.matches("\"try-generator").count(), 4);
    assert!(stack.outputs.contains_key("TryGeneratorDlqUrl"));
    assert!(
        copy.read("tests/e2e/rules.rs")
            .contains("\"TryGeneratorFunctionEventToHandle\"")
    );

    // It handles one event of a happy order, and the tests know what that takes.
    assert!(
        copy.read("tests/e2e/load.rs")
            .contains("/// And try-generator: 1 more,")
    );

    let row = "| [try-generator](functions/try-generator) | `PaymentProcessed`, `OrderCancelled` | \
        `TryGeneratorDone` | retried, then `try-generator-dlq` |";
    assert!(copy.read("README.md").contains(row));
    assert!(
        copy.read("local/src/programs.rs")
            .contains("\"try-generator\" => try_generator::run,")
    );
    assert!(
        copy.read("local/Cargo.toml")
            .contains("try-generator = { workspace = true }")
    );
    assert!(
        copy.read("tests/sample-events/answers.json")
            .contains("{\"call\": \"try-generator\", \"answer\": null},")
    );
}

#[test]
fn a_new_aggregate_is_registered_and_published() {
    let copy = Scaffolded::new();
    copy.scaffold(&["aggregate", "generated_thing"]);
    copy.members();
    assert!(
        copy.read("shared/domain/src/lib.rs")
            .contains("pub mod generated_thing;")
    );
    assert!(
        copy.read("shared/domain/src/schema.rs")
            .contains("GeneratedThingEvent::schemas()")
    );
    let bus: Value = serde_json::from_str(&copy.read("events/asyncapi.json")).unwrap();
    for event_type in ["GeneratedThingOpened", "GeneratedThingClosed"] {
        let golden: Value =
            serde_json::from_str(&copy.read(&format!("events/golden/{event_type}.v1.json")))
                .unwrap();
        assert_eq!(golden["eventType"], event_type);
        let schema: Value =
            serde_json::from_str(&copy.read(&format!("events/schemas/{event_type}.v1.json")))
                .unwrap();
        assert_eq!(schema["title"], event_type);
        assert!(bus["components"]["messages"][format!("{event_type}.v1")].is_object());
    }
    // A consumer reads its events as those of any other.
    copy.scaffold(&["consumer", "try-reader", "--on", "GeneratedThingOpened"]);
    let handler = copy.read("functions/try-reader/src/handler.rs");
    assert!(
        handler.contains("use domain::generated_thing::GeneratedThingEvent;"),
        "{handler}"
    );
}

#[test]
fn what_is_there_already_or_badly_named_is_refused_and_nothing_is_written() {
    let copy = Scaffolded::new();
    copy.scaffold(&["consumer", "try-generator", "--on", "PaymentProcessed"]);
    copy.scaffold(&["aggregate", "generated-thing"]);
    for (arguments, reason) in [
        (
            &["consumer", "try-generator", "--on", "OrderPlaced"][..],
            "is there already",
        ),
        (&["aggregate", "generated-thing"], "is there already"),
        (&["aggregate", "try-generator"], "streams of this name"),
        (
            &["consumer", "generated-thing", "--on", "OrderPlaced"],
            "choose another name",
        ),
        (
            &["consumer", "notify-user-late", "--on", "OrderPlaced"],
            "samples are told apart",
        ),
        (
            &["consumer", "serde", "--on", "OrderPlaced"],
            "has another serde",
        ),
        (
            &["consumer", "Try", "--on", "OrderPlaced"],
            "lower-case words",
        ),
        (
            &["consumer", "try_more", "--on", "OrderPlaced"],
            "lower-case words",
        ),
        (
            &["consumer", "../try", "--on", "OrderPlaced"],
            "lower-case words",
        ),
        (
            &["consumer", "order-labels", "--on", "OrderPlaced"],
            "another first word",
        ),
        (&["consumer", "try-more"], "--on"),
        (
            &["consumer", "try-more", "--on", "orderPlaced"],
            "as in OrderPlaced",
        ),
        (&["consumer", "try-more", "--on", "OrderPlacd"], "there are"),
        (
            &["consumer", "try-more", "--on", "OrderPlaced,UserNotified"],
            "a consumer for each",
        ),
        (&["aggregate", "order"], "another first word"),
        (&["aggregate", "money"], "is there already"),
    ] {
        let error = copy.refused(arguments);
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}

#[test]
fn a_file_without_the_place_for_something_is_named_and_nothing_is_written() {
    let copy = Scaffolded::new();
    let template = copy
        .read("template.yaml")
        .replace("# ---- Read side", "# -- Read side");
    fs::write(copy.folder.path().join("template.yaml"), template).unwrap();
    let error = copy.refused(&["consumer", "try-generator", "--on", "OrderPlaced"]);
    assert!(
        error.contains("template.yaml: has no line that begins with `# ---- Read side`"),
        "{error}"
    );
}

#[test]
fn a_dry_run_shows_every_file_and_writes_none() {
    let copy = Scaffolded::new();
    let before = copy.files();
    let shown = copy.scaffold(&[
        "consumer",
        "try-generator",
        "--on",
        "OrderPlaced",
        "--dry-run",
    ]);
    assert!(
        shown.contains("==> template.yaml (added)\n  # OrderPlaced -> TryGeneratorDone"),
        "{shown}"
    );
    assert!(
        shown.contains("==> functions/try-generator/src/main.rs (new)\n"),
        "{shown}"
    );
    assert!(
        copy.scaffold(&["aggregate", "generated-thing", "--dry-run"])
            .contains("Nothing was written")
    );
    assert_eq!(copy.files(), before);
}
