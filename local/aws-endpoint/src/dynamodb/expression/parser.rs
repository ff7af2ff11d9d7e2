//! What all expressions have in common: paths, operands, keywords.

use serde_json::Value;

use super::lexer::{Token, tokenize};
use super::path::{Path, Step};
use super::placeholders::Placeholders;
use crate::ApiError;

/// AWS's reserved words, sorted
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>).
const RESERVED_WORDS: &str = include_str!("reserved_words.txt");

/// Deepest nesting of parentheses, `NOT`s and functions. AWS takes 300
/// operators and functions in one expression, so it has no use for more
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>).
const MAX_NESTING: usize = 300;
/// Most steps (`.name`, `[index]`) of a document path
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_PATH_STEPS: usize = 32;

pub(super) struct Parser<'request> {
    tokens: Vec<Token>,
    at: usize,
    nesting: usize,
    kind: &'static str,
    aliases: &'request Placeholders,
}

impl<'request> Parser<'request> {
    pub(super) fn new(
        expression: &str,
        kind: &'static str,
        aliases: &'request Placeholders,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            tokens: tokenize(expression, kind)?,
            at: 0,
            nesting: 0,
            kind,
            aliases,
        })
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Reads something that may hold more of its kind. Without a limit, an
    /// expression of nothing but parentheses would overflow the stack.
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        if self.nesting == MAX_NESTING {
            return Err(ApiError::validation(format!(
                "Invalid {}: The expression is nested deeper than {MAX_NESTING} levels;",
                self.kind
            )));
        }
        self.nesting += 1;
        let inner = read(self)?;
        self.nesting -= 1;
        Ok(inner)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Steps over a symbol if it comes next.
    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(s)) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), ApiError> {
        if self.accept(symbol) {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    /// Steps over a keyword (any case) if it comes next.
    pub(super) fn accept_word(&mut self, keyword: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    /// Steps over `name (` if a call of a function comes next, and tells which.
    pub(super) fn accept_function(&mut self, names: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Word(word)) = self.peek() else {
            return None;
        };
        let function = names.iter().find(|name| **name == word)?;
        if self.tokens.get(self.at + 1) != Some(&Token::Symbol("(")) {
            return None;
        }
        self.at += 2;
        Some(function)
    }

    /// AWS's error for a call of a function that the expression does not know.
    pub(super) fn refuse_function(&self) -> Result<(), ApiError> {
        match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Word(word)), Some(Token::Symbol("("))) => {
                Err(ApiError::validation(format!(
                    "Invalid {}: Invalid function name; function: {word}",
                    self.kind
                )))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn end(&self) -> Result<(), ApiError> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, ApiError> {
        let attribute = self.member()?;
        let mut steps = Vec::new();
        loop {
            if self.accept(".") {
                steps.push(Step::Member(self.member()?));
            } else if self.accept("[") {
                let Some(Token::Index(index)) = self.next() else {
                    self.at -= 1;
                    return Err(self.syntax_error());
                };
                steps.push(Step::Index(index));
                self.expect("]")?;
            } else {
                break;
            }
        }
        if steps.len() > MAX_PATH_STEPS {
            return Err(ApiError::validation(format!(
                "Invalid {}: The document path has too many nesting levels; nesting levels: {}",
                self.kind,
                steps.len()
            )));
        }
        Ok(Path { attribute, steps })
    }

    fn member(&mut self) -> Result<String, ApiError> {
        match self.next() {
            Some(Token::NameAlias(alias)) => self.aliases.name(&alias, self.kind),
            // A bare name begins with a letter; the others need a placeholder.
            Some(Token::Word(word)) if word.starts_with('_') => {
                self.at -= 1;
                Err(self.syntax_error())
            }
            Some(Token::Word(word)) if is_reserved(&word) => Err(ApiError::validation(format!(
                "Invalid {}: Attribute name is a reserved keyword; reserved keyword: {word}",
                self.kind
            ))),
            Some(Token::Word(word)) => Ok(word),
            _ => {
                self.at -= 1;
                Err(self.syntax_error())
            }
        }
    }

    /// `:value`, if one comes next.
    pub(super) fn accept_value(&mut self) -> Result<Option<Value>, ApiError> {
        let Some(Token::ValueAlias(alias)) = self.peek().cloned() else {
            return Ok(None);
        };
        self.at += 1;
        self.aliases.value(&alias, self.kind).map(Some)
    }

    pub(super) fn value(&mut self) -> Result<Value, ApiError> {
        self.accept_value()?.ok_or_else(|| self.syntax_error())
    }

    pub(super) fn syntax_error(&self) -> ApiError {
        let text = |token: &Token| match token {
            Token::Word(text) | Token::NameAlias(text) | Token::ValueAlias(text) => text.clone(),
            Token::Index(index) => index.to_string(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
        };
        let from = self.at.min(self.tokens.len()).saturating_sub(1);
        let near: Vec<String> = self.tokens[from..].iter().take(3).map(text).collect();
        let token = self.peek().map_or_else(|| "<EOF>".to_owned(), text);
        ApiError::validation(format!(
            "Invalid {}: Syntax error; token: \"{token}\", near: \"{}\"",
            self.kind,
            near.join(" ")
        ))
    }
}

fn is_reserved(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    RESERVED_WORDS
        .lines()
        .any(|reserved| reserved == word.as_str())
}
