//! The tests that a pattern makes of one value of the event.

use std::net::IpAddr;

use serde_json::{Number, Value};

/// One of the alternatives of a field: an exact value or an operator.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// A string, boolean or null.
    Exact(Value),
    /// The number with this text: `300` is not `300.0`.
    Number(String),
    /// `exists: true`
    Anything,
    /// One of the string operators.
    Like(Like),
    /// `numeric`
    Numeric(Vec<Comparison>),
    /// `cidr`
    Cidr(Network),
    /// `anything-but` with strings or a string operator; what is no string passes.
    NoneOf(Vec<Like>),
    /// `anything-but` with numbers; what is no number passes.
    NoneOfNumbers(Vec<f64>),
}

/// A property of a string.
#[derive(Debug, Clone)]
pub(super) enum Like {
    Equal(String),
    IgnoringCase(String),
    Prefix(String),
    PrefixIgnoringCase(String),
    Suffix(String),
    SuffixIgnoringCase(String),
    /// The literal parts between the `*`s.
    Wildcard(Vec<String>),
}

/// One comparison of `numeric`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    pub(super) relation: Relation,
    pub(super) number: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A CIDR block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) bits: u32,
}

impl Test {
    pub(super) fn passes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Anything, _) => true,
            (Self::Exact(exact), value) => exact == value,
            (Self::Number(text), Value::Number(number)) => number.to_string() == *text,
            (Self::Like(like), Value::String(text)) => like.holds(text),
            (Self::Numeric(comparisons), Value::Number(number)) => {
                to_f64(number).is_some_and(|number| comparisons.iter().all(|one| one.holds(number)))
            }
            (Self::Cidr(network), Value::String(text)) => {
                text.parse().is_ok_and(|address| network.contains(address))
            }
            (Self::NoneOf(likes), Value::String(text)) => !likes.iter().any(|one| one.holds(text)),
            (Self::NoneOfNumbers(numbers), Value::Number(number)) => {
                let number = to_f64(number);
                !number.is_some_and(|number| numbers.iter().any(|one| is_equal(*one, number)))
            }
            (Self::NoneOf(_) | Self::NoneOfNumbers(_), _) => true,
            _ => false,
        }
    }
}

impl Like {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equal(other) => text == other,
            Self::IgnoringCase(other) => folded(text) == folded(other),
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::PrefixIgnoringCase(prefix) => folded(text).starts_with(&folded(prefix)),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::SuffixIgnoringCase(suffix) => folded(text).ends_with(&folded(suffix)),
            Self::Wildcard(parts) => fits(parts, text),
        }
    }
}

impl Comparison {
    fn holds(self, number: f64) -> bool {
        match self.relation {
            Relation::Equal => is_equal(number, self.number),
            Relation::Less => number < self.number,
            Relation::LessOrEqual => number <= self.number,
            Relation::Greater => number > self.number,
            Relation::GreaterOrEqual => number >= self.number,
        }
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

pub(super) fn to_f64(number: &Number) -> Option<f64> {
    number.to_string().parse().ok()
}

/// Two texts of one number give the same bits, so equality is exact here.
fn is_equal(left: f64, right: f64) -> bool {
    left.partial_cmp(&right)
        .is_some_and(std::cmp::Ordering::is_eq)
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Whether the literal parts come one after the other, the first at the start, the last at the
/// end.
fn fits(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}
