//! Document paths (`data.items[0].#n`) and projections.

use serde_json::{Map, Value};

use super::super::attributes::Item;
use super::parser::Parser;
use super::placeholders::Placeholders;
use crate::ApiError;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Member(String),
    Index(usize),
}

/// A document path; its first step is an attribute's name. The order of the
/// elements of one list is that of their indexes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) attribute: String,
    pub(crate) steps: Vec<Step>,
}

impl Path {
    pub(crate) fn resolve<'item>(&self, item: &'item Item) -> Option<&'item Value> {
        self.steps
            .iter()
            .try_fold(item.get(&self.attribute)?, |value, step| match step {
                Step::Member(name) => value.get("M")?.get(name),
                Step::Index(index) => value.get("L")?.get(*index),
            })
    }

    /// True when one of the two is the other, or lies inside it.
    fn overlaps(&self, other: &Self) -> bool {
        self.attribute == other.attribute
            && self.steps.iter().zip(&other.steps).all(|(a, b)| a == b)
    }

    pub(super) fn display(&self) -> String {
        let steps = self.steps.iter().map(|step| match step {
            Step::Member(name) => format!(", {name}"),
            Step::Index(index) => format!(", [{index}]"),
        });
        format!("[{}{}]", self.attribute, steps.collect::<String>())
    }
}

/// AWS refuses paths of one expression that overlap.
pub(super) fn check_disjoint(paths: &[&Path], kind: &str) -> Result<(), ApiError> {
    for (index, path) in paths.iter().enumerate() {
        if let Some(other) = paths[..index].iter().find(|other| other.overlaps(path)) {
            return Err(ApiError::validation(format!(
                "Invalid {kind}: Two document paths overlap with each other; must remove or \
                 rewrite one of these paths; path one: {}, path two: {}",
                other.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

/// The attributes a caller asked for.
#[derive(Debug, Clone)]
pub(crate) struct Projection(Vec<Path>);

impl Projection {
    /// Reads a request's `ProjectionExpression`, if it has one.
    pub(crate) fn of(request: &Value, aliases: &Placeholders) -> Result<Option<Self>, ApiError> {
        const KIND: &str = "ProjectionExpression";
        let Some(expression) = super::expression_text(request, KIND)? else {
            return Ok(None);
        };
        let mut parser = Parser::new(expression, KIND, aliases)?;
        let mut paths = vec![parser.path()?];
        while parser.accept(",") {
            paths.push(parser.path()?);
        }
        parser.end()?;
        check_disjoint(&paths.iter().collect::<Vec<_>>(), KIND)?;
        Ok(Some(Self(paths)))
    }

    /// Top-level attributes that the paths name, in order.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|path| path.attribute.as_str())
    }

    pub(crate) fn from_paths(paths: Vec<Path>) -> Self {
        Self(paths)
    }

    /// The part of the item that the paths name; list elements close up.
    pub(crate) fn apply(&self, item: &Item) -> Item {
        let mut selected = Item::new();
        for (name, value) in item {
            let inside: Vec<&[Step]> = self
                .0
                .iter()
                .filter(|path| path.attribute == *name)
                .map(|path| path.steps.as_slice())
                .collect();
            if let Some(part) = select(value, &inside) {
                selected.insert(name.clone(), part);
            }
        }
        selected
    }
}

fn select(value: &Value, paths: &[&[Step]]) -> Option<Value> {
    if paths.iter().any(|steps| steps.is_empty()) {
        return Some(value.clone());
    }
    let below = |wanted: &Step| -> Vec<&[Step]> {
        paths
            .iter()
            .filter(|steps| steps[0] == *wanted)
            .map(|steps| &steps[1..])
            .collect()
    };
    if let Some(Value::Object(members)) = value.get("M") {
        let selected: Map<String, Value> = members
            .iter()
            .filter_map(|(name, member)| {
                let part = select(member, &below(&Step::Member(name.clone())))?;
                Some((name.clone(), part))
            })
            .collect();
        return (!selected.is_empty()).then(|| tag("M", Value::Object(selected)));
    }
    if let Some(Value::Array(elements)) = value.get("L") {
        let selected: Vec<Value> = elements
            .iter()
            .enumerate()
            .filter_map(|(index, element)| select(element, &below(&Step::Index(index))))
            .collect();
        return (!selected.is_empty()).then(|| tag("L", Value::Array(selected)));
    }
    None
}

/// An attribute value of a type.
pub(crate) fn tag(type_tag: &str, content: Value) -> Value {
    Value::Object(Map::from_iter([(type_tag.to_owned(), content)]))
}
