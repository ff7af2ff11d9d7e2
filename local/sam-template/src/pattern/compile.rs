//! From a pattern to its alternatives, checked as `PutRule` checks it.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::PatternError;
use super::operator::{Comparison, Like, Network, Relation, Test, to_f64};
use crate::error::hint;

/// One alternative of a pattern: all its fields must match.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    pub(super) fields: Vec<Field>,
    /// The paths that must not be in the event.
    pub(super) absent: Vec<String>,
}

/// A field that must be in the event with a value that passes one of the tests.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The keys joined with dots.
    pub(super) path: String,
    pub(super) tests: Vec<Test>,
}

const OPERATORS: [&str; 8] = [
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
];

pub(super) fn branches(pattern: &Value) -> Result<Vec<Branch>, PatternError> {
    let Value::Object(fields) = pattern else {
        return Err(PatternError::NotAnObject);
    };
    object(fields, "", false)
}

/// The fields of an object, and-ed; every `$or` and every optional field multiplies.
fn object(
    fields: &Map<String, Value>,
    path: &str,
    inside_or: bool,
) -> Result<Vec<Branch>, PatternError> {
    if fields.is_empty() {
        let path = shown(path);
        return Err(PatternError::Empty { path });
    }
    let mut alternatives = vec![Branch::default()];
    for (key, value) in fields {
        let choices = if key == "$or" {
            either(value, path)?
        } else {
            let path = child(path, key);
            if inside_or && OPERATORS.contains(&key.as_str()) {
                let problem = format!("`{key}` is an operator and cannot be a field in $or");
                let path = shown(&path);
                return Err(PatternError::Operand { path, problem });
            }
            match value {
                Value::Object(fields) => object(fields, &path, inside_or)?,
                Value::Array(items) => leaf(items, &path)?,
                other => {
                    return Err(PatternError::NotAnArray {
                        path: shown(&path),
                        found: other.to_string(),
                    });
                }
            }
        };
        let count = alternatives.len() * choices.len();
        if count > 1_000 {
            return Err(PatternError::TooManyAlternatives(count));
        }
        let both = |one: &Branch| {
            let one = one.clone();
            choices.iter().map(move |other| one.and(other))
        };
        alternatives = alternatives.iter().flat_map(both).collect();
    }
    Ok(alternatives)
}

impl Branch {
    /// Of two patterns for one field, EventBridge takes the last.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        let named = |path: &String| {
            other.fields.iter().any(|field| field.path == *path) || other.absent.contains(path)
        };
        both.fields.retain(|field| !named(&field.path));
        both.absent.retain(|path| !named(path));
        both.fields.extend(other.fields.iter().cloned());
        both.absent.extend(other.absent.iter().cloned());
        both
    }
}

fn either(value: &Value, path: &str) -> Result<Vec<Branch>, PatternError> {
    let wrong = |problem: &str| PatternError::Operand {
        path: child(path, "$or"),
        problem: problem.to_owned(),
    };
    let form = "$or takes an array of at least two objects";
    let Value::Array(items) = value else {
        return Err(wrong(form));
    };
    if items.len() < 2 {
        return Err(wrong(form));
    }
    let mut alternatives = Vec::new();
    for item in items {
        let Value::Object(fields) = item else {
            return Err(wrong(form));
        };
        alternatives.extend(object(fields, path, true)?);
    }
    Ok(alternatives)
}

/// A field's values, or-ed. `exists: false` beside other values is an alternative of its own.
fn leaf(items: &[Value], path: &str) -> Result<Vec<Branch>, PatternError> {
    if items.is_empty() {
        let path = shown(path);
        return Err(PatternError::Empty { path });
    }
    let mut tests = Vec::new();
    let mut absent = false;
    for item in items {
        match item {
            Value::String(_) | Value::Bool(_) | Value::Null => {
                tests.push(Test::Exact(item.clone()));
            }
            Value::Number(number) => tests.push(Test::Number(number.to_string())),
            Value::Object(operator) => match one_operator(operator, path)? {
                Operator::Absent => absent = true,
                Operator::Test(test) => tests.push(test),
            },
            Value::Array(_) => {
                let path = shown(path);
                let problem =
                    "an array in an array; list the values side by side, the event's arrays are \
                     matched item by item"
                        .to_owned();
                return Err(PatternError::Operand { path, problem });
            }
        }
    }
    let path = path.to_owned();
    let mut branches = Vec::new();
    if absent {
        branches.push(Branch {
            absent: vec![path.clone()],
            ..Branch::default()
        });
    }
    if !tests.is_empty() {
        branches.push(Branch {
            fields: vec![Field { path, tests }],
            ..Branch::default()
        });
    }
    Ok(branches)
}

enum Operator {
    Absent,
    Test(Test),
}

fn one_operator(operator: &Map<String, Value>, path: &str) -> Result<Operator, PatternError> {
    let wrong = |problem: String| PatternError::Operand {
        path: shown(path),
        problem,
    };
    let mut entries = operator.iter();
    let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
        return Err(wrong(format!(
            "an operator is an object with one key, this one has {}",
            operator.len()
        )));
    };
    let string = || match operand {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(format!("`{name}` takes a string, not {other}"))),
    };
    let test = match name.as_str() {
        "exists" => match operand {
            Value::Bool(true) => Test::Anything,
            Value::Bool(false) => return Ok(Operator::Absent),
            other => return Err(wrong(format!("`exists` takes true or false, not {other}"))),
        },
        "prefix" | "suffix" if operand.is_object() => {
            let inner = single(operand, "equals-ignore-case").ok_or_else(|| {
                wrong(format!(
                    "`{name}` takes a string, or {{\"equals-ignore-case\": \"…\"}}"
                ))
            })?;
            Test::Like(if name == "prefix" {
                Like::PrefixIgnoringCase(inner)
            } else {
                Like::SuffixIgnoringCase(inner)
            })
        }
        "prefix" => Test::Like(Like::Prefix(string()?)),
        "suffix" => Test::Like(Like::Suffix(string()?)),
        "equals-ignore-case" => Test::Like(Like::IgnoringCase(string()?)),
        "wildcard" => Test::Like(Like::Wildcard(wildcard(&string()?).map_err(wrong)?)),
        "numeric" => Test::Numeric(numeric(operand).map_err(wrong)?),
        "cidr" => Test::Cidr(cidr(&string()?).map_err(wrong)?),
        "anything-but" => anything_but(operand, path)?,
        other => {
            return Err(PatternError::UnknownOperator {
                path: shown(path),
                operator: other.to_owned(),
                hint: hint(other, OPERATORS),
            });
        }
    };
    Ok(Operator::Test(test))
}

/// The string under the one key of an object.
fn single(value: &Value, key: &str) -> Option<String> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(key)?.as_str().map(str::to_owned)
}

fn anything_but(operand: &Value, path: &str) -> Result<Test, PatternError> {
    let wrong = |problem: &str| PatternError::Operand {
        path: shown(path),
        problem: problem.to_owned(),
    };
    let list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    let Value::Object(inner) = operand else {
        let items = list(operand);
        let equal = |item: &Value| item.as_str().map(|text| Like::Equal(text.to_owned()));
        let texts: Option<Vec<Like>> = items.iter().map(equal).collect();
        let number = |item: &Value| item.as_number().and_then(to_f64);
        let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
        return match (texts, numbers) {
            (Some(texts), _) if !texts.is_empty() => Ok(Test::NoneOf(texts)),
            (_, Some(numbers)) if !numbers.is_empty() => Ok(Test::NoneOfNumbers(numbers)),
            _ => Err(wrong(
                "`anything-but` takes a string, a number, a list of only strings or only numbers, \
                 or one of prefix, suffix, equals-ignore-case and wildcard",
            )),
        };
    };
    let mut entries = inner.iter();
    let (Some((name, values)), None) = (entries.next(), entries.next()) else {
        return Err(wrong("`anything-but` takes one operator"));
    };
    let mut tests = Vec::new();
    let values = list(values);
    if values.is_empty() {
        return Err(wrong("`anything-but` takes no empty list"));
    }
    for value in &values {
        let Value::String(text) = value else {
            return Err(wrong("`anything-but` with an operator takes strings"));
        };
        tests.push(match name.as_str() {
            "prefix" | "suffix" if text.is_empty() => {
                return Err(wrong("`anything-but` takes no empty prefix or suffix"));
            }
            "prefix" => Like::Prefix(text.clone()),
            "suffix" => Like::Suffix(text.clone()),
            "equals-ignore-case" => Like::IgnoringCase(text.clone()),
            "wildcard" => {
                let parts = wildcard(text).map_err(|problem| wrong(&problem))?;
                Like::Wildcard(parts)
            }
            other => {
                let known = ["prefix", "suffix", "equals-ignore-case", "wildcard"];
                return Err(PatternError::UnknownOperator {
                    path: shown(path),
                    operator: format!("anything-but: {other}"),
                    hint: hint(other, known),
                });
            }
        });
    }
    Ok(Test::NoneOf(tests))
}

/// The literal parts between the `*`s; `\*` and `\\` stand for the character itself.
fn wildcard(text: &str) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut after_star = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '*' if after_star => {
                return Err("`wildcard` takes no two `*` in a row; one is enough".to_owned());
            }
            '*' => None,
            '\\' => match chars.next() {
                Some(escaped @ ('*' | '\\')) => Some(escaped),
                _ => {
                    return Err("in `wildcard` a backslash escapes only `*` and `\\`".to_owned());
                }
            },
            other => Some(other),
        };
        after_star = literal.is_none();
        match (literal, parts.last_mut()) {
            (Some(c), Some(part)) => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    Ok(parts)
}

fn numeric(operand: &Value) -> Result<Vec<Comparison>, String> {
    let form = "`numeric` takes [\"=\", n], [\"<\", n], [\">\", n] or a range such as \
                [\">\", 0, \"<=\", 5]";
    let items = operand.as_array().ok_or(form)?;
    let mut comparisons = Vec::new();
    for pair in items.chunks(2) {
        let [Value::String(relation), Value::Number(number)] = pair else {
            return Err(form.to_owned());
        };
        let relation = match relation.as_str() {
            "=" => Relation::Equal,
            "<" => Relation::Less,
            "<=" => Relation::LessOrEqual,
            ">" => Relation::Greater,
            ">=" => Relation::GreaterOrEqual,
            _ => return Err(form.to_owned()),
        };
        let number = to_f64(number).ok_or(form)?;
        if !(-5.0e9..=5.0e9).contains(&number) {
            return Err("`numeric` takes numbers from -5.0e9 to 5.0e9".to_owned());
        }
        comparisons.push(Comparison { relation, number });
    }
    let is_bottom =
        |one: &Comparison| matches!(one.relation, Relation::Greater | Relation::GreaterOrEqual);
    let is_top = |one: &Comparison| matches!(one.relation, Relation::Less | Relation::LessOrEqual);
    match comparisons.as_slice() {
        [_] => Ok(comparisons),
        [bottom, top] if is_bottom(bottom) && is_top(top) => {
            if bottom.number < top.number {
                Ok(comparisons)
            } else {
                Err("the range of `numeric` is empty: its bottom must be below its top".to_owned())
            }
        }
        _ => Err(form.to_owned()),
    }
}

fn cidr(text: &str) -> Result<Network, String> {
    let wrong = || format!("`{text}` is no CIDR block such as 10.0.0.0/24 or 2001:db8::/32");
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= most);
    let bits = bits.ok_or_else(wrong)?;
    Ok(Network { address, bits })
}

/// EventBridge joins keys with dots, so that a dot in a key is the same as nesting.
fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() {
        "the pattern".to_owned()
    } else {
        path.to_owned()
    }
}
