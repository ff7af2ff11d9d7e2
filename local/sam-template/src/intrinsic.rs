//! Resolves `Ref`, `Fn::Sub` and the other intrinsic functions, with all values at hand.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::Context;
use crate::error::{Place, TemplateError, hint};
use crate::node::{Entry, Kind, Node};

/// A resource as declared, before its properties are resolved.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub(crate) logical_id: String,
    pub(crate) type_name: String,
    pub(crate) line: usize,
    pub(crate) properties: Node,
    pub(crate) metadata: Node,
    pub(crate) condition: Option<String>,
}

/// Everything an intrinsic can refer to.
pub(crate) struct Resolver<'t> {
    pub(crate) context: &'t Context,
    pub(crate) parameters: BTreeMap<String, Node>,
    pub(crate) mappings: Node,
    pub(crate) conditions: Node,
    pub(crate) resources: Vec<Declaration>,
    /// Resources whose physical name is being worked out, to find cycles.
    pub(crate) naming: RefCell<Vec<String>>,
}

impl Place {
    pub(crate) fn new(resource: &str, path: &str, line: usize) -> Self {
        Self {
            resource: resource.to_owned(),
            path: path.to_owned(),
            line,
        }
    }

    fn child(&self, key: &str, line: usize) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self::new(&self.resource, &path, line)
    }

    pub(crate) fn unresolved(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::Unresolved {
            place: self.clone(),
            problem: problem.into(),
        }
    }
}

type Resolved = Result<Option<Node>, TemplateError>;

impl Resolver<'_> {
    /// The node without intrinsics; `None` is `AWS::NoValue`, which removes the property.
    pub(crate) fn resolve(&self, node: &Node, at: &Place) -> Resolved {
        if let Some((name, argument)) = node.intrinsic() {
            let at = at.child(name, node.line);
            return self.function(name, argument, &at);
        }
        let kind = match &node.kind {
            Kind::Map(entries) => Kind::Map(self.resolve_entries(entries, at)?),
            Kind::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", at.path);
                    let at = Place::new(&at.resource, &path, item.line);
                    resolved.extend(self.resolve(item, &at)?);
                }
                Kind::List(resolved)
            }
            Kind::Text(text) if text.contains("{{resolve:") => {
                return Err(at.unresolved(format!(
                    "`{text}` is a dynamic reference to a value stored in an AWS account, which a \
                     local run does not have; let the function read it at run time, or take it \
                     from a parameter"
                )));
            }
            other => other.clone(),
        };
        let line = node.line;
        Ok(Some(Node { line, kind }))
    }

    fn resolve_entries(&self, entries: &[Entry], at: &Place) -> Result<Vec<Entry>, TemplateError> {
        let mut resolved = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.key.starts_with("Fn::") {
                let at = at.child(&entry.key, entry.line);
                return Err(at.unresolved("an intrinsic function must be the only key of its map"));
            }
            let place = at.child(&entry.key, entry.line);
            if let Some(node) = self.resolve(&entry.node, &place)? {
                resolved.push(Entry {
                    key: entry.key.clone(),
                    line: entry.line,
                    node,
                });
            }
        }
        Ok(resolved)
    }

    /// The node resolved to a string.
    pub(crate) fn resolve_text(&self, node: &Node, at: &Place) -> Result<String, TemplateError> {
        let resolved = self.resolve(node, at)?;
        let text = resolved.as_ref().and_then(Node::scalar_text);
        text.ok_or_else(|| {
            let found = resolved.as_ref().map_or("AWS::NoValue", Node::kind_name);
            at.unresolved(format!("a string is needed here, but this is {found}"))
        })
    }

    fn resolve_list(&self, node: &Node, at: &Place) -> Result<Vec<Node>, TemplateError> {
        match self.resolve(node, at)? {
            Some(Node {
                kind: Kind::List(items),
                ..
            }) => Ok(items),
            _ => Err(at.unresolved("a list is needed here")),
        }
    }

    fn function(&self, name: &str, argument: &Node, at: &Place) -> Resolved {
        match name {
            "Ref" => {
                let target = argument.as_str();
                let target =
                    target.ok_or_else(|| at.unresolved("Ref takes the name of one thing"))?;
                self.reference(target, at)
            }
            "Fn::GetAtt" => self.get_att(argument, at),
            "Fn::Sub" => self.sub(argument, at),
            "Fn::Join" => self.join(argument, at),
            "Fn::If" => self.if_else(argument, at),
            "Fn::Select" => self.select(argument, at),
            "Fn::Split" => self.split(argument, at),
            "Fn::FindInMap" => self.find_in_map(argument, at),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                Err(at.unresolved(format!("{name} may stand only in the Conditions section")))
            }
            "Fn::ImportValue" => Err(at.unresolved(
                "Fn::ImportValue takes another stack's output, and a local run has one stack; take \
                 the value from a parameter instead",
            )),
            _ => Err(at.unresolved(format!("the local run does not know {name}"))),
        }
    }

    /// What `Ref` gives: a parameter's value, a pseudo parameter, or a resource's identifier.
    fn reference(&self, name: &str, at: &Place) -> Resolved {
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        let text = |text: &str| Ok(Some(Node::text(at.line, text)));
        match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => return text(&self.context.region),
            "AWS::AccountId" => return text(&self.context.account_id),
            "AWS::StackName" => return text(&self.context.stack_name),
            "AWS::StackId" => {
                let context = self.context;
                return text(&format!(
                    "arn:aws:cloudformation:{}:{}:stack/{}/local",
                    context.region, context.account_id, context.stack_name
                ));
            }
            "AWS::Partition" => return text("aws"),
            "AWS::URLSuffix" => return text("amazonaws.com"),
            _ => {}
        }
        text(&self.resource_reference(name, at)?)
    }

    fn get_att(&self, argument: &Node, at: &Place) -> Resolved {
        let (resource, attribute) = match &argument.kind {
            Kind::Text(text) => {
                let parts = text.split_once('.');
                let parts = parts.ok_or_else(|| {
                    at.unresolved(format!("`{text}` names no attribute; write `Id.Attribute`"))
                })?;
                (parts.0.to_owned(), parts.1.to_owned())
            }
            Kind::List(items) if items.len() == 2 => {
                let id = self.resolve_text(&items[0], at)?;
                (id, self.resolve_text(&items[1], at)?)
            }
            _ => {
                return Err(at.unresolved("Fn::GetAtt takes `Id.Attribute` or [Id, Attribute]"));
            }
        };
        let value = self.resource_attribute(&resource, &attribute, at)?;
        Ok(Some(Node::text(at.line, value)))
    }

    fn sub(&self, argument: &Node, at: &Place) -> Resolved {
        let (template, variables) = match &argument.kind {
            Kind::Text(text) => (text.as_str(), &[] as &[Entry]),
            Kind::List(items) => match items.as_slice() {
                [template, variables] if template.as_str().is_some() => {
                    (template.as_str().unwrap_or_default(), variables.entries())
                }
                _ => return Err(at.unresolved("Fn::Sub takes a string, or [string, variables]")),
            },
            _ => return Err(at.unresolved("Fn::Sub takes a string, or [string, variables]")),
        };
        let mut output = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let end = after.split_once('}');
            let (name, tail) = end.ok_or_else(|| {
                at.unresolved(format!("`${{{after}` in Fn::Sub has no closing brace"))
            })?;
            output.push_str(before);
            rest = tail;
            if let Some(literal) = name.strip_prefix('!') {
                output.extend(["${", literal, "}"]);
                continue;
            }
            let name = name.trim();
            let variable = variables.iter().find(|entry| entry.key == name);
            let value = match (variable, name.split_once('.')) {
                (Some(entry), _) => self.resolve_text(&entry.node, at)?,
                // SAM names a function's alias and version `Id.Alias` and `Id.Version`.
                (None, Some((resource, attribute))) => {
                    self.resource_attribute(resource, attribute, at)?
                }
                (None, None) => {
                    let value = self.reference(name, at)?;
                    let text = value.as_ref().and_then(Node::scalar_text);
                    text.ok_or_else(|| at.unresolved(format!("`${{{name}}}` is not a string")))?
                }
            };
            output.push_str(&value);
        }
        output.push_str(rest);
        Ok(Some(Node::text(at.line, output)))
    }

    fn join(&self, argument: &Node, at: &Place) -> Resolved {
        let [delimiter, items] = arguments(argument, at, "[delimiter, list]")?;
        let delimiter = self.resolve_text(delimiter, at)?;
        let items = self.resolve_list(items, at)?;
        let texts = items.iter().map(Node::scalar_text);
        let texts: Option<Vec<String>> = texts.collect();
        let texts = texts.ok_or_else(|| at.unresolved("Fn::Join takes a list of strings"))?;
        Ok(Some(Node::text(at.line, texts.join(&delimiter))))
    }

    fn if_else(&self, argument: &Node, at: &Place) -> Resolved {
        let [condition, yes, no] = arguments(argument, at, "[condition, then, else]")?;
        let name = condition.as_str();
        let name = name.ok_or_else(|| at.unresolved("Fn::If takes a condition's name first"))?;
        let branch = if self.condition(name, at)? { yes } else { no };
        self.resolve(branch, at)
    }

    fn select(&self, argument: &Node, at: &Place) -> Resolved {
        let [index, items] = arguments(argument, at, "[index, list]")?;
        let index = self.resolve_text(index, at)?;
        let items = self.resolve_list(items, at)?;
        let item = index
            .parse::<usize>()
            .ok()
            .and_then(|index| items.get(index));
        let item = item.ok_or_else(|| {
            let count = items.len();
            at.unresolved(format!(
                "index {index} is outside of the list, which has {count} items"
            ))
        })?;
        Ok(Some(item.clone()))
    }

    fn split(&self, argument: &Node, at: &Place) -> Resolved {
        let [delimiter, text] = arguments(argument, at, "[delimiter, string]")?;
        let delimiter = self.resolve_text(delimiter, at)?;
        let text = self.resolve_text(text, at)?;
        if delimiter.is_empty() {
            return Err(at.unresolved("Fn::Split takes a delimiter that is not empty"));
        }
        let items = text.split(&delimiter).map(|part| Node::text(at.line, part));
        let kind = Kind::List(items.collect());
        let line = at.line;
        Ok(Some(Node { line, kind }))
    }

    fn find_in_map(&self, argument: &Node, at: &Place) -> Resolved {
        let form = "[map, first key, second key]";
        let (keys, default) = match &argument.kind {
            Kind::List(items) if items.len() == 4 => (&items[..3], items[3].get("DefaultValue")),
            Kind::List(items) if items.len() == 3 => (&items[..], None),
            _ => return Err(at.unresolved(format!("Fn::FindInMap takes {form}"))),
        };
        let mut found = Some(&self.mappings);
        let mut names = Vec::new();
        for key in keys {
            let key = self.resolve_text(key, at)?;
            found = found.and_then(|node| node.get(&key));
            names.push(key);
        }
        match (found, default) {
            (Some(node), _) => Ok(Some(node.clone())),
            (None, Some(default)) => self.resolve(default, at),
            (None, None) => {
                let names = names.join(" → ");
                Err(at.unresolved(format!("the Mappings section has no {names}")))
            }
        }
    }

    /// Whether the named condition holds.
    pub(crate) fn condition(&self, name: &str, at: &Place) -> Result<bool, TemplateError> {
        self.named_condition(name, at, &mut Vec::new())
    }

    fn named_condition(
        &self,
        name: &str,
        at: &Place,
        open: &mut Vec<String>,
    ) -> Result<bool, TemplateError> {
        let entries = self.conditions.entries();
        let Some(entry) = entries.iter().find(|entry| entry.key == name) else {
            let hint = hint(name, entries.iter().map(|entry| entry.key.as_str()));
            return Err(at.unresolved(format!("there is no condition `{name}`{hint}")));
        };
        let at = Place::new("Conditions", name, entry.line);
        if open.iter().any(|other| other == name) {
            return Err(at.unresolved("the condition depends on itself"));
        }
        open.push(name.to_owned());
        let holds = self.evaluate(&entry.node, &at, open)?;
        open.pop();
        Ok(holds)
    }

    fn evaluate(
        &self,
        node: &Node,
        at: &Place,
        open: &mut Vec<String>,
    ) -> Result<bool, TemplateError> {
        let form = "a condition is one of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition";
        let [entry] = node.entries() else {
            return Err(at.unresolved(form));
        };
        let at = at.child(&entry.key, entry.line);
        let parts = match &entry.node.kind {
            Kind::List(items) => items.as_slice(),
            _ => &[],
        };
        match (entry.key.as_str(), parts) {
            ("Fn::Equals", [left, right]) => {
                let left = self.resolve_text(left, &at)?;
                Ok(left == self.resolve_text(right, &at)?)
            }
            ("Fn::Not", [inner]) => Ok(!self.evaluate(inner, &at, open)?),
            ("Fn::And" | "Fn::Or", parts) if (2..=10).contains(&parts.len()) => {
                let mut holds = Vec::new();
                for part in parts {
                    holds.push(self.evaluate(part, &at, open)?);
                }
                let all = entry.key == "Fn::And";
                Ok(if all {
                    !holds.contains(&false)
                } else {
                    holds.contains(&true)
                })
            }
            ("Condition", _) => match entry.node.as_str() {
                Some(name) => self.named_condition(name, &at, open),
                None => Err(at.unresolved("Condition takes the name of a condition")),
            },
            ("Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => Err(at.unresolved(
                "Fn::Equals takes 2 values, Fn::Not 1 condition, Fn::And and Fn::Or 2 to 10",
            )),
            _ => Err(at.unresolved(form)),
        }
    }
}

fn arguments<'n, const N: usize>(
    node: &'n Node,
    at: &Place,
    form: &str,
) -> Result<&'n [Node; N], TemplateError> {
    let items = match &node.kind {
        Kind::List(items) => <&[Node; N]>::try_from(items.as_slice()).ok(),
        _ => None,
    };
    items.ok_or_else(|| at.unresolved(format!("the argument must be {form}")))
}
