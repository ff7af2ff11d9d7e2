//! `UpdateExpression`: parsing, and applying it to an item.

use serde_json::{Map, Value};

use super::super::attributes::{Item, sort_set, tagged, type_of};
use super::super::number::{Number, NumberError};
use super::parser::Parser;
use super::path::{Path, Projection, Step, check_disjoint, tag};
use super::placeholders::Placeholders;
use crate::ApiError;

const KIND: &str = "UpdateExpression";

#[derive(Debug, Clone)]
enum SetOperand {
    Path(Path),
    Value(Value),
    IfNotExists(Path, Box<SetOperand>),
    ListAppend(Box<SetOperand>, Box<SetOperand>),
}

#[derive(Debug, Clone)]
enum SetValue {
    Plain(SetOperand),
    Plus(SetOperand, SetOperand),
    Minus(SetOperand, SetOperand),
}

/// A parsed update.
#[derive(Debug, Clone, Default)]
pub(crate) struct Update {
    sets: Vec<(Path, SetValue)>,
    removes: Vec<Path>,
    adds: Vec<(Path, Value)>,
    deletes: Vec<(Path, Value)>,
}

impl Update {
    /// Reads a request's `UpdateExpression`, if it has one.
    pub(crate) fn of(request: &Value, aliases: &Placeholders) -> Result<Option<Self>, ApiError> {
        let Some(expression) = super::expression_text(request, KIND)? else {
            return Ok(None);
        };
        let mut parser = Parser::new(expression, KIND, aliases)?;
        let mut update = Self::default();
        let mut seen = Vec::new();
        while parser.peek().is_some() {
            let section = ["SET", "REMOVE", "ADD", "DELETE"]
                .into_iter()
                .find(|section| parser.accept_word(section))
                .ok_or_else(|| parser.syntax_error())?;
            if seen.contains(&section) {
                return Err(ApiError::validation(format!(
                    "Invalid {KIND}: The \"{section}\" section can only be used once in an \
                     update expression;"
                )));
            }
            seen.push(section);
            update.section(section, &mut parser)?;
            while parser.accept(",") {
                update.section(section, &mut parser)?;
            }
        }
        check_disjoint(&update.targets().collect::<Vec<_>>(), KIND)?;
        Ok(Some(update))
    }

    fn section(&mut self, section: &str, parser: &mut Parser<'_>) -> Result<(), ApiError> {
        let path = parser.path()?;
        match section {
            "SET" => {
                parser.expect("=")?;
                let value = set_value(parser)?;
                self.sets.push((path, value));
            }
            "REMOVE" => self.removes.push(path),
            _ => {
                let value = parser.value()?;
                let allowed: &[&str] = if section == "ADD" {
                    &["N", "SS", "NS", "BS"]
                } else {
                    &["SS", "NS", "BS"]
                };
                if !allowed.contains(&type_of(&value)) {
                    return Err(ApiError::validation(format!(
                        "Invalid {KIND}: Incorrect operand type for operator or function; \
                         operator: {section}, operand type: {}",
                        type_of(&value)
                    )));
                }
                let list = if section == "ADD" {
                    &mut self.adds
                } else {
                    &mut self.deletes
                };
                list.push((path, value));
            }
        }
        Ok(())
    }

    fn targets(&self) -> impl Iterator<Item = &Path> {
        let sets = self.sets.iter().map(|(path, _)| path);
        let adds = self.adds.iter().chain(&self.deletes).map(|(path, _)| path);
        sets.chain(&self.removes).chain(adds)
    }

    /// Top-level attributes that the update writes.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.targets().map(|path| path.attribute.as_str())
    }

    /// What `UPDATED_OLD` and `UPDATED_NEW` show.
    pub(crate) fn touched(&self) -> Projection {
        Projection::from_paths(self.targets().cloned().collect())
    }

    /// The item after the update. Every operand and every list index means the
    /// item as it was before: elements are first replaced and appended in the
    /// order of their indexes, then removed from the back, so that nothing
    /// moves before it is looked up.
    pub(crate) fn apply(&self, before: &Item) -> Result<Item, ApiError> {
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        for (path, value) in &self.sets {
            written.push((path, evaluate(value, before)?));
        }
        for (path, amount) in &self.adds {
            written.push((path, add(path.resolve(before), amount)?));
        }
        for (path, elements) in &self.deletes {
            let Some(current) = path.resolve(before) else {
                continue;
            };
            match subtract_set(current, elements)? {
                Some(rest) => written.push((path, rest)),
                None => removed.push(path),
            }
        }
        removed.extend(&self.removes);
        written.sort_by_key(|(path, _)| *path);
        removed.sort_by(|left, right| right.cmp(left));
        let mut after = before.clone();
        for (path, value) in written {
            set(&mut after, path, value)?;
        }
        for path in removed {
            // An index behind the end means no element, not one just appended.
            remove(&mut after, path, path.resolve(before).is_some())?;
        }
        Ok(after)
    }
}

fn set_value(parser: &mut Parser<'_>) -> Result<SetValue, ApiError> {
    let left = set_operand(parser)?;
    if parser.accept("+") {
        return Ok(SetValue::Plus(left, set_operand(parser)?));
    }
    if parser.accept("-") {
        return Ok(SetValue::Minus(left, set_operand(parser)?));
    }
    Ok(SetValue::Plain(left))
}

fn set_operand(parser: &mut Parser<'_>) -> Result<SetOperand, ApiError> {
    parser.nested(nested_operand)
}

fn nested_operand(parser: &mut Parser<'_>) -> Result<SetOperand, ApiError> {
    if let Some(value) = parser.accept_value()? {
        return Ok(SetOperand::Value(value));
    }
    if parser.accept("(") {
        let operand = set_operand(parser)?;
        parser.expect(")")?;
        return Ok(operand);
    }
    let Some(function) = parser.accept_function(&["if_not_exists", "list_append"]) else {
        parser.refuse_function()?;
        return parser.path().map(SetOperand::Path);
    };
    let operand = if function == "if_not_exists" {
        let path = parser.path()?;
        parser.expect(",")?;
        SetOperand::IfNotExists(path, Box::new(set_operand(parser)?))
    } else {
        let first = set_operand(parser)?;
        parser.expect(",")?;
        SetOperand::ListAppend(Box::new(first), Box::new(set_operand(parser)?))
    };
    parser.expect(")")?;
    Ok(operand)
}

fn evaluate(value: &SetValue, item: &Item) -> Result<Value, ApiError> {
    match value {
        SetValue::Plain(operand) => resolve(operand, item),
        SetValue::Plus(left, right) => {
            calculate(&resolve(left, item)?, &resolve(right, item)?, Number::plus)
        }
        SetValue::Minus(left, right) => {
            calculate(&resolve(left, item)?, &resolve(right, item)?, Number::minus)
        }
    }
}

fn resolve(operand: &SetOperand, item: &Item) -> Result<Value, ApiError> {
    match operand {
        SetOperand::Value(value) => Ok(value.clone()),
        SetOperand::Path(path) => path.resolve(item).cloned().ok_or_else(|| {
            ApiError::validation(
                "The provided expression refers to an attribute that does not exist in the item",
            )
        }),
        SetOperand::IfNotExists(path, otherwise) => match path.resolve(item) {
            Some(value) => Ok(value.clone()),
            None => resolve(otherwise, item),
        },
        SetOperand::ListAppend(first, second) => {
            let (mut first, mut second) = (resolve(first, item)?, resolve(second, item)?);
            match (first.get_mut("L"), second.get_mut("L")) {
                (Some(Value::Array(head)), Some(Value::Array(tail))) => {
                    head.append(tail);
                    Ok(first)
                }
                _ => Err(wrong_operand_type()),
            }
        }
    }
}

fn calculate(
    left: &Value,
    right: &Value,
    operation: fn(&Number, &Number) -> Result<Number, NumberError>,
) -> Result<Value, ApiError> {
    let number = |value: &Value| {
        let text = value.get("N").and_then(Value::as_str);
        text.and_then(|text| Number::parse(text).ok())
            .ok_or_else(wrong_operand_type)
    };
    operation(&number(left)?, &number(right)?)
        .map(|result| tag("N", Value::String(result.to_string())))
        .map_err(|error| ApiError::validation(error.message("")))
}

fn add(current: Option<&Value>, amount: &Value) -> Result<Value, ApiError> {
    let Some(current) = current else {
        return Ok(amount.clone());
    };
    match (tagged(current), tagged(amount)) {
        (Some(("N", _)), Some(("N", _))) => calculate(current, amount, Number::plus),
        (Some((left, Value::Array(elements))), Some((right, Value::Array(more))))
            if left == right && left != "L" =>
        {
            let mut union = elements.clone();
            union.extend(more.iter().filter(|e| !elements.contains(e)).cloned());
            sort_set(&mut union);
            Ok(tag(left, Value::Array(union)))
        }
        _ => Err(wrong_operand_type()),
    }
}

fn subtract_set(current: &Value, elements: &Value) -> Result<Option<Value>, ApiError> {
    match (tagged(current), tagged(elements)) {
        (Some((left, Value::Array(all))), Some((right, Value::Array(gone)))) if left == right => {
            let rest: Vec<Value> = all.iter().filter(|e| !gone.contains(e)).cloned().collect();
            Ok((!rest.is_empty()).then(|| tag(left, Value::Array(rest))))
        }
        _ => Err(wrong_operand_type()),
    }
}

/// The list or map that a path's last step points into.
fn parent<'item>(item: &'item mut Item, path: &Path) -> Result<&'item mut Value, ApiError> {
    let (_, inner) = path.steps.split_last().ok_or_else(invalid_path)?;
    inner
        .iter()
        .try_fold(
            item.get_mut(&path.attribute).ok_or_else(invalid_path)?,
            |value, step| match step {
                Step::Member(name) => value.get_mut("M")?.get_mut(name),
                Step::Index(index) => value.get_mut("L")?.get_mut(*index),
            },
        )
        .ok_or_else(invalid_path)
}

fn set(item: &mut Item, path: &Path, value: Value) -> Result<(), ApiError> {
    let Some(last) = path.steps.last() else {
        item.insert(path.attribute.clone(), value);
        return Ok(());
    };
    let parent = parent(item, path)?;
    match last {
        Step::Member(name) => {
            let members = members_of(parent)?;
            members.insert(name.clone(), value);
        }
        Step::Index(index) => match parent.get_mut("L") {
            Some(Value::Array(elements)) => match elements.get_mut(*index) {
                Some(element) => *element = value,
                None => elements.push(value),
            },
            _ => return Err(invalid_path()),
        },
    }
    Ok(())
}

fn remove(item: &mut Item, path: &Path, existed: bool) -> Result<(), ApiError> {
    let Some(last) = path.steps.last() else {
        item.remove(&path.attribute);
        return Ok(());
    };
    let parent = parent(item, path)?;
    match last {
        Step::Member(name) => {
            members_of(parent)?.remove(name);
        }
        Step::Index(index) => match parent.get_mut("L") {
            Some(Value::Array(elements)) => {
                if existed && *index < elements.len() {
                    elements.remove(*index);
                }
            }
            _ => return Err(invalid_path()),
        },
    }
    Ok(())
}

fn members_of(value: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    value
        .get_mut("M")
        .and_then(Value::as_object_mut)
        .ok_or_else(invalid_path)
}

fn invalid_path() -> ApiError {
    ApiError::validation(
        "The document path provided in the update expression is invalid for update",
    )
}

fn wrong_operand_type() -> ApiError {
    ApiError::validation("An operand in the update expression has an incorrect data type")
}
