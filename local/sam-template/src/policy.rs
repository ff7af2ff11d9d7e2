//! What a function may do: the statements of its `Policies`, evaluated as IAM does.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use std::collections::BTreeMap;

use serde_json::Value;

/// What a policy says of some actions on some resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Whether it allows; else it denies.
    pub allows: bool,
    /// Patterns of actions, such as `dynamodb:PutItem`; `*` and `?` stand for anything.
    pub actions: Vec<String>,
    /// Patterns of ARNs; a table's stream is meant whatever its label is.
    pub resources: Vec<String>,
    /// Under which conditions it counts: all of them.
    pub conditions: Vec<Condition>,
}

/// A condition of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// How values are compared.
    pub operator: Operator,
    /// What is compared, such as `ses:FromAddress`.
    pub key: String,
    /// One of these must fit.
    pub values: Vec<String>,
}

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `StringEquals`.
    Equals,
    /// `StringLike`, `ArnLike`, `ArnEquals`: `*` and `?` stand for anything.
    Like,
    /// `Null`: whether the key is missing, `true` or `false`.
    Null,
}

/// The statements of `Policies`; none when they are not all statements: a managed policy and SAM's
/// policy templates say elsewhere what they allow.
///
/// # Errors
/// What in a statement is not known here, as a part of a sentence.
pub fn statements(policies: &[Value]) -> Result<Option<Vec<Statement>>, String> {
    let mut read = Vec::new();
    for policy in policies {
        let Some(list) = policy.get("Statement") else {
            return Ok(None);
        };
        for statement in list
            .as_array()
            .map_or(std::slice::from_ref(list), |all| all)
        {
            read.push(Statement::read(statement)?);
        }
    }
    Ok(Some(read))
}

/// Which statement allows an action, by its place; none when none does, or one denies it.
#[must_use]
pub fn allowing(
    statements: &[Statement],
    action: &str,
    resource: &str,
    context: &BTreeMap<String, String>,
) -> Option<usize> {
    let fits = |statement: &&Statement| statement.fits(action, resource, context);
    if statements.iter().filter(fits).any(|one| !one.allows) {
        return None;
    }
    statements
        .iter()
        .position(|statement| fits(&statement) && statement.allows)
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, String> {
        const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
        let members = statement.as_object().ok_or("a statement is no map")?;
        if let Some(unknown) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(format!(
                "a statement has {unknown}, which is not known here"
            ));
        }
        let allows = match statement["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("a statement's Effect is neither Allow nor Deny".to_owned()),
        };
        let mut resources = texts(&statement["Resource"]).ok_or("a statement names no Resource")?;
        resources.iter_mut().for_each(any_label);
        Ok(Self {
            allows,
            actions: texts(&statement["Action"]).ok_or("a statement names no Action")?,
            resources,
            conditions: conditions(&statement["Condition"])?,
        })
    }

    fn fits(&self, action: &str, resource: &str, context: &BTreeMap<String, String>) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions
            .iter()
            .any(|pattern| is_like(&pattern.to_ascii_lowercase(), &action))
            && self
                .resources
                .iter()
                .any(|pattern| is_like(pattern, resource))
            && self.conditions.iter().all(|one| one.holds(context))
    }
}

impl Condition {
    fn holds(&self, context: &BTreeMap<String, String>) -> bool {
        let value = context.get(&self.key);
        self.values
            .iter()
            .any(|wanted| match (self.operator, value) {
                (Operator::Null, _) => wanted == if value.is_none() { "true" } else { "false" },
                (Operator::Equals, Some(value)) => wanted == value,
                (Operator::Like, Some(value)) => is_like(wanted, value),
                // A key that a request does not have fits nothing.
                (Operator::Equals | Operator::Like, None) => false,
            })
    }
}

fn conditions(told: &Value) -> Result<Vec<Condition>, String> {
    let mut read = Vec::new();
    for (operator, keys) in told.as_object().into_iter().flatten() {
        let operator = match operator.as_str() {
            "StringEquals" => Operator::Equals,
            "StringLike" | "ArnLike" | "ArnEquals" => Operator::Like,
            "Null" => Operator::Null,
            other => return Err(format!("a condition uses {other}, which is not known here")),
        };
        for (key, values) in keys.as_object().into_iter().flatten() {
            read.push(Condition {
                operator,
                key: key.clone(),
                values: texts(values).ok_or_else(|| format!("condition {key} has no values"))?,
            });
        }
    }
    Ok(read)
}

/// A stream's label is the time at which it was made, which a template cannot know.
fn any_label(resource: &mut String) {
    if let Some((table, _)) = resource.split_once("/stream/") {
        *resource = format!("{table}/stream/*");
    }
}

/// A text, or a list of them, of one at least.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) if !values.is_empty() => values
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// Whether a text is like a pattern, in which `*` stands for any text and `?` for any character.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last star is, and how much of the text it stands for so far.
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((stood, until)) = star else {
                    return false;
                };
                star = Some((stood, until + 1));
                at = stood + 1;
                from = until + 1;
            }
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(statement: Value) -> Vec<Statement> {
        statements(&[json!({"Version": "2012-10-17", "Statement": [statement]})])
            .unwrap()
            .unwrap()
    }

    fn allowed(statements: &[Statement], action: &str, resource: &str) -> bool {
        allowing(statements, action, resource, &BTreeMap::new()).is_some()
    }

    #[test]
    fn what_is_named_is_allowed_and_nothing_else() {
        let one = read(json!({"Effect": "Allow", "Action": ["dynamodb:PutItem"],
            "Resource": "arn:aws:dynamodb:r:1:table/EventStore"}));
        assert!(allowed(
            &one,
            "dynamodb:PutItem",
            "arn:aws:dynamodb:r:1:table/EventStore"
        ));
        assert!(!allowed(
            &one,
            "dynamodb:Query",
            "arn:aws:dynamodb:r:1:table/EventStore"
        ));
        assert!(!allowed(
            &one,
            "dynamodb:PutItem",
            "arn:aws:dynamodb:r:1:table/EventStore2"
        ));
        assert!(!allowed(
            &one,
            "dynamodb:PutItem",
            "arn:aws:dynamodb:r:1:table/EventStore/index/a"
        ));
    }

    #[test]
    fn a_stream_is_meant_whatever_its_label_is() {
        let one = read(json!({"Effect": "Allow", "Action": "dynamodb:GetRecords",
            "Resource": "arn:aws:dynamodb:r:1:table/EventStore/stream/1970-01-01T00:00:00.000"}));
        let records = |resource: &str| allowed(&one, "dynamodb:GetRecords", resource);
        assert!(records(
            "arn:aws:dynamodb:r:1:table/EventStore/stream/2025-01-01T00:00:00.000"
        ));
        assert!(!records("arn:aws:dynamodb:r:1:table/EventStore"));
        assert!(!records(
            "arn:aws:dynamodb:r:1:table/Stock/stream/1970-01-01T00:00:00.000"
        ));
    }

    #[test]
    fn a_denial_counts_more_than_an_allowance() {
        let mut both = read(json!({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}));
        both.extend(read(
            json!({"Effect": "Deny", "Action": "sqs:Send*", "Resource": "*"}),
        ));
        assert!(allowed(&both, "sqs:ReceiveMessage", "q"));
        assert!(!allowed(&both, "sqs:SendMessage", "q"));
    }

    #[test]
    fn a_condition_needs_its_key_and_value() {
        let one = read(
            json!({"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*",
            "Condition": {"StringEquals": {"ses:FromAddress": "a@b"}}}),
        );
        let from = |address: &str| {
            let context = BTreeMap::from([("ses:FromAddress".to_owned(), address.to_owned())]);
            allowing(&one, "ses:SendEmail", "i", &context).is_some()
        };
        assert!(from("a@b"));
        assert!(!from("c@b"));
        assert!(!allowed(&one, "ses:SendEmail", "i"));
    }

    #[test]
    fn a_condition_can_ask_whether_a_key_is_there() {
        let allowed = |is_missing: &str, user: Option<&str>| {
            let statement = json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                "Condition": {"Null": {"kms:EncryptionContext:userId": is_missing}}});
            let context = user
                .map(|user| ("kms:EncryptionContext:userId".to_owned(), user.to_owned()))
                .into_iter()
                .collect();
            allowing(&read(statement), "kms:Decrypt", "k", &context).is_some()
        };
        assert!(allowed("false", Some("ann")));
        assert!(!allowed("true", Some("ann")));
        assert!(!allowed("false", None));
        assert!(allowed("true", None));
    }

    #[test]
    fn what_is_not_known_is_refused_and_what_is_said_elsewhere_is_not_held() {
        for unknown in [
            json!({"Effect": "Allow", "NotAction": "a:b", "Resource": "*"}),
            json!({"Effect": "Maybe", "Action": "a:b", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": [], "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "a:b", "Resource": "*",
                   "Condition": {"IpAddress": {"aws:SourceIp": "1.2.3.4"}}}),
        ] {
            assert!(statements(&[json!({"Statement": unknown})]).is_err());
        }
        assert_eq!(statements(&[json!("AWSLambdaExecute")]), Ok(None));
        assert_eq!(statements(&[json!({"SQSPollerPolicy": {}})]), Ok(None));
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("log-group:/g:*", "log-group:/g:log-stream:", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abcb", true),
            ("", "a", false),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}
