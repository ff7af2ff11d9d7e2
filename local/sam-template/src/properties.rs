//! Reads a resolved map property by property, and refuses what nobody asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Place, TemplateError, hint};
use crate::node::{Entry, Kind, Node};

/// A resolved map at a place. Every property read or named as without effect is known;
/// [`Properties::finish`] refuses the rest.
pub(crate) struct Properties<'n> {
    resource: &'n str,
    path: String,
    line: usize,
    entries: &'n [Entry],
    known: BTreeSet<&'static str>,
}

impl<'n> Properties<'n> {
    /// An absent (null) node reads as an empty map.
    pub(crate) fn of(
        resource: &'n str,
        path: impl Into<String>,
        node: &'n Node,
    ) -> Result<Self, TemplateError> {
        let path = path.into();
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                let place = Place {
                    resource: resource.to_owned(),
                    path,
                    line: node.line,
                };
                let problem = format!("must be a map, but is {}", node.kind_name());
                return Err(TemplateError::Invalid { place, problem });
            }
        };
        Ok(Self {
            resource,
            path,
            line: node.line,
            entries,
            known: BTreeSet::new(),
        })
    }

    /// The value, if it is there and not null.
    pub(crate) fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.insert(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (entry.node.kind != Kind::Null).then_some(&entry.node)
    }

    pub(crate) fn required(&mut self, name: &'static str) -> Result<&'n Node, TemplateError> {
        self.node(name).ok_or_else(|| TemplateError::Missing {
            place: self.place(name),
        })
    }

    /// A string, or a number or boolean as CloudFormation would turn it into one.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        let text = node.scalar_text();
        let text = text.ok_or_else(|| self.wrong_kind(name, "a string", node))?;
        Ok(Some(text))
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<String, TemplateError> {
        self.required(name)?;
        let text = self.text(name)?;
        text.ok_or_else(|| TemplateError::Missing {
            place: self.place(name),
        })
    }

    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        match node.scalar_text().as_deref() {
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            _ => Err(self.wrong_kind(name, "true or false", node)),
        }
    }

    /// A whole number within AWS's limits, both inclusive.
    pub(crate) fn integer(
        &mut self,
        name: &'static str,
        (least, most): (i64, i64),
    ) -> Result<Option<i64>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        let number = node.scalar_text().and_then(|text| text.parse::<i64>().ok());
        let number = number.ok_or_else(|| self.wrong_kind(name, "a whole number", node))?;
        if (least..=most).contains(&number) {
            Ok(Some(number))
        } else {
            let problem = format!("is {number}; AWS takes {least} to {most}");
            Err(self.invalid(name, problem))
        }
    }

    pub(crate) fn unsigned(
        &mut self,
        name: &'static str,
        limits: (u32, u32),
    ) -> Result<Option<u32>, TemplateError> {
        let limits = (i64::from(limits.0), i64::from(limits.1));
        let number = self.integer(name, limits)?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    /// A number that is not negative, with or without a fraction.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<f64>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        let number = node.scalar_text().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        let number = number.ok_or_else(|| self.wrong_kind(name, "a number of 0 or more", node))?;
        Ok(Some(number))
    }

    /// Whole seconds within AWS's limits, both inclusive.
    pub(crate) fn seconds(
        &mut self,
        name: &'static str,
        limits: (u32, u32),
    ) -> Result<Option<Duration>, TemplateError> {
        let number = self.unsigned(name, limits)?;
        Ok(number.map(|seconds| Duration::from_secs(u64::from(seconds))))
    }

    /// One of a few words.
    pub(crate) fn choice(
        &mut self,
        name: &'static str,
        allowed: &[&str],
    ) -> Result<Option<String>, TemplateError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        if allowed.contains(&text.as_str()) {
            Ok(Some(text))
        } else {
            let allowed = allowed.join(", ");
            Err(self.invalid(name, format!("is `{text}`; must be one of {allowed}")))
        }
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Result<Option<&'n [Node]>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        match &node.kind {
            Kind::List(items) => Ok(Some(items)),
            _ => Err(self.wrong_kind(name, "a list", node)),
        }
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, TemplateError> {
        let items = self.list(name)?.unwrap_or_default();
        let texts = items.iter().map(Node::scalar_text);
        let texts: Option<Vec<String>> = texts.collect();
        texts.ok_or_else(|| self.invalid(name, "must be a list of strings".to_owned()))
    }

    /// The map under `name`, to be read and finished like this one.
    pub(crate) fn map(&mut self, name: &'static str) -> Result<Option<Self>, TemplateError> {
        let Some(node) = self.node(name) else {
            return Ok(None);
        };
        Self::of(self.resource, self.path_of(name), node).map(Some)
    }

    /// The maps of a list, each at `name[index]`.
    pub(crate) fn maps(&mut self, name: &'static str) -> Result<Vec<Self>, TemplateError> {
        let items = self.list(name)?.unwrap_or_default();
        let path = self.path_of(name);
        let read = |(index, node)| Self::of(self.resource, format!("{path}[{index}]"), node);
        items.iter().enumerate().map(read).collect()
    }

    /// The maps under freely chosen names, each at `name.key`.
    pub(crate) fn named_maps(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<(&'n str, Self)>, TemplateError> {
        let Some(map) = self.map(name)? else {
            return Ok(Vec::new());
        };
        let read = |entry: &'n Entry| {
            let path = format!("{}.{}", map.path, entry.key);
            Ok((
                entry.key.as_str(),
                Self::of(map.resource, path, &entry.node)?,
            ))
        };
        map.entries.iter().map(read).collect()
    }

    pub(crate) fn json(&mut self, name: &'static str) -> Option<Value> {
        self.node(name).map(Node::to_json)
    }

    /// Names properties that AWS acts on and that change nothing in a local run.
    pub(crate) fn without_local_effect(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    pub(crate) fn place(&self, name: &str) -> Place {
        let found = self.entries.iter().find(|entry| entry.key == name);
        Place {
            resource: self.resource.to_owned(),
            path: self.path_of(name),
            line: found.map_or(self.line, |entry| entry.line),
        }
    }

    pub(crate) fn invalid(&self, name: &str, problem: impl Into<String>) -> TemplateError {
        TemplateError::Invalid {
            place: self.place(name),
            problem: problem.into(),
        }
    }

    /// # Errors
    /// [`TemplateError::UnknownProperty`] for the first property that was neither read nor named
    /// as without local effect.
    pub(crate) fn finish(self) -> Result<(), TemplateError> {
        let unknown = |entry: &&Entry| !self.known.contains(entry.key.as_str());
        match self.entries.iter().find(unknown) {
            None => Ok(()),
            Some(entry) => Err(TemplateError::UnknownProperty {
                resource: self.resource.to_owned(),
                path: self.path_of(&entry.key),
                line: entry.line,
                hint: hint(&entry.key, self.known.iter().copied()),
            }),
        }
    }

    fn wrong_kind(&self, name: &str, expected: &str, node: &Node) -> TemplateError {
        let found = match &node.kind {
            Kind::Text(text) => format!("`{text}`"),
            _ => node.kind_name().to_owned(),
        };
        self.invalid(name, format!("must be {expected}, but is {found}"))
    }

    fn path_of(&self, name: &str) -> String {
        if name.is_empty() {
            self.path.clone()
        } else if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
