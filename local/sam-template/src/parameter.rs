//! Template parameters: overrides, defaults and the constraints that CloudFormation checks.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::Context;
use crate::error::{TemplateError, hint};
use crate::node::{Entry, Kind, Node};

const KNOWN: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// The value of every parameter: the override, else the default.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>
pub(crate) fn values(
    section: Option<&Node>,
    context: &Context,
) -> Result<BTreeMap<String, Node>, TemplateError> {
    let declared = section.map_or(&[] as &[Entry], Node::entries);
    let mut values = BTreeMap::new();
    for entry in declared {
        values.insert(entry.key.clone(), value(entry, context)?);
    }
    match context
        .parameters
        .keys()
        .find(|name| !values.contains_key(*name))
    {
        None => Ok(values),
        Some(name) => Err(TemplateError::Parameter {
            name: name.clone(),
            line: 0,
            problem: format!(
                "is given a value, but the template does not declare it{}",
                hint(name, values.keys().map(String::as_str))
            ),
        }),
    }
}

fn value(entry: &Entry, context: &Context) -> Result<Node, TemplateError> {
    let fail = |problem: String| TemplateError::Parameter {
        name: entry.key.clone(),
        line: entry.line,
        problem,
    };
    let declaration = &entry.node;
    for property in declaration.entries() {
        if !KNOWN.contains(&property.key.as_str()) {
            let hint = hint(&property.key, KNOWN);
            return Err(fail(format!(
                "has the unknown property `{}`{hint}",
                property.key
            )));
        }
    }
    let parameter_type = declaration.get("Type").and_then(Node::as_str);
    let parameter_type = parameter_type.ok_or_else(|| fail("has no Type".to_owned()))?;
    let given = context.parameters.get(&entry.key).cloned();
    let default = declaration.get("Default").and_then(Node::scalar_text);
    let local = context.local.get(&format!("parameter:{}", entry.key));
    let text = given.or(default).or(local.cloned()).ok_or_else(|| {
        fail("has no Default and no value was given; give it a value for the local run".to_owned())
    })?;
    if let Some(inner) = parameter_type.strip_prefix("AWS::SSM::Parameter::Value<") {
        return stored(&text, inner, entry, context).map_err(fail);
    }
    check(&text, parameter_type, declaration).map_err(fail)?;
    Ok(typed(&text, parameter_type, entry.line))
}

/// An SSM-typed parameter's text is the name of a stored parameter. CloudFormation reads it from
/// the account; the local run takes it from [`Context::local`] under `ssm:<name>`.
fn stored(name: &str, inner: &str, entry: &Entry, context: &Context) -> Result<Node, String> {
    let key = format!("ssm:{name}");
    let Some(text) = context.local.get(&key) else {
        return Err(format!(
            "takes its value from the SSM parameter `{name}` of the account, which a local run \
             does not have; give a fixed local value under `{key}`, or make it a plain String"
        ));
    };
    Ok(typed(text, inner.trim_end_matches('>'), entry.line))
}

fn typed(text: &str, parameter_type: &str, line: usize) -> Node {
    if parameter_type != "CommaDelimitedList" && !parameter_type.starts_with("List<") {
        return Node::text(line, text);
    }
    let items = text.split(',').map(|item| Node::text(line, item.trim()));
    let kind = if text.is_empty() {
        Kind::List(Vec::new())
    } else {
        Kind::List(items.collect())
    };
    Node { line, kind }
}

fn check(text: &str, parameter_type: &str, declaration: &Node) -> Result<(), String> {
    let explained = declaration
        .get("ConstraintDescription")
        .and_then(Node::as_str);
    let explained = explained.map_or_else(String::new, |text| format!(" ({text})"));
    let numeric = matches!(parameter_type, "Number" | "List<Number>");
    let listed = parameter_type == "CommaDelimitedList" || parameter_type.starts_with("List<");
    let parts: Vec<&str> = if listed {
        text.split(',').map(str::trim).collect()
    } else {
        vec![text]
    };
    for part in parts {
        if numeric {
            check_number(part, declaration).map_err(|problem| format!("{problem}{explained}"))?;
        } else {
            check_text(part, declaration).map_err(|problem| format!("{problem}{explained}"))?;
        }
        let allowed = declaration
            .get("AllowedValues")
            .map(|node| match &node.kind {
                Kind::List(items) => items.iter().filter_map(Node::scalar_text).collect(),
                _ => Vec::new(),
            });
        if let Some(allowed) = allowed.filter(|allowed| !allowed.iter().any(|a| a == part)) {
            let allowed = allowed.join(", ");
            return Err(format!(
                "is `{part}`, but AllowedValues has {allowed}{explained}"
            ));
        }
    }
    Ok(())
}

fn check_number(text: &str, declaration: &Node) -> Result<(), String> {
    let parse = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = parse(text).ok_or_else(|| format!("is `{text}`, which is not a Number"))?;
    let bound = |name: &str| {
        let text = declaration.get(name).and_then(Node::scalar_text);
        text.and_then(|text| parse(&text))
    };
    match (bound("MinValue"), bound("MaxValue")) {
        (Some(least), _) if number < least => {
            Err(format!("is {text}, below its MinValue of {least}"))
        }
        (_, Some(most)) if number > most => Err(format!("is {text}, above its MaxValue of {most}")),
        _ => Ok(()),
    }
}

fn check_text(text: &str, declaration: &Node) -> Result<(), String> {
    let bound = |name: &str| {
        let text = declaration.get(name).and_then(Node::scalar_text);
        text.and_then(|text| text.parse::<usize>().ok())
    };
    let length = text.chars().count();
    if let Some(least) = bound("MinLength").filter(|least| length < *least) {
        return Err(format!("has {length} characters; its MinLength is {least}"));
    }
    if let Some(most) = bound("MaxLength").filter(|most| length > *most) {
        return Err(format!("has {length} characters; its MaxLength is {most}"));
    }
    let Some(pattern) = declaration.get("AllowedPattern").and_then(Node::as_str) else {
        return Ok(());
    };
    // CloudFormation matches the whole value, as Java's `matches` does.
    let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        format!("has the AllowedPattern `{pattern}`, which the local run cannot read: {error}")
    })?;
    if regex.is_match(text) {
        Ok(())
    } else {
        Err(format!(
            "is `{text}`, which does not match its AllowedPattern `{pattern}`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str, given: &[(&str, &str)]) -> Result<BTreeMap<String, Node>, String> {
        let mut context = Context::default();
        for (name, value) in given {
            let pair = ((*name).to_owned(), (*value).to_owned());
            context.parameters.insert(pair.0, pair.1);
        }
        let node = Node::parse(yaml).unwrap();
        values(Some(&node), &context).map_err(|error| error.to_string())
    }

    fn problem(yaml: &str, given: &[(&str, &str)]) -> String {
        read(yaml, given).unwrap_err()
    }

    #[test]
    fn an_override_wins_over_the_default() {
        let yaml = "Stage: {Type: String, Default: dev, NoEcho: true}\n";
        let stage = |given| read(yaml, given).unwrap()["Stage"].scalar_text().unwrap();
        assert_eq!(stage(&[]), "dev");
        assert_eq!(stage(&[("Stage", "prod")]), "prod");
    }

    #[test]
    fn a_list_parameter_is_a_list() {
        let values = read("L: {Type: CommaDelimitedList, Default: 'a, b'}\n", &[]).unwrap();
        assert_eq!(values["L"].to_json(), serde_json::json!(["a", "b"]));
    }

    #[test]
    fn a_value_outside_its_constraints_is_refused() {
        let number = "N: {Type: Number, Default: 5, MinValue: 1, MaxValue: 9}\n";
        assert!(problem(number, &[("N", "10")]).contains("above its MaxValue of 9"));
        assert!(problem(number, &[("N", "0")]).contains("below its MinValue of 1"));
        assert!(problem(number, &[("N", "x")]).contains("is not a Number"));
        let text = "T: {Type: String, AllowedPattern: '[a-z]+', MinLength: 2, MaxLength: 3}\n";
        assert!(problem(text, &[("T", "aB")]).contains("does not match its AllowedPattern"));
        assert!(problem(text, &[("T", "a")]).contains("MinLength is 2"));
        assert!(problem(text, &[("T", "abcd")]).contains("MaxLength is 3"));
        let choice = "C: {Type: String, AllowedValues: [a, b], ConstraintDescription: pick one}\n";
        let message = problem(choice, &[("C", "c")]);
        assert!(
            message.contains("AllowedValues has a, b (pick one)"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_value_and_an_undeclared_override_are_named() {
        assert!(problem("Table: {Type: String}\n", &[]).contains("line 1: parameter `Table`"));
        let message = problem(
            "Table: {Type: String, Default: x}\n",
            &[("Table", "y"), ("Tabel", "z")],
        );
        assert!(message.contains("did you mean `Table`"), "{message}");
    }

    #[test]
    fn a_parameter_without_default_takes_what_the_local_run_knows_unless_it_is_given() {
        let yaml = "Issuer: {Type: String, AllowedPattern: '^https?://.+$'}\n";
        let node = Node::parse(yaml).unwrap();
        let mut context = Context::default();
        let mut issuer = |local: &str, given: Option<&str>| {
            context
                .local
                .insert("parameter:Issuer".into(), local.into());
            context.parameters = given
                .map(|given| ("Issuer".into(), given.into()))
                .into_iter()
                .collect();
            let values = values(Some(&node), &context);
            values.map(|values| values["Issuer"].scalar_text().unwrap())
        };
        assert_eq!(issuer("http://local", None).unwrap(), "http://local");
        let given = issuer("http://local", Some("https://given"));
        assert_eq!(given.unwrap(), "https://given");
        let message = issuer("nowhere", None).unwrap_err().to_string();
        assert!(message.contains("AllowedPattern"), "{message}");
    }

    #[test]
    fn an_ssm_parameter_needs_a_fixed_local_value() {
        let yaml = "Key: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /stripe/key}\n";
        assert!(problem(yaml, &[]).contains("`ssm:/stripe/key`"));
        let mut context = Context::default();
        let local = ("ssm:/stripe/key".to_owned(), "sk_test".to_owned());
        context.local.insert(local.0, local.1);
        let node = Node::parse(yaml).unwrap();
        let values = values(Some(&node), &context).unwrap();
        assert_eq!(values["Key"].scalar_text().unwrap(), "sk_test");
    }
}
