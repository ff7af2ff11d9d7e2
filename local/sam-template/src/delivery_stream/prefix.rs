//! Prefixes of the objects that a delivery stream writes.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>

use jiff::Timestamp;

/// A prefix with what is filled in for each object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPrefix(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The partition key with this index.
    Key(usize),
    /// A pattern of Java's `DateTimeFormatter`, as one of jiff's.
    Time(String),
    ErrorType,
    Random,
}

/// What is filled in for one object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'f> {
    /// The partition keys, in the order of the query.
    pub keys: &'f [String],
    /// When the oldest record in it came, in milliseconds since the Unix epoch.
    pub oldest_millis: u64,
    /// Why records failed; empty for those that did not.
    pub error_type: &'f str,
    /// Eleven letters and digits.
    pub random: &'f str,
}

impl ObjectPrefix {
    /// Parses a prefix; `keys` are the names of the partition keys, `error` says that it is for
    /// what failed. One without an expression is followed by the hour.
    ///
    /// # Errors
    /// What is not known or not allowed, as a part of a sentence.
    pub fn parse(text: &str, keys: &[&str], error: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("!{") {
            let (expression, tail) = tail
                .split_once('}')
                .ok_or("has `!{` without the `}` that ends it")?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece(expression, keys, error)?);
            rest = tail;
        }
        let has_expression = !pieces.is_empty();
        pieces.push(Piece::Text(rest.to_owned()));
        if !has_expression {
            pieces.push(time("yyyy/MM/dd/HH")?);
            pieces.push(Piece::Text("/".to_owned()));
        }
        let has = |wanted: &Piece| pieces.contains(wanted);
        if error && has_expression && !has(&Piece::ErrorType) {
            return Err("must contain !{firehose:error-output-type}".to_owned());
        }
        let missing = (0..keys.len()).find(|index| !error && !has(&Piece::Key(*index)));
        if let Some(name) = missing.and_then(|index| keys.get(index)) {
            return Err(format!("must contain !{{partitionKeyFromQuery:{name}}}"));
        }
        Ok(Self(pieces))
    }

    /// The prefix of one object.
    #[must_use]
    pub fn fill(&self, facts: ObjectFacts<'_>) -> String {
        let millis = i64::try_from(facts.oldest_millis).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        let shown = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Key(index) => facts.keys.get(*index).cloned().unwrap_or_default(),
            Piece::Time(pattern) => time.strftime(pattern).to_string(),
            Piece::ErrorType => facts.error_type.to_owned(),
            Piece::Random => facts.random.to_owned(),
        };
        self.0.iter().map(shown).collect()
    }
}

fn piece(expression: &str, keys: &[&str], error: bool) -> Result<Piece, String> {
    let unknown = || format!("has `!{{{expression}}}`, which the local run does not know");
    let (namespace, value) = expression.split_once(':').ok_or_else(unknown)?;
    match (namespace, value) {
        ("partitionKeyFromQuery", name) if !error => {
            let index = keys.iter().position(|key| *key == name);
            index.map(Piece::Key).ok_or_else(|| {
                format!("has the key `{name}`, which the MetadataExtractionQuery does not give")
            })
        }
        ("firehose", "error-output-type") if error => Ok(Piece::ErrorType),
        ("firehose", "random-string") => Ok(Piece::Random),
        ("timestamp", pattern) => time(pattern),
        _ => Err(unknown()),
    }
}

/// Years, months, days and hours of a pattern, with signs between them.
fn time(pattern: &str) -> Result<Piece, String> {
    let mut shown = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let fields = [("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H")];
        if let Some((field, directive)) = fields.iter().find(|(field, _)| rest.starts_with(field)) {
            shown.push_str(directive);
            rest = &rest[field.len()..];
        } else if matches!(first, '/' | '-' | '_' | '.') {
            shown.push(first);
            rest = &rest[1..];
        } else {
            return Err(format!(
                "has the time `{pattern}`; the local run knows yyyy, MM, dd and HH"
            ));
        }
    }
    Ok(Piece::Time(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, keys: &[&str], error: bool) -> Result<String, String> {
        let values = ["2025-01-02".to_owned(), "OrderPlaced".to_owned()];
        let facts = ObjectFacts {
            keys: &values,
            oldest_millis: 1_735_786_800_000,
            error_type: "processing-failed",
            random: "abcdefghijk",
        };
        ObjectPrefix::parse(text, keys, error).map(|prefix| prefix.fill(facts))
    }

    #[test]
    fn a_prefix_is_filled_with_keys_and_times() {
        let keys = ["day", "type"];
        let text = "events/day=!{partitionKeyFromQuery:day}/type=!{partitionKeyFromQuery:type}/";
        assert_eq!(
            filled(text, &keys, false).unwrap(),
            "events/day=2025-01-02/type=OrderPlaced/"
        );
        let text = "errors/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/";
        assert_eq!(
            filled(text, &keys, true).unwrap(),
            "errors/processing-failed/2025-01-02/"
        );
        assert_eq!(filled("all/", &[], false).unwrap(), "all/2025/01/02/03/");
    }

    #[test]
    fn what_aws_refuses_or_is_not_known_is_refused() {
        for (text, keys, error, problem) in [
            (
                "a/!{partitionKeyFromQuery:day",
                vec!["day"],
                false,
                "without the `}`",
            ),
            (
                "a/",
                vec!["day"],
                false,
                "must contain !{partitionKeyFromQuery:day}",
            ),
            (
                "!{partitionKeyFromQuery:x}",
                vec!["day"],
                false,
                "the key `x`",
            ),
            ("!{timestamp:yyyy}/", vec![], true, "error-output-type"),
            (
                "!{firehose:error-output-type}/",
                vec![],
                false,
                "does not know",
            ),
            (
                "!{partitionKeyFromLambda:x}",
                vec![],
                false,
                "does not know",
            ),
            (
                "!{timestamp:yyyy-'W'ww}",
                vec![],
                false,
                "the time `yyyy-'W'ww`",
            ),
        ] {
            let refused = filled(text, &keys, error).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
    }
}
