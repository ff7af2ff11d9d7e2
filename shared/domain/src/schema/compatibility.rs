//! What may change in a published schema without a new version.
//!
//! A version is a promise both ways: what was stored in it stays readable, and who reads it finds
//! what was there. So a field may be added if it may also be absent, and bounds and lists of
//! values may become wider (whoever reads a list of values must expect more of them). All else
//! takes a new version with an upcaster.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Keywords that explain and bind nobody.
const EXPLANATIONS: [&str; 6] = [
    "$schema",
    "$id",
    "title",
    "description",
    "examples",
    "$comment",
];
/// Keywords that [`Comparison`] looks into.
const COMPARED: [&str; 8] = [
    "properties",
    "required",
    "items",
    "anyOf",
    "oneOf",
    "enum",
    "const",
    "default",
];
/// Lower bounds: wider when smaller.
const LOWER: [&str; 3] = ["minimum", "minLength", "minItems"];
/// Upper bounds: wider when larger.
const UPPER: [&str; 3] = ["maximum", "maxLength", "maxItems"];

/// What became of a version's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Something that nobody has to know: publish it anew.
    Additive,
    /// Something that takes a new version; what, where.
    Breaking(Vec<String>),
}

/// Compares what was published of a version with what the types say now. `whole` is what the
/// schema is of, `data` for an event's.
#[must_use]
pub fn change(whole: &str, published: &Value, now: &Value) -> Change {
    if published == now {
        return Change::None;
    }
    let mut comparison = Comparison::default();
    comparison.compare(whole, published, now);
    if comparison.breaks.is_empty() {
        Change::Additive
    } else {
        Change::Breaking(comparison.breaks)
    }
}

/// Finds what breaks, with its path.
#[derive(Debug, Default)]
struct Comparison {
    breaks: Vec<String>,
}

impl Comparison {
    fn breaks(&mut self, path: &str, what: impl AsRef<str>) {
        self.breaks.push(format!("{path} {}", what.as_ref()));
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        let empty = Map::new();
        let (Some(old), Some(new)) = (keywords(old, &empty), keywords(new, &empty)) else {
            if old != new {
                self.breaks(path, "changed");
            }
            return;
        };
        self.fields(path, old, new);
        self.values(path, old, new);
        self.bounds(path, old, new);
        self.meaning(path, old, new);
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => self.compare(&format!("{path}[]"), old, new),
            (None, Some(_)) => self.breaks(path, "restricts its items"),
            (_, None) => {}
        }
        if values_of(old).is_none() {
            self.shapes(path, old, new);
        }
        self.rest(path, old, new);
    }

    fn fields(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let properties = |schema: &Map<String, Value>| {
            let properties = schema.get("properties").and_then(Value::as_object);
            properties.cloned().unwrap_or_default()
        };
        let (old_fields, new_fields) = (properties(old), properties(new));
        for (name, field) in &old_fields {
            let path = format!("{path}.{name}");
            match new_fields.get(name) {
                Some(now) => self.compare(&path, field, now),
                None => self.breaks(&path, "was removed or renamed"),
            }
        }
        let (was, is) = (texts(old.get("required")), texts(new.get("required")));
        for name in is.difference(&was) {
            self.breaks(&format!("{path}.{name}"), "is required and was not");
        }
        for name in was
            .difference(&is)
            .filter(|name| new_fields.contains_key(*name))
        {
            self.breaks(&format!("{path}.{name}"), "is not required any more");
        }
    }

    fn values(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        match (values_of(old), values_of(new)) {
            (None, Some(_)) => self.breaks(path, "accepts certain values only"),
            (Some(was), Some(is)) => {
                for gone in was.difference(&is) {
                    self.breaks(path, format!("does not accept {gone} any more"));
                }
            }
            (_, None) => {}
        }
    }

    fn bounds(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let narrower = |bound: &str, lower: bool| match (number(old, bound), number(new, bound)) {
            (Some(was), Some(is)) => {
                if lower {
                    is > was
                } else {
                    is < was
                }
            }
            (None, Some(_)) => true,
            (_, None) => false,
        };
        for (bound, lower) in LOWER
            .map(|bound| (bound, true))
            .into_iter()
            .chain(UPPER.map(|bound| (bound, false)))
        {
            if narrower(bound, lower) {
                self.breaks(path, format!("has a narrower {bound}"));
            }
        }
    }

    /// What an absent field means must not change.
    fn meaning(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        if let Some(was) = old.get("default")
            && new.get("default") != Some(was)
        {
            self.breaks(path, "means something else where it is absent");
        }
    }

    /// Every old shape must still be there.
    fn shapes(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for keyword in ["anyOf", "oneOf"] {
            let shapes = |schema: &Map<String, Value>| {
                let shapes = schema.get(keyword).and_then(Value::as_array);
                shapes.cloned().unwrap_or_default()
            };
            let (was, is) = (shapes(old), shapes(new));
            if was.is_empty() && !is.is_empty() && values_of(new).is_none() {
                self.breaks(path, "accepts certain shapes only");
            }
            for shape in was {
                let nearest = is.iter().map(|now| {
                    let mut comparison = Self::default();
                    comparison.compare(path, &shape, now);
                    comparison.breaks
                });
                match nearest.min_by_key(Vec::len) {
                    Some(breaks) => self.breaks.extend(breaks),
                    None => self.breaks(path, "lost one of its shapes"),
                }
            }
        }
    }

    /// Whatever is not understood above must not change: types, formats, patterns and the like.
    fn rest(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let known = [&EXPLANATIONS[..], &COMPARED, &LOWER, &UPPER].concat();
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            if !known.contains(&name.as_str()) && old.get(name) != new.get(name) {
                self.breaks(path, format!("has another {name}"));
            }
        }
    }
}

/// A schema's keywords; `true` has none.
fn keywords<'a>(schema: &'a Value, none: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    match schema {
        Value::Bool(true) => Some(none),
        Value::Object(keywords) => Some(keywords),
        _ => None,
    }
}

fn texts(list: Option<&Value>) -> BTreeSet<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn number(schema: &Map<String, Value>, bound: &str) -> Option<f64> {
    schema.get(bound).and_then(Value::as_f64)
}

/// The values that a schema lists, if that is what it does.
fn values_of(schema: &Map<String, Value>) -> Option<BTreeSet<String>> {
    if let Some(value) = schema.get("const") {
        return Some([value.to_string()].into());
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().map(Value::to_string).collect());
    }
    let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    let mut all = BTreeSet::new();
    for alternative in alternatives.as_array()? {
        all.extend(values_of(alternative.as_object()?)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests;
