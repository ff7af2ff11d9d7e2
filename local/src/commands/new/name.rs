//! Names, in all the forms in which the workspace writes them.

use std::str::FromStr;

/// Words of the language and crates that every crate has: no crate or module can be called so.
const TAKEN_BY_RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];
/// What the scaffolded code names already: its own types must be called otherwise.
const TAKEN_BY_THE_CODE: &[&str] = &[
    "cause",
    "clock",
    "config",
    "decided",
    "decider",
    "deserialize",
    "envelope",
    "err",
    "event",
    "event-store",
    "failure",
    "given",
    "handler",
    "head",
    "infallible",
    "none",
    "ok",
    "option",
    "result",
    "serialize",
    "some",
    "start",
    "strategy",
    "string",
    "timestamp",
    "value",
    "vec",
];
/// Longest name: with the template's longest prefix it is a name that Lambda takes.
const LONGEST: usize = 32;
/// What the streams of the order backend begin with: functions and filters tell them by that.
const STREAMS: [&str; 4] = ["order", "inventory", "notification", "external"];

/// A name in kebab-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = String;

    /// Checks a name in kebab-case.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_owned();
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && word
                    .chars()
                    .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
        };
        if !name.starts_with(|first: char| first.is_ascii_lowercase())
            || !name.split('-').all(is_word)
        {
            return Err(
                "write lower-case words with hyphens between them, as in award-points".into(),
            );
        }
        if name.len() > LONGEST {
            return Err(format!(
                "at most {LONGEST} characters, so that Lambda takes it with every prefix"
            ));
        }
        if TAKEN_BY_RUST.contains(&name.as_str()) {
            return Err("no crate or module can be called so; add a word".into());
        }
        if TAKEN_BY_THE_CODE.contains(&name.as_str()) {
            return Err("the code calls something else so; add a word".into());
        }
        if let Some(word) = STREAMS.iter().find(|word| begins(&name, word)) {
            return Err(format!(
                "streams that begin with {word}- are there already, and what reads them would \
                 read these, too; choose another first word"
            ));
        }
        Ok(Self(name))
    }
}

/// Checks a name in kebab-case or `snake_case`.
pub(super) fn kebab_or_snake(text: &str) -> Result<Name, String> {
    text.replace('_', "-").parse()
}

/// Whether `name` is `word`, or begins with it and a hyphen.
pub(super) fn begins(name: &str, word: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

impl Name {
    /// `award-points`
    pub(super) fn kebab(&self) -> &str {
        &self.0
    }

    /// `award_points`
    pub(super) fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// `AwardPoints`
    pub(super) fn pascal(&self) -> String {
        let mut name = String::new();
        for word in self.0.split('-') {
            let (first, rest) = word.split_at(1);
            name.push_str(&first.to_uppercase());
            name.push_str(rest);
        }
        name
    }

    /// `awardPoints`
    pub(super) fn camel(&self) -> String {
        let name = self.pascal();
        let (first, rest) = name.split_at(1);
        first.to_lowercase() + rest
    }

    /// `award points`
    pub(super) fn words(&self) -> String {
        self.0.replace('-', " ")
    }
}

/// Checks the shape of an event's type.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    if text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|one| one.is_ascii_alphanumeric())
    {
        Ok(text.to_owned())
    } else {
        Err("write an event's type, as in OrderPlaced".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_form_for_every_place() {
        let name = kebab_or_snake("gift_card_2").unwrap();
        assert_eq!(name.kebab(), "gift-card-2");
        assert_eq!(name.snake(), "gift_card_2");
        assert_eq!(name.pascal(), "GiftCard2");
        assert_eq!(name.camel(), "giftCard2");
        assert_eq!(name.words(), "gift card 2");
    }

    #[test]
    fn what_is_no_name_or_means_something_else_is_refused() {
        for wrong in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "Award",
            "1st",
            "a b",
            "../a",
            "żółw",
            "match",
            "event",
            "order",
            "order-labels",
            "external-x",
            "gift_card",
        ] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
        }
        assert!("x".repeat(33).parse::<Name>().is_err());
        assert!("orders-of-today".parse::<Name>().is_ok());
    }

    #[test]
    fn an_event_type_is_one_word_in_capitals() {
        assert_eq!(event_type("OrderPlaced"), Ok("OrderPlaced".into()));
        for wrong in [
            "",
            "orderPlaced",
            "Order-Placed",
            "Order Placed",
            "order.placed",
        ] {
            assert!(event_type(wrong).is_err(), "{wrong:?}");
        }
    }
}
