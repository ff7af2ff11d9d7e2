//! The template, the function folders, README's table and the sample events say the same.

use crate::repository::{read, stack};
use crate::system::workspace;
use sam_template::MappingSource;
use std::collections::BTreeSet;
use std::fs;

fn names_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(workspace().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn logical_id(name: &str) -> String {
    let mut id = String::new();
    for word in name.split('-') {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_uppercase());
        id.push_str(rest);
    }
    id + "Function"
}

#[test]
fn every_function_folder_is_a_function_of_the_template_under_its_name() {
    let folders = names_in("functions");
    let stack = stack(&[]);
    let wired: BTreeSet<_> = stack
        .functions
        .iter()
        .map(|function| function.name.clone())
        .collect();
    assert_eq!(folders, wired);
    for function in &stack.functions {
        assert_eq!(function.logical_id, logical_id(&function.name));
        assert_eq!(function.binary, function.name);
    }
}

#[test]
fn every_function_is_a_default_member_of_the_workspace_and_nothing_else_is() {
    let manifest = read("Cargo.toml");
    let (_, defaults) = manifest.split_once("default-members = [").unwrap();
    let (defaults, _) = defaults.split_once(']').unwrap();
    let defaults: BTreeSet<_> = defaults
        .split(',')
        .filter_map(|line| line.trim().trim_matches('"').strip_prefix("functions/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(defaults, names_in("functions"));
}

#[test]
fn the_readme_lists_every_function_with_what_triggers_it() {
    let readme = read("README.md");
    let stack = stack(&[]);
    let rows: Vec<_> = readme
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    let listed: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| row.split(['[', ']']).nth(1).map(str::to_owned))
        .collect();
    assert_eq!(listed, names_in("functions"));
    for function in &stack.functions {
        let row = rows
            .iter()
            .find(|row| row.starts_with(&format!("| [{}]", function.name)))
            .unwrap();
        for route in stack
            .routes
            .iter()
            .filter(|route| route.function == function.logical_id)
        {
            assert!(row.contains(&route.path), "{} in {row}", route.key());
        }
        for mapping in stack
            .mappings
            .iter()
            .filter(|mapping| mapping.function == function.logical_id)
        {
            let stream = match mapping.source {
                MappingSource::Kinesis { .. } => "analytics stream",
                _ => "EventStore stream",
            };
            assert!(row.contains(stream), "{} in {row}", mapping.logical_id);
        }
        if let Some(queue) = &function.on_failure {
            let queue = queue.rsplit(':').next().unwrap();
            assert!(row.contains(queue), "{queue} in {row}");
        }
    }
}

/// The one route without a token: Stripe signs what it sends.
const WITHOUT_TOKEN: &str = "POST /payments/webhook";

#[test]
fn every_route_but_the_webhook_has_an_authorizer_and_scopes_that_the_readme_tells() {
    let stack = stack(&[]);
    let readme = read("README.md");
    assert!(stack.routes.len() > 8);
    for route in &stack.routes {
        let key = route.key();
        let Some(authorization) = stack.authorization(route) else {
            assert_eq!(key, WITHOUT_TOKEN);
            continue;
        };
        assert_ne!(key, WITHOUT_TOKEN);
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}`")));
        let row = row.unwrap_or_else(|| panic!("{key} is not in the README"));
        let told: BTreeSet<_> = row.split('`').filter(|word| is_scope(word)).collect();
        let scopes: BTreeSet<_> = authorization.scopes.iter().map(String::as_str).collect();
        assert!(!scopes.is_empty(), "{key} takes any token");
        assert_eq!(scopes, told, "{key}");
    }
}

fn is_scope(word: &str) -> bool {
    domain::access::Scope::ALL
        .iter()
        .any(|scope| scope.as_str() == word)
}

#[test]
fn every_consumer_has_a_dead_letter_queue_of_its_own_for_every_way_of_failing() {
    let stack = stack(&[]);
    for queue in &stack.queues {
        let owner = queue.name.strip_suffix("-dlq").unwrap();
        if owner == "analytics" {
            continue;
        }
        assert!(
            stack
                .functions
                .iter()
                .any(|function| function.name == owner),
            "{owner}"
        );
    }
    for rule in &stack.rules {
        for target in &rule.targets {
            let sam_template::Target::Function { logical_id } = &target.target else {
                // No function can be called again for what a stream or a topic did not take.
                let queue = target.dead_letter.as_deref().unwrap();
                assert!(queue.ends_with(":analytics-dlq"), "{}", rule.name);
                continue;
            };
            let function = stack.function(logical_id).unwrap();
            let queue = target.dead_letter.clone();
            assert_eq!(queue, function.on_failure, "{}", rule.name);
            assert!(queue.unwrap().ends_with(&format!(":{}-dlq", function.name)));
        }
    }
    for mapping in &stack.mappings {
        let function = stack.function(&mapping.function).unwrap();
        let queue = mapping.on_failure.clone().unwrap();
        // A window cannot be called again for one record.
        let owner = match mapping.source {
            MappingSource::Kinesis { .. } => "analytics",
            _ => &function.name,
        };
        assert!(queue.ends_with(&format!(":{owner}-dlq")), "{queue}");
        assert!(mapping.report_batch_item_failures && mapping.bisect_batch_on_function_error);
    }
}

#[test]
fn the_parameter_by_which_operators_find_a_stack_names_its_tables_and_functions() {
    let stack = stack(&[("Prefix", "shop-")]);
    let parameter = stack
        .parameters
        .iter()
        .find(|one| one.name == "/orderflow/stacks/local")
        .unwrap();
    // What a parameter of the standard tier holds.
    assert!(parameter.value.len() < 4096);
    let named: serde_json::Value = serde_json::from_str(&parameter.value).unwrap();
    for table in &stack.tables {
        assert_eq!(named["tables"][&table.logical_id], table.name);
    }
    assert!(named["functions"]["rebuild-orders"] == "shop-rebuild-orders:live");
    for (program, name) in named["functions"].as_object().unwrap() {
        let function = stack.function(&logical_id(program)).unwrap();
        assert_eq!(name, &format!("{}:live", function.name));
    }
    // The redriver, and who operates it, know the same consumers.
    let redriver = stack.function(&logical_id("redrive-dlq")).unwrap();
    let consumers: serde_json::Value =
        serde_json::from_str(&redriver.environment["CONSUMERS"]).unwrap();
    let queues: serde_json::Map<_, _> = (consumers.as_object().unwrap().iter())
        .map(|(name, one)| (name.clone(), one["queue"].clone()))
        .collect();
    assert_eq!(named["queues"], serde_json::Value::Object(queues));
}

#[test]
fn every_function_has_a_sample_event_and_every_sample_event_a_function() {
    let functions = names_in("functions");
    let mut sampled = BTreeSet::new();
    for file in names_in("events") {
        // Folders have samples of another kind, and the description of all events is none.
        let Some(sample) = file
            .strip_suffix(".json")
            .filter(|name| *name != "asyncapi")
        else {
            continue;
        };
        let function = functions
            .iter()
            .find(|function| {
                sample == function.as_str() || sample.starts_with(&format!("{function}-"))
            })
            .unwrap_or_else(|| panic!("{file} is named after no function"));
        let text = read(format!("events/{file}"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        sampled.insert(function.clone());
    }
    assert_eq!(sampled, functions);
}

#[test]
fn the_environment_for_cargo_lambda_watch_has_all_that_the_functions_need() {
    let file = read("local/watch.env");
    let given: BTreeSet<_> = file
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()))
        .collect();
    // What only another gateway or notifier reads.
    let optional = [
        "STRIPE_KEY_PARAMETER",
        "STRIPE_URL",
        "SENDER_ADDRESS",
        // What only a mirror reads.
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_TOPIC",
        "KAFKA_SECURITY",
        "KAFKA_CA",
        "KAFKA_CREDENTIALS_PARAMETER",
        // Each function has another; without it the platform gets every failure.
        "DEAD_LETTER_QUEUE_URL",
    ];
    for function in &stack(&[]).functions {
        for name in function.environment.keys() {
            assert!(
                given.contains(name) || optional.contains(&name.as_str()),
                "{name} of {}",
                function.name
            );
        }
    }
}

#[test]
fn the_architecture_names_a_test_for_every_invariant_and_every_dependency() {
    let architecture = read("ARCHITECTURE.md");
    for number in 1..=10 {
        let row = architecture
            .lines()
            .find(|line| line.starts_with(&format!("| {number} |")))
            .unwrap_or_else(|| panic!("invariant {number}"));
        let tests: Vec<_> = row
            .rsplit('|')
            .nth(1)
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            assert!(is_defined(test), "{test} of invariant {number} is no test");
        }
    }
    let manifest = read("Cargo.toml");
    let (_, ours) = manifest.split_once("# the functions").unwrap();
    let (ours, _) = ours.split_once("[workspace.lints").unwrap();
    for line in ours.lines() {
        if let Some((name, _)) = line.split_once(" = ") {
            assert!(
                architecture.contains(name)
                    || architecture.contains(name.trim_start_matches("aws-sdk")),
                "why is {name} a dependency?"
            );
        }
    }
}

/// Whether a test function, or a script, of this name is somewhere in the repository.
fn is_defined(name: &str) -> bool {
    if name.contains('/') {
        return workspace().join(name).exists();
    }
    let wanted = format!("fn {name}(");
    let mut folders = vec![
        workspace().join("shared"),
        workspace().join("functions"),
        workspace().join("local"),
        workspace().join("tests"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path).unwrap().contains(&wanted)
            {
                return true;
            }
        }
    }
    false
}
