//! The part of jq that finds partition keys: `{day: .detail.timestamp[0:10], type: .source}`.

use serde_json::Value;

/// A `MetadataExtractionQuery`: names, each with where its value is in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionQuery(Vec<(String, Path)>);

/// `.a.b`, `."a b"` and a slice `[0:10]` of the text there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    names: Vec<String>,
    slice: Option<(usize, usize)>,
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "has `{0}`; the local run knows only queries of the form {{day: .detail.timestamp[0:10], type: .\"detail-type\"}}"
)]
pub struct QueryError(String);

impl PartitionQuery {
    /// Parses a query.
    ///
    /// # Errors
    /// [`QueryError`] names the part that is not known.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let inner = text
            .trim()
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let inner = inner.ok_or_else(|| QueryError(text.to_owned()))?;
        let part = |part: &str| {
            let wrong = || QueryError(part.trim().to_owned());
            let (name, path) = part.split_once(':').ok_or_else(wrong)?;
            let name = name.trim();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(wrong());
            }
            Ok((name.to_owned(), Path::parse(path.trim()).ok_or_else(wrong)?))
        };
        inner
            .split(',')
            .map(part)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The names of the keys, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The keys of a record, in the order of their names.
    ///
    /// # Errors
    /// The name of the first key that the record does not have: no text, number or boolean there,
    /// or an empty one.
    pub fn find(&self, record: &Value) -> Result<Vec<String>, String> {
        let values = self.0.iter().map(|(name, path)| {
            let value = path.find(record).filter(|value| !value.is_empty());
            value.ok_or_else(|| name.clone())
        });
        values.collect()
    }
}

impl Path {
    fn parse(text: &str) -> Option<Self> {
        let (path, slice) = match text.strip_suffix(']') {
            None => (text, None),
            Some(rest) => {
                let (path, slice) = rest.rsplit_once('[')?;
                let (from, to) = slice.split_once(':')?;
                (path, Some((from.parse().ok()?, to.parse().ok()?)))
            }
        };
        let mut names = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.')?;
            let (name, tail) = if let Some(quoted) = rest.strip_prefix('"') {
                quoted.split_once('"')?
            } else {
                rest.split_at(rest.find('.').unwrap_or(rest.len()))
            };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let quoted = rest.starts_with('"');
            if name.is_empty() || name.contains('\\') || !(quoted || name.chars().all(is_plain)) {
                return None;
            }
            names.push(name.to_owned());
            rest = tail;
        }
        (!names.is_empty()).then_some(Self { names, slice })
    }

    fn find(&self, record: &Value) -> Option<String> {
        let mut value = record;
        for name in &self.names {
            value = value.get(name)?;
        }
        let text = match (value, self.slice) {
            (Value::String(text), _) => text.clone(),
            (Value::Number(number), None) => number.to_string(),
            (Value::Bool(truth), None) => truth.to_string(),
            _ => return None,
        };
        let Some((from, to)) = self.slice else {
            return Some(text);
        };
        Some(text.chars().take(to).skip(from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_where_the_query_says() {
        let query =
            "{day: .detail.timestamp[0:10], type:.detail.eventType, kind: .\"detail-type\"}";
        let query = PartitionQuery::parse(query).unwrap();
        assert_eq!(query.names().collect::<Vec<_>>(), ["day", "type", "kind"]);
        let record = json!({
            "detail-type": "order event",
            "detail": {"timestamp": "2025-01-02T03:04:05Z", "eventType": "OrderPlaced"},
        });
        let keys = query.find(&record);
        assert_eq!(keys.unwrap(), ["2025-01-02", "OrderPlaced", "order event"]);
    }

    #[test]
    fn a_key_that_a_record_does_not_have_is_named() {
        let query = PartitionQuery::parse("{a: .a, b: .x.b}").unwrap();
        for (record, missing) in [
            (json!({"x": {"b": "1"}}), "a"),
            (json!({"a": "", "x": {"b": "1"}}), "a"),
            (json!({"a": {}, "x": {"b": "1"}}), "a"),
            (json!({"a": 1, "x": 5}), "b"),
            (json!([]), "a"),
        ] {
            assert_eq!(query.find(&record), Err(missing.to_owned()), "{record}");
        }
        let keys = query.find(&json!({"a": 1.5, "x": {"b": true}}));
        assert_eq!(keys.unwrap(), ["1.5", "true"]);
    }

    #[test]
    fn what_is_more_than_a_path_is_refused_by_name() {
        for query in [
            ".detail",
            "{a: .b | ascii_downcase}",
            "{a: .b[0]}",
            "{a: .b[]}",
            "{a: now}",
            "{a: .}",
            "{a: .b-c}",
            "{a}",
            "{}",
            "{a: (.b|tostring)}",
        ] {
            let refused = PartitionQuery::parse(query);
            assert!(refused.is_err(), "{query}");
        }
        let refused = PartitionQuery::parse("{a: .a, b: .b|now}").unwrap_err();
        assert!(refused.to_string().starts_with("has `b: .b|now`"));
    }
}
