//! Tokens of DynamoDB's expression language.

use crate::ApiError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A bare word: attribute name, function or keyword.
    Word(String),
    /// `#name`, with the `#`.
    NameAlias(String),
    /// `:value`, with the `:`.
    ValueAlias(String),
    /// A list index.
    Index(usize),
    /// `( ) [ ] , . = <> < <= > >= + -`
    Symbol(&'static str),
}

const SYMBOLS: [&str; 15] = [
    "<>", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", ".", "+", "-", "*",
];

/// Splits an expression; `kind` (e.g. `ConditionExpression`) goes into errors.
pub(super) fn tokenize(expression: &str, kind: &str) -> Result<Vec<Token>, ApiError> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if matches!(first, '#' | ':') {
            1 + word_length(&rest[1..])
        } else {
            word_length(rest)
        };
        let (text, token) = if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            (*symbol, Token::Symbol(symbol))
        } else {
            let text = &rest[..length];
            let token = match first {
                '#' if length > 1 => Token::NameAlias(text.to_owned()),
                ':' if length > 1 => Token::ValueAlias(text.to_owned()),
                '0'..='9' => Token::Index(text.parse().map_err(|_| syntax(kind, text, rest))?),
                _ if length > 0 && first != '#' && first != ':' => Token::Word(text.to_owned()),
                _ => return Err(syntax(kind, &first.to_string(), rest)),
            };
            (text, token)
        };
        tokens.push(token);
        rest = rest[text.len()..].trim_start();
    }
    if tokens.is_empty() {
        return Err(ApiError::validation(format!(
            "Invalid {kind}: The expression can not be empty;"
        )));
    }
    Ok(tokens)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn syntax(kind: &str, token: &str, near: &str) -> ApiError {
    let near: String = near.chars().take(20).collect();
    ApiError::validation(format!(
        "Invalid {kind}: Syntax error; token: \"{token}\", near: \"{near}\""
    ))
}
