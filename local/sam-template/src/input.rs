//! What a target gets in place of the event: Input, `InputPath`, `InputTransformer`.

use serde_json::Value;

/// What a rule's or schedule's target gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TargetInput {
    /// The event itself.
    #[default]
    Event,
    /// `Input`: a constant JSON text.
    Constant(Value),
    /// `InputPath`: a part of the event.
    Path(JsonPath),
    /// `InputTransformer`: a template filled from the event.
    Transformer {
        /// The variables, each with its path in the event.
        paths: Vec<(String, JsonPath)>,
        /// The template, with `<variable>` for a variable's value.
        template: String,
    },
}

/// The rule an event came through, for the reserved variables of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'o> {
    /// `<aws.events.rule-arn>`.
    pub rule_arn: &'o str,
    /// `<aws.events.rule-name>`.
    pub rule_name: &'o str,
    /// `<aws.events.event.ingestion-time>`, in RFC 3339.
    pub ingestion_time: &'o str,
}

/// The names that a template has without declaring them.
const RESERVED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event",
    "aws.events.event.json",
    "aws.events.event.ingestion-time",
];

/// Why an input is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// `Input` is not JSON.
    #[error("is not valid JSON: {0}")]
    NotJson(String),
    /// A path is not `$`, or names and indexes after `$`.
    #[error("has the path `{0}`; a path is `$`, or `$.name`, `$['name']` and `[0]` after it")]
    Path(String),
    /// A template names a variable that `InputPathsMap` does not have.
    #[error("uses `<{0}>`, which InputPathsMap does not define")]
    UnknownVariable(String),
    /// `InputPathsMap` declares a variable that AWS reserves.
    #[error("declares `{0}`; names that start with `AWS.` or `aws.` are reserved")]
    Reserved(String),
    /// Too many variables.
    #[error("declares {0} variables; AWS takes 100")]
    TooManyVariables(usize),
}

impl TargetInput {
    /// `Input`: must be JSON.
    ///
    /// # Errors
    /// [`InputError::NotJson`].
    pub fn constant(text: &str) -> Result<Self, InputError> {
        let value = serde_json::from_str(text);
        value
            .map(Self::Constant)
            .map_err(|error| InputError::NotJson(error.to_string()))
    }

    /// `InputPath`.
    ///
    /// # Errors
    /// [`InputError::Path`].
    pub fn path(text: &str) -> Result<Self, InputError> {
        JsonPath::parse(text).map(Self::Path)
    }

    /// `InputTransformer`.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>
    ///
    /// # Errors
    /// [`InputError`] for a bad path, a reserved name or an undeclared variable.
    pub fn transformer(paths: &[(String, String)], template: &str) -> Result<Self, InputError> {
        if paths.len() > 100 {
            return Err(InputError::TooManyVariables(paths.len()));
        }
        let mut parsed = Vec::new();
        for (name, path) in paths {
            if name.to_ascii_lowercase().starts_with("aws.") {
                return Err(InputError::Reserved(name.clone()));
            }
            parsed.push((name.clone(), JsonPath::parse(path)?));
        }
        for piece in pieces(template) {
            if let Piece::Variable { name, .. } = piece
                && !RESERVED.contains(&name)
                && !paths.iter().any(|(declared, _)| declared == name)
            {
                return Err(InputError::UnknownVariable(name.to_owned()));
            }
        }
        Ok(Self::Transformer {
            paths: parsed,
            template: template.to_owned(),
        })
    }

    /// The text that the target gets.
    ///
    /// A path that is not in the event gives `null` for `InputPath` and an empty string in a
    /// template. Values in a quoted part of a template are put in as they are, without escaping,
    /// as in AWS; so a result may fail to be JSON, and a Lambda target then gets nothing: that
    /// delivery failed and is not retried.
    #[must_use]
    pub fn apply(&self, event: &Value, origin: Origin<'_>) -> String {
        match self {
            Self::Event => event.to_string(),
            Self::Constant(value) => value.to_string(),
            Self::Path(path) => path.find(event).unwrap_or(&Value::Null).to_string(),
            Self::Transformer { paths, template } => {
                let output = fill(paths, template, event, origin);
                // AWS minifies what it passes on.
                match serde_json::from_str::<Value>(&output) {
                    Ok(value) => value.to_string(),
                    Err(_) => output,
                }
            }
        }
    }
}

fn fill(paths: &[(String, JsonPath)], template: &str, event: &Value, origin: Origin<'_>) -> String {
    let mut output = String::new();
    for piece in pieces(template) {
        let (name, quoted) = match piece {
            Piece::Text(text) => {
                output.push_str(text);
                continue;
            }
            Piece::Variable { name, quoted } => (name, quoted),
        };
        let value = match name {
            "aws.events.rule-arn" => Value::String(origin.rule_arn.to_owned()),
            "aws.events.rule-name" => Value::String(origin.rule_name.to_owned()),
            "aws.events.event.ingestion-time" => Value::String(origin.ingestion_time.to_owned()),
            "aws.events.event.json" => event.clone(),
            "aws.events.event" => {
                let mut event = event.clone();
                if let Some(fields) = event.as_object_mut() {
                    fields.remove("detail");
                }
                event
            }
            _ => {
                let path = paths.iter().find(|(declared, _)| declared == name);
                let found = path.and_then(|(_, path)| path.find(event));
                found.cloned().unwrap_or(Value::String(String::new()))
            }
        };
        match value {
            Value::String(text) if quoted => output.push_str(&text),
            value => output.push_str(&value.to_string()),
        }
    }
    output
}

enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, quoted: bool },
}

/// Splits a template at its `<variable>`s, and says of each whether it is inside of quotes.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut quoted = false;
    while let Some(start) = rest.find('<') {
        let (text, tail) = rest.split_at(start);
        quoted = quoted_after(text, quoted);
        pieces.push(Piece::Text(text));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let end = tail.find('>').filter(|end| {
            let name = &tail[1..*end];
            !name.is_empty() && name.chars().all(is_name)
        });
        if let Some(end) = end {
            let name = &tail[1..end];
            pieces.push(Piece::Variable { name, quoted });
            rest = &tail[end + 1..];
        } else {
            pieces.push(Piece::Text("<"));
            rest = &tail[1..];
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn quoted_after(text: &str, mut quoted: bool) -> bool {
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// A path into an event: `$`, names and indexes. Wildcards and filters are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl JsonPath {
    /// Parses a path such as `$.detail.items[0].sku` or `$['detail']['a b']`.
    ///
    /// # Errors
    /// [`InputError::Path`].
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let wrong = || InputError::Path(text.to_owned());
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('.') {
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                let (name, tail) = tail.split_at(end);
                if name.is_empty() || name.contains(['*', '?', '@']) {
                    return Err(wrong());
                }
                steps.push(Step::Name(name.to_owned()));
                rest = tail;
                continue;
            }
            let inner = rest.strip_prefix('[').ok_or_else(wrong)?;
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (step, tail) = if let Some(quote) = quote {
                let (name, tail) = inner[1..].split_once(quote).ok_or_else(wrong)?;
                let tail = tail.strip_prefix(']').ok_or_else(wrong)?;
                (Step::Name(name.to_owned()), tail)
            } else {
                let (index, tail) = inner.split_once(']').ok_or_else(wrong)?;
                (Step::Index(index.parse().map_err(|_| wrong())?), tail)
            };
            steps.push(step);
            rest = tail;
        }
        Ok(Self(steps))
    }

    /// The value at the path.
    #[must_use]
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORIGIN: Origin<'_> = Origin {
        rule_arn: "arn:aws:events:us-east-2:123456789012:rule/example",
        rule_name: "example",
        ingestion_time: "2015-11-11T21:29:55Z",
    };

    fn event() -> Value {
        json!({
            "id": "7bf73129-1428-4cd3-a780-95db273d1602",
            "time": "2015-11-11T21:29:54Z",
            "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
            "detail": {"instance-id": "i-0123456789", "state": "RUNNING", "cores": 4}
        })
    }

    #[track_caller]
    fn transformed(template: &str) -> String {
        let paths = [
            ("timestamp", "$.time"),
            ("instance", "$.detail.instance-id"),
            ("state", "$.detail.state"),
            ("cores", "$.detail.cores"),
            ("first", "$.resources[0]"),
            ("missing", "$.detail.nothing"),
        ];
        let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned()));
        let input = TargetInput::transformer(&paths, template).unwrap();
        input.apply(&event(), ORIGIN)
    }

    /// The examples of EventBridge's documentation.
    #[test]
    fn the_documented_templates_give_the_documented_outputs() {
        assert_eq!(
            transformed(r#""instance <instance> is in <state>""#),
            r#""instance i-0123456789 is in RUNNING""#
        );
        assert_eq!(
            transformed(r#""instance \"<instance>\" is in <state>""#),
            r#""instance \"i-0123456789\" is in RUNNING""#
        );
        assert_eq!(
            transformed("{\n  \"instance\" : <instance>,\n  \"state\": <state>\n}"),
            r#"{"instance":"i-0123456789","state":"RUNNING"}"#
        );
        // In which order fields stand is nothing that JSON says.
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(
            json(&transformed(
                r#"{"instance": <instance>, "state": "<state>", "instanceStatus": "instance \"<instance>\" is in <state>"}"#
            )),
            json(
                r#"{"instance":"i-0123456789","instanceStatus":"instance \"i-0123456789\" is in RUNNING","state":"RUNNING"}"#
            )
        );
        assert_eq!(
            json(&transformed(
                r#"{"state": [9, <state>, true], "Transformed": "Yes"}"#
            )),
            json(r#"{"Transformed":"Yes","state":[9,"RUNNING",true]}"#)
        );
        assert_eq!(
            transformed(r#""<aws.events.rule-name> triggered""#),
            r#""example triggered""#
        );
    }

    #[test]
    fn the_reserved_variables_are_filled() {
        let output = transformed(
            r#"{"arn": <aws.events.rule-arn>, "at": <aws.events.event.ingestion-time>, "all": <aws.events.event.json>, "bare": <aws.events.event>}"#,
        );
        let output: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(output["arn"], ORIGIN.rule_arn);
        assert_eq!(output["at"], ORIGIN.ingestion_time);
        assert_eq!(output["all"], event());
        assert_eq!(output["bare"]["id"], event()["id"]);
        assert_eq!(output["bare"].get("detail"), None);
    }

    #[test]
    fn numbers_indexes_and_missing_values_are_put_in() {
        assert_eq!(transformed(r#"{"n": <cores>}"#), r#"{"n":4}"#);
        assert_eq!(transformed(r#""<cores> of <missing>.""#), r#""4 of .""#);
        assert_eq!(transformed(r#"{"m": <missing>}"#), r#"{"m":""}"#);
        assert!(transformed(r#"{"r": <first>}"#).contains("i-abcd1111"));
    }

    #[test]
    fn input_and_input_path_replace_the_event() {
        let constant = TargetInput::constant(r#"{"a": 1.50}"#).unwrap();
        assert_eq!(constant.apply(&event(), ORIGIN), r#"{"a":1.50}"#);
        let path = TargetInput::path("$.detail.state").unwrap();
        assert_eq!(path.apply(&event(), ORIGIN), r#""RUNNING""#);
        let path = TargetInput::path("$['detail']['cores']").unwrap();
        assert_eq!(path.apply(&event(), ORIGIN), "4");
        let path = TargetInput::path("$.detail.nothing").unwrap();
        assert_eq!(path.apply(&event(), ORIGIN), "null");
        assert_eq!(
            TargetInput::Event.apply(&event(), ORIGIN),
            event().to_string()
        );
    }

    #[test]
    fn a_bad_input_is_refused() {
        assert!(TargetInput::constant("{").is_err());
        assert!(TargetInput::path("detail").is_err());
        assert!(TargetInput::path("$.detail[*]").is_err());
        let template = TargetInput::transformer(&[], "<unknown>");
        assert_eq!(
            template,
            Err(InputError::UnknownVariable("unknown".to_owned()))
        );
        let reserved = [("aws.x".to_owned(), "$".to_owned())];
        let template = TargetInput::transformer(&reserved, "1");
        assert_eq!(template, Err(InputError::Reserved("aws.x".to_owned())));
    }
}
