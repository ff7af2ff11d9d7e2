//! What watches the system speaks only of what there is; every alarm has a runbook, every metric a
//! description.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;
use local::cli::Cli;
use sam_template::{Stack, WatchedMetric};
use serde_json::Value;

use crate::repository::{read, stack};
use crate::system::workspace;

/// `docs/runbooks/NAME.md`, out of an alarm's description.
fn runbook(description: &str) -> &str {
    let path = description.rsplit(' ').next().unwrap();
    let name = path.strip_prefix("docs/runbooks/");
    name.unwrap_or_else(|| panic!("`{description}` does not end with its runbook"))
}

#[test]
fn every_alarm_has_a_runbook_that_its_description_names_and_every_runbook_an_alarm() {
    let mut used = BTreeSet::new();
    for alarm in stack(&[]).alarms {
        let runbook = runbook(&alarm.description);
        let text = read(format!("docs/runbooks/{runbook}"));
        assert!(
            text.contains(&format!("`{}`", alarm.name)),
            "{runbook} does not speak of {}",
            alarm.name
        );
        for part in [
            "What it means",
            "How urgent",
            "What to look at",
            "How to mend it",
            "How to verify",
        ] {
            assert!(text.contains(&format!("**{part}.**")), "{runbook}: {part}");
        }
        used.insert(runbook.to_owned());
    }
    let files = fs::read_dir(workspace().join("docs/runbooks")).unwrap();
    let there: BTreeSet<_> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(there, used);
    let contents = read("docs/runbooks/README.md");
    for runbook in there {
        assert!(contents.contains(&format!("]({runbook})")), "{runbook}");
    }
}

/// Which function tells a metric, and in which unit, by `docs/metrics.md`.
fn described() -> BTreeMap<String, (String, String)> {
    let rows = read("docs/metrics.md");
    let rows = rows.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        (
            cells[1].to_owned(),
            (cells[2].to_owned(), cells[3].to_owned()),
        )
    })
    .collect()
}

/// The metrics that a function's code names, each with its unit.
fn told(folder: &Path, metrics: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            told(&path, metrics);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (form, unit) in [
                ("Metric::count(", "Count"),
                ("Metric::seconds(", "Seconds"),
                ("Metric::milliseconds(", "Milliseconds"),
            ] {
                for rest in text.split(form).skip(1) {
                    let name = rest.split('"').nth(1).unwrap();
                    metrics.insert(name.to_owned(), unit.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_metric_is_described_with_its_function_and_its_unit() {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(workspace().join("functions")).unwrap() {
        let folder = entry.unwrap().path();
        let function = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let mut metrics = BTreeMap::new();
        told(&folder.join("src"), &mut metrics);
        for (metric, unit) in metrics {
            found.insert(metric, (function.clone(), unit));
        }
    }
    assert_eq!(described(), found);
    let text = read("docs/metrics.md");
    assert!(text.contains(&format!("there are {}.", found.len())));
}

/// Holds a metric against what there is.
#[track_caller]
fn assert_exists(metric: &WatchedMetric, of: &str, stack: &Stack) {
    let is_function = |name: &str| stack.functions.iter().any(|one| one.name == name);
    for (dimension, value) in &metric.dimensions {
        let exists = match dimension.as_str() {
            "FunctionName" | "function" => is_function(value),
            "Resource" => value.strip_suffix(":live").is_some_and(is_function),
            "DeliveryStreamName" => (stack.delivery_streams.iter()).any(|one| one.name == *value),
            "QueueName" => stack.queues.iter().any(|one| one.name == *value),
            "TableName" => stack.tables.iter().any(|one| one.name == *value),
            "EventBusName" => stack.buses.iter().any(|one| one.name == *value),
            "ApiId" => stack.apis.iter().any(|one| one.id == *value),
            other => panic!("{of}: what is {other}?"),
        };
        assert!(exists, "{of}: there is no {dimension} {value}");
    }
    if metric.namespace == "Orderflow" {
        let described = described();
        let (teller, _) = described
            .get(&metric.name)
            .unwrap_or_else(|| panic!("{of}: nobody tells {}", metric.name));
        let function = format!("shop-{teller}");
        assert_eq!(
            metric.dimensions["function"], function,
            "{of}: {}",
            metric.name
        );
    }
}

#[test]
fn alarms_watch_only_what_there_is() {
    let stack = stack(&[("Prefix", "shop-")]);
    for alarm in &stack.alarms {
        assert!(!alarm.metrics.is_empty(), "{}", alarm.name);
        for metric in &alarm.metrics {
            assert_exists(metric, &alarm.name, &stack);
        }
    }
}

#[test]
fn every_function_every_queue_and_every_stream_has_its_alarms() {
    let stack = stack(&[]);
    let watched = |name: &str, dimension: &str, value: &str| {
        let mut metrics = stack.alarms.iter().flat_map(|alarm| &alarm.metrics);
        let found = metrics.any(|metric| {
            metric.name == name
                && metric
                    .dimensions
                    .get(dimension)
                    .is_some_and(|is| is == value)
        });
        assert!(found, "no alarm for {name} of {value}");
    };
    for function in &stack.functions {
        watched("Errors", "Resource", &format!("{}:live", function.name));
        watched("Throttles", "FunctionName", &function.name);
    }
    for queue in &stack.queues {
        watched(
            "ApproximateNumberOfMessagesVisible",
            "QueueName",
            &queue.name,
        );
        watched("ApproximateAgeOfOldestMessage", "QueueName", &queue.name);
    }
    for mapping in &stack.mappings {
        let function = stack.function(&mapping.function).unwrap();
        watched("IteratorAge", "FunctionName", &function.name);
    }
}

/// The metrics of a dashboard, with `.` and `...` written out.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>
fn shown(body: &str) -> Vec<WatchedMetric> {
    let body: Value = serde_json::from_str(body).unwrap();
    let mut shown = Vec::new();
    for widget in body["widgets"].as_array().unwrap() {
        let mut before: Vec<String> = Vec::new();
        for row in widget["properties"]["metrics"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let row = row.as_array().unwrap().iter().filter_map(Value::as_str);
            let mut row: Vec<_> = row.map(str::to_owned).collect();
            if row.first().is_some_and(|first| first == "...") {
                let kept = before.len() + 1 - row.len();
                row.splice(..1, before[..kept].iter().cloned());
            }
            for (at, cell) in row.iter_mut().enumerate() {
                if cell == "." {
                    cell.clone_from(&before[at]);
                }
            }
            shown.push(WatchedMetric {
                namespace: row[0].clone(),
                name: row[1].clone(),
                dimensions: row[2..]
                    .chunks(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect(),
            });
            before = row;
        }
    }
    shown
}

#[test]
fn the_dashboard_shows_only_what_there_is_and_every_metric_that_orders_and_payments_tell() {
    let stack = stack(&[("Prefix", "shop-")]);
    let [dashboard] = stack.dashboards.as_slice() else {
        panic!("one dashboard");
    };
    let shown = shown(&dashboard.body);
    for metric in &shown {
        assert_exists(metric, &dashboard.name, &stack);
    }
    let names: BTreeSet<_> = shown.iter().map(|metric| metric.name.as_str()).collect();
    for (metric, (function, _)) in described() {
        if ["project-orders", "process-payment"].contains(&function.as_str()) {
            assert!(names.contains(metric.as_str()), "{metric}");
        }
    }
}

#[test]
fn every_function_is_called_by_its_alias() {
    let template = read("template.yaml");
    let functions = template.split("\n  StackResources:").nth(1).unwrap();
    let (functions, _) = functions.split_once("\n\n").unwrap();
    let consumers = template.split("CONSUMERS: !Sub |").nth(1).unwrap();
    let (consumers, _) = consumers.split_once("Policies:").unwrap();
    for called in [functions, consumers] {
        for reference in called.split("Function}").skip(1) {
            assert!(reference.starts_with(":live\""), "{reference}");
        }
    }
    let redriver = stack(&[]);
    let redriver = redriver.function("RedriveDlqFunction").unwrap();
    let statements = redriver.permissions.iter().flatten();
    let resources = statements.flat_map(|statement| &statement.resources);
    let called: Vec<_> = resources
        .filter(|resource| resource.contains(":function:"))
        .collect();
    assert!(
        !called.is_empty() && called.iter().all(|name| name.ends_with(":live")),
        "{called:?}"
    );
}

/// The commands of a text, each as its arguments: in code blocks up to a comment, or in backticks.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for rest in text.split("cargo local ").skip(1) {
        let line = rest.split(['`', '\n', '#']).next().unwrap();
        let line = line
            .replace("--from …", "--from 2025-01-01T00:00:00Z")
            .replace("--to …", "--to 2025-01-02T00:00:00Z");
        let quoted = line.split('"').enumerate();
        let arguments = quoted.flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        commands.push(arguments.collect());
    }
    commands
}

#[test]
fn every_command_of_a_runbook_is_one_that_there_is() {
    let mut checked = 0;
    for entry in fs::read_dir(workspace().join("docs/runbooks")).unwrap() {
        let path = entry.unwrap().path();
        for arguments in commands(&fs::read_to_string(&path).unwrap()) {
            let all = std::iter::once("cargo local").chain(arguments.iter().map(String::as_str));
            if let Err(error) = Cli::try_parse_from(all)
                && error.kind() != ErrorKind::DisplayHelp
            {
                panic!("{}: {arguments:?}: {error}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
