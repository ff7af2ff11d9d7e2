//! `ConditionExpression` and `FilterExpression`.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::super::attributes::{Item, decode, tagged, type_of};
use super::super::number::Number;
use super::operands::{CONTAINERS, ORDERED, TEXTS, check_bounds, check_distinct, check_types};
use super::parser::Parser;
use super::path::{Path, tag};
use super::placeholders::Placeholders;
use crate::ApiError;

/// Most operands in the list of an `IN`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>).
const MAX_CANDIDATES: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Path(Path),
    Value(Value),
    Size(Path),
}

/// A parsed condition.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Compare(Operand, Comparison, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Exists(Path),
    NotExists(Path),
    HasType(Path, String),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

impl Condition {
    /// Reads a request's expression of this kind, if it has one.
    pub(crate) fn of(
        request: &Value,
        kind: &'static str,
        aliases: &Placeholders,
    ) -> Result<Option<Self>, ApiError> {
        let Some(expression) = super::expression_text(request, kind)? else {
            return Ok(None);
        };
        let mut parser = Parser::new(expression, kind, aliases)?;
        let condition = any_of(&mut parser)?;
        parser.end()?;
        Ok(Some(condition))
    }

    /// Whether the item (empty when there is none) fulfils the condition.
    pub(crate) fn holds(&self, item: &Item) -> bool {
        match self {
            Self::And(left, right) => left.holds(item) && right.holds(item),
            Self::Or(left, right) => left.holds(item) || right.holds(item),
            Self::Not(inner) => !inner.holds(item),
            Self::Exists(path) => path.resolve(item).is_some(),
            Self::NotExists(path) => path.resolve(item).is_none(),
            Self::HasType(path, wanted) => path.resolve(item).is_some_and(|v| type_of(v) == wanted),
            Self::Compare(left, comparison, right) => compare(item, left, *comparison, right),
            Self::Between(operand, low, high) => {
                compare(item, operand, Comparison::GreaterOrEqual, low)
                    && compare(item, operand, Comparison::LessOrEqual, high)
            }
            Self::In(operand, candidates) => candidates
                .iter()
                .any(|candidate| compare(item, operand, Comparison::Equal, candidate)),
            Self::BeginsWith(text, prefix) => match (text.resolve(item), prefix.resolve(item)) {
                (Some(text), Some(prefix)) => begins_with(&text, &prefix),
                _ => false,
            },
            Self::Contains(container, element) => {
                match (container.resolve(item), element.resolve(item)) {
                    (Some(container), Some(element)) => contains(&container, &element),
                    _ => false,
                }
            }
        }
    }

    /// Attributes that the condition looks at.
    pub(crate) fn attributes(&self) -> Vec<&str> {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                let mut all = left.attributes();
                all.extend(right.attributes());
                all
            }
            Self::Not(inner) => inner.attributes(),
            Self::Exists(path) | Self::NotExists(path) | Self::HasType(path, _) => {
                vec![&path.attribute]
            }
            Self::Compare(left, _, right)
            | Self::BeginsWith(left, right)
            | Self::Contains(left, right) => left
                .attribute()
                .into_iter()
                .chain(right.attribute())
                .collect(),
            Self::Between(operand, low, high) => [operand, low, high]
                .into_iter()
                .filter_map(Operand::attribute)
                .collect(),
            Self::In(operand, candidates) => std::iter::once(operand)
                .chain(candidates)
                .filter_map(Operand::attribute)
                .collect(),
        }
    }
}

impl Operand {
    fn attribute(&self) -> Option<&str> {
        match self {
            Self::Path(path) | Self::Size(path) => Some(&path.attribute),
            Self::Value(_) => None,
        }
    }

    /// A value that the request itself holds.
    pub(super) fn literal(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Path(_) | Self::Size(_) => None,
        }
    }

    fn resolve<'a>(&'a self, item: &'a Item) -> Option<Cow<'a, Value>> {
        match self {
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Path(path) => path.resolve(item).map(Cow::Borrowed),
            Self::Size(path) => {
                let size = size_function(path.resolve(item)?)?;
                Some(Cow::Owned(tag("N", Value::String(size.to_string()))))
            }
        }
    }
}

fn compare(item: &Item, left: &Operand, comparison: Comparison, right: &Operand) -> bool {
    let (Some(left), Some(right)) = (left.resolve(item), right.resolve(item)) else {
        return comparison == Comparison::NotEqual;
    };
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        _ => order(&left, &right).is_some_and(|ordering| comparison.matches(ordering)),
    }
}

impl Comparison {
    fn matches(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Order of two values of the same scalar type; none for anything else.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (tagged(left)?, tagged(right)?) {
        (("N", left), ("N", right)) => Some(
            Number::parse(left.as_str()?)
                .ok()?
                .cmp(&Number::parse(right.as_str()?).ok()?),
        ),
        (("S", left), ("S", right)) => Some(left.as_str()?.cmp(right.as_str()?)),
        (("B", left), ("B", right)) => Some(
            decode(left.as_str()?)
                .ok()?
                .cmp(&decode(right.as_str()?).ok()?),
        ),
        _ => None,
    }
}

fn begins_with(text: &Value, prefix: &Value) -> bool {
    match (tagged(text), tagged(prefix)) {
        (Some(("S", Value::String(text))), Some(("S", Value::String(prefix)))) => {
            text.starts_with(prefix.as_str())
        }
        (Some(("B", Value::String(text))), Some(("B", Value::String(prefix)))) => {
            match (decode(text), decode(prefix)) {
                (Ok(text), Ok(prefix)) => text.starts_with(&prefix),
                _ => false,
            }
        }
        _ => false,
    }
}

fn contains(container: &Value, element: &Value) -> bool {
    match (tagged(container), tagged(element)) {
        (Some(("S", Value::String(text))), Some(("S", Value::String(part)))) => {
            text.contains(part.as_str())
        }
        (Some(("L", Value::Array(elements))), Some(_)) => elements.contains(element),
        (Some((set @ ("SS" | "NS" | "BS"), Value::Array(elements))), Some((scalar, content))) => {
            &set[..1] == scalar && elements.contains(content)
        }
        _ => false,
    }
}

fn size_function(value: &Value) -> Option<usize> {
    match tagged(value)? {
        ("S", text) => Some(text.as_str()?.len()),
        ("B", text) => Some(decode(text.as_str()?).ok()?.len()),
        (_, Value::Array(elements)) => Some(elements.len()),
        (_, Value::Object(members)) => Some(members.len()),
        _ => None,
    }
}

fn any_of(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let mut condition = all_of(parser)?;
    while parser.accept_word("OR") {
        condition = Condition::Or(Box::new(condition), Box::new(all_of(parser)?));
    }
    Ok(condition)
}

fn all_of(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let mut condition = negation(parser)?;
    while parser.accept_word("AND") {
        condition = Condition::And(Box::new(condition), Box::new(negation(parser)?));
    }
    Ok(condition)
}

fn negation(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    if parser.accept_word("NOT") {
        let inner = parser.nested(negation)?;
        return Ok(Condition::Not(Box::new(inner)));
    }
    if parser.accept("(") {
        let condition = parser.nested(any_of)?;
        parser.expect(")")?;
        return Ok(condition);
    }
    term(parser)
}

fn term(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    const FUNCTIONS: [&str; 5] = [
        "attribute_exists",
        "attribute_not_exists",
        "attribute_type",
        "begins_with",
        "contains",
    ];
    let Some(function) = parser.accept_function(&FUNCTIONS) else {
        return comparison(parser);
    };
    let condition = match function {
        "attribute_exists" => Condition::Exists(parser.path()?),
        "attribute_not_exists" => Condition::NotExists(parser.path()?),
        "attribute_type" => {
            let path = parser.path()?;
            parser.expect(",")?;
            let wanted = parser.value()?;
            let wanted = wanted.get("S").and_then(Value::as_str).unwrap_or_default();
            if !["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"].contains(&wanted) {
                return Err(ApiError::validation(format!(
                    "Invalid {}: Invalid attribute type name found; type: {wanted}, valid types: \
                     {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}",
                    parser.kind()
                )));
            }
            Condition::HasType(path, wanted.to_owned())
        }
        _ => {
            let first = operand(parser)?;
            parser.expect(",")?;
            let second = operand(parser)?;
            check_distinct(parser.kind(), function, &first, &second)?;
            if function == "contains" {
                check_types(parser.kind(), function, &[&first], CONTAINERS)?;
                Condition::Contains(first, second)
            } else {
                check_types(parser.kind(), function, &[&first, &second], TEXTS)?;
                Condition::BeginsWith(first, second)
            }
        }
    };
    parser.expect(")")?;
    Ok(condition)
}

fn comparison(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let left = operand(parser)?;
    if parser.accept_word("BETWEEN") {
        return between(parser, left);
    }
    if parser.accept_word("IN") {
        return candidates(parser).map(|candidates| Condition::In(left, candidates));
    }
    let (symbol, comparison) = [
        ("=", Comparison::Equal),
        ("<>", Comparison::NotEqual),
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ]
    .into_iter()
    .find(|(symbol, _)| parser.accept(symbol))
    .ok_or_else(|| parser.syntax_error())?;
    let right = operand(parser)?;
    check_distinct(parser.kind(), symbol, &left, &right)?;
    if !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
        check_types(parser.kind(), symbol, &[&left, &right], ORDERED)?;
    }
    Ok(Condition::Compare(left, comparison, right))
}

fn between(parser: &mut Parser<'_>, middle: Operand) -> Result<Condition, ApiError> {
    let low = operand(parser)?;
    if !parser.accept_word("AND") {
        return Err(parser.syntax_error());
    }
    let high = operand(parser)?;
    let all = [&middle, &low, &high];
    check_types(parser.kind(), "BETWEEN", &all, ORDERED)?;
    check_bounds(parser.kind(), &low, &high)?;
    Ok(Condition::Between(middle, low, high))
}

fn candidates(parser: &mut Parser<'_>) -> Result<Vec<Operand>, ApiError> {
    parser.expect("(")?;
    let mut candidates = vec![operand(parser)?];
    while parser.accept(",") {
        candidates.push(operand(parser)?);
    }
    parser.expect(")")?;
    if candidates.len() > MAX_CANDIDATES {
        return Err(ApiError::validation(format!(
            "Invalid {}: The IN operator is provided with too many operands; number of operands: \
             {}",
            parser.kind(),
            candidates.len()
        )));
    }
    Ok(candidates)
}

fn operand(parser: &mut Parser<'_>) -> Result<Operand, ApiError> {
    if let Some(value) = parser.accept_value()? {
        return Ok(Operand::Value(value));
    }
    if parser.accept_function(&["size"]).is_some() {
        let path = parser.path()?;
        parser.expect(")")?;
        return Ok(Operand::Size(path));
    }
    parser.refuse_function()?;
    parser.path().map(Operand::Path)
}
