//! The environments of `samconfig.toml` and the template's parameters agree.

use std::collections::BTreeSet;

use local::template::context_to_read;
use sam_template::{Context, Stack};

use crate::repository::{read, stack_in};

/// The lines of a table of `samconfig.toml`.
fn table<'t>(config: &'t str, name: &str) -> impl Iterator<Item = &'t str> + use<'t> {
    let (_, table) = config
        .split_once(&format!("[{name}.parameters]\n"))
        .unwrap_or_else(|| panic!("samconfig.toml has no {name}"));
    table.lines().take_while(|line| !line.starts_with('['))
}

/// The stack that `sam deploy --config-env` makes.
fn stack(environment: &str) -> Stack {
    let config = read("samconfig.toml");
    let named = table(&config, &format!("{environment}.global"))
        .find_map(|line| line.strip_prefix("stack_name = "))
        .unwrap();
    let overrides = table(&config, &format!("{environment}.deploy"))
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .map(|given| given.split_once('=').unwrap());
    let context = Context {
        stack_name: named.trim_matches('"').to_owned(),
        parameters: overrides
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..context_to_read()
    };
    assert_eq!(context.parameters["Stage"], environment);
    stack_in(&context)
}

#[test]
fn the_environments_live_in_one_account_beside_each_other() {
    let (dev, prod) = (stack("dev"), stack("prod"));
    let taken: BTreeSet<_> = dev.names.iter().collect();
    assert!(taken.len() > 90, "{taken:?}");
    let shared: Vec<_> = prod
        .names
        .iter()
        .filter(|name| taken.contains(name))
        .collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn every_parameter_is_in_a_group_and_explained() {
    let template = read("template.yaml");
    let (_, section) = template.split_once("\nParameters:\n").unwrap();
    let (section, _) = section.split_once("\nConditions:\n").unwrap();
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let parameters: BTreeSet<_> = section
        .lines()
        .filter(is_name)
        .map(|line| line.trim().trim_end_matches(':'))
        .collect();
    let grouped: Vec<_> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Parameters: [")?.strip_suffix(']'))
        .flat_map(|group| group.split(", "))
        .collect();
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), parameters);
    assert_eq!(grouped.len(), parameters.len(), "in one group each");
    assert_eq!(
        section.matches("    Description:").count(),
        parameters.len()
    );
}
