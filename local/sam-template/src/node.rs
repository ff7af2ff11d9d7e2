//! The template as a tree with line numbers; short intrinsics (`!Sub`) become long ones.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Value;

use crate::error::TemplateError;

/// The intrinsics with a short form, without `Fn::`.
const SHORT_FUNCTIONS: [&str; 18] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
];

/// A YAML value and the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// A number keeps its text, so that no digit is lost on the way to JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) const fn null(line: usize) -> Self {
        let kind = Kind::Null;
        Self { line, kind }
    }

    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        let kind = Kind::Text(text.into());
        Self { line, kind }
    }

    pub(crate) fn map<const N: usize>(line: usize, entries: [(&str, Self); N]) -> Self {
        let entry = |(key, node): (&str, Self)| Entry {
            key: key.to_owned(),
            line,
            node,
        };
        let kind = Kind::Map(entries.into_iter().map(entry).collect());
        Self { line, kind }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|entry| entry.key == key);
        found.map(|entry| &entry.node)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The scalar as CloudFormation would render it into a string.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(text) | Kind::Number(text) => Some(text.clone()),
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The intrinsic's name and argument when this node is one (`{"Fn::Sub": …}`, `{"Ref": …}`).
    pub(crate) fn intrinsic(&self) -> Option<(&str, &Self)> {
        match self.entries() {
            [entry] if entry.key == "Ref" || entry.key.starts_with("Fn::") => {
                Some((&entry.key, &entry.node))
            }
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) const fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "empty",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
            }
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => {
                let pair = |entry: &Entry| (entry.key.clone(), entry.node.to_json());
                Value::Object(entries.iter().map(pair).collect())
            }
        }
    }

    /// Parses one YAML document.
    pub(crate) fn parse(yaml: &str) -> Result<Self, TemplateError> {
        let mut reader = Reader {
            parser: Parser::new_from_str(yaml),
            anchors: HashMap::new(),
            copied: 0,
        };
        let mut document = None;
        loop {
            match reader.next()? {
                (Event::StreamEnd, _) => break,
                (Event::Nothing | Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(_), span) if document.is_some() => {
                    return Err(syntax(
                        span,
                        "a second YAML document; a template is one document",
                    ));
                }
                (Event::DocumentStart(_), _) => {
                    let (event, span) = reader.next()?;
                    document = Some(reader.node(event, span)?);
                }
                (_, span) => return Err(syntax(span, "content outside of a document")),
            }
        }
        Ok(document.unwrap_or(Self::null(1)))
    }
}

/// Aliases may copy this many nodes in all; more is an attack, not a template.
const ALIAS_LIMIT: usize = 100_000;

struct Reader<'y> {
    parser: Parser<'y, StrInput<'y>>,
    anchors: HashMap<usize, Node>,
    copied: usize,
}

impl<'y> Reader<'y> {
    fn next(&mut self) -> Result<(Event<'y>, Span), TemplateError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(TemplateError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                problem: error.info().to_owned(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'y>, span: Span) -> Result<Node, TemplateError> {
        let line = span.start.line();
        let (anchor, tag, node) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain
                    && tag.as_ref().is_none_or(|tag| !is_string_tag(tag));
                let kind = if plain {
                    plain_scalar(&text)
                } else {
                    Kind::Text(text.into_owned())
                };
                (anchor, tag, Node { line, kind })
            }
            Event::SequenceStart(anchor, tag) => {
                let kind = Kind::List(self.items()?);
                (anchor, tag, Node { line, kind })
            }
            Event::MappingStart(anchor, tag) => {
                let kind = Kind::Map(self.map_entries()?);
                (anchor, tag, Node { line, kind })
            }
            _ => return Err(syntax(span, "a value is expected here")),
        };
        let node = match tag {
            Some(tag) => tagged(&tag, node, span)?,
            None => node,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, TemplateError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(syntax(span, "this alias refers to no anchor before it"));
        };
        self.copied += size(node);
        if self.copied > ALIAS_LIMIT {
            return Err(syntax(span, "the aliases of this template expand too far"));
        }
        Ok(node.clone())
    }

    fn items(&mut self) -> Result<Vec<Node>, TemplateError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map_entries(&mut self) -> Result<Vec<Entry>, TemplateError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let Some(key) = self.node(event, key_span)?.scalar_text() else {
                return Err(syntax(key_span, "a key must be a string"));
            };
            if entries.iter().any(|entry| entry.key == key) {
                return Err(syntax(key_span, &format!("the key `{key}` is given twice")));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            let line = key_span.start.line();
            entries.push(Entry { key, line, node });
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

/// The YAML 1.2 core schema, except that only what is a JSON number is a number: an account id
/// with leading zeros stays a string.
fn plain_scalar(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
            Kind::Number(text.to_owned())
        }
        _ => Kind::Text(text.to_owned()),
    }
}

fn is_string_tag(tag: &Tag) -> bool {
    let core = tag.is_yaml_core_schema() && tag.suffix == "str";
    core || !tag.is_yaml_core_schema()
}

fn tagged(tag: &Tag, node: Node, span: Span) -> Result<Node, TemplateError> {
    if tag.is_yaml_core_schema() || tag.suffix.is_empty() {
        return Ok(node);
    }
    let name = tag.suffix.as_str();
    let line = node.line;
    match name {
        "Ref" | "Condition" => Ok(Node::map(line, [(name, node)])),
        _ if SHORT_FUNCTIONS.contains(&name) => {
            Ok(Node::map(line, [(&format!("Fn::{name}"), node)]))
        }
        _ => {
            let hint = crate::error::hint(name, SHORT_FUNCTIONS);
            Err(syntax(
                span,
                &format!("`!{name}` is not a CloudFormation function{hint}"),
            ))
        }
    }
}

fn syntax(span: Span, problem: &str) -> TemplateError {
    TemplateError::Syntax {
        line: span.start.line(),
        column: span.start.col() + 1,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_functions_become_long_ones() {
        let node = Node::parse("a: !Sub 'x-${Y}'\nb: !GetAtt T.Arn\nc: !If [A, !Ref B, 1]\n");
        let expected = json!({
            "a": {"Fn::Sub": "x-${Y}"},
            "b": {"Fn::GetAtt": "T.Arn"},
            "c": {"Fn::If": ["A", {"Ref": "B"}, 1]},
        });
        assert_eq!(node.unwrap().to_json(), expected);
    }

    #[test]
    fn scalars_keep_their_text() {
        let node = Node::parse("a: 2012-10-17\nb: 000000000000\nc: 1.50\nd: '5'\ne:\nf: !!str 7\n");
        let json = node.unwrap().to_json();
        assert_eq!(
            json.to_string(),
            r#"{"a":"2012-10-17","b":"000000000000","c":1.50,"d":"5","e":null,"f":"7"}"#
        );
    }

    #[test]
    fn an_anchor_is_copied_and_a_duplicate_key_is_an_error() {
        let node = Node::parse("a: &x {p: 1}\nb: *x\n").unwrap();
        assert_eq!(node.get("b").unwrap().to_json(), json!({"p": 1}));
        let error = Node::parse("a: 1\nb: 2\na: 3\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "line 3, column 1: not valid YAML: the key `a` is given twice"
        );
    }

    #[test]
    fn an_unknown_tag_is_an_error_with_its_line_and_a_hint() {
        let error = Node::parse("a: 1\nb: !Subb x\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("did you mean `Sub`"), "{error}");
    }
}
