//! DynamoDB's number: a decimal of up to 38 significant digits, kept and
//! compared exactly. Floats never come near it.

use std::cmp::Ordering;
use std::fmt;

/// Significant digits that DynamoDB keeps.
const MAX_DIGITS: usize = 38;
/// Power of ten of the leading digit: `1E-130` to `9.99…E+125`.
const MIN_LEADING_EXPONENT: i64 = -130;
const MAX_LEADING_EXPONENT: i64 = 125;

/// Why a text or a result is not a DynamoDB number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    NotANumber,
    TooPrecise,
    TooLarge,
    TooSmall,
}

impl NumberError {
    /// AWS's wording.
    pub(crate) fn message(self, text: &str) -> String {
        match self {
            Self::NotANumber => {
                format!("The parameter cannot be converted to a numeric value: {text}")
            }
            Self::TooPrecise => {
                "Attempting to store more than 38 significant digits in a Number".to_owned()
            }
            Self::TooLarge => "Number overflow. Attempting to store a number with magnitude \
                               larger than supported range"
                .to_owned(),
            Self::TooSmall => "Number underflow. Attempting to store a number with magnitude \
                               smaller than supported range"
                .to_owned(),
        }
    }
}

/// `± digits × 10^scale`, without leading or trailing zeros; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

impl Number {
    /// Reads `-12.50`, `1e3`, `.5`; refuses what AWS refuses.
    pub(crate) fn parse(text: &str) -> Result<Self, NumberError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => {
                let digits = rest[at + 1..].trim_start_matches(['+', '-']);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(NumberError::NotANumber);
                }
                let exponent: i64 = rest[at + 1..].parse().map_err(|_| {
                    if rest[at + 1..].starts_with('-') {
                        NumberError::TooSmall
                    } else {
                        NumberError::TooLarge
                    }
                })?;
                (&rest[..at], exponent.clamp(-1_000_000, 1_000_000))
            }
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(NumberError::NotANumber);
        }
        let digits = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0');
        let fraction_digits = i64::try_from(fraction.len()).map_err(|_| NumberError::TooPrecise)?;
        Self::checked(negative, digits.collect(), exponent - fraction_digits)
    }

    /// Brings digits into normal form and applies AWS's bounds.
    fn checked(negative: bool, mut digits: Vec<u8>, mut scale: i64) -> Result<Self, NumberError> {
        while digits.last() == Some(&0) {
            digits.pop();
            scale += 1;
        }
        let leading_zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading_zeros);
        if digits.is_empty() {
            return Ok(Self {
                negative: false,
                digits,
                scale: 0,
            });
        }
        if digits.len() > MAX_DIGITS {
            return Err(NumberError::TooPrecise);
        }
        let number = Self {
            negative,
            digits,
            scale,
        };
        match number.leading_exponent() {
            exponent if exponent > MAX_LEADING_EXPONENT => Err(NumberError::TooLarge),
            exponent if exponent < MIN_LEADING_EXPONENT => Err(NumberError::TooSmall),
            _ => Ok(number),
        }
    }

    fn leading_exponent(&self) -> i64 {
        self.scale + i64::try_from(self.digits.len()).unwrap_or(i64::MAX) - 1
    }

    /// Bytes AWS counts: one per two significant digits, one for the
    /// exponent, one for a minus sign.
    pub(crate) fn size(&self) -> usize {
        self.digits.len().div_ceil(2) + 1 + usize::from(self.negative)
    }

    pub(crate) fn plus(&self, other: &Self) -> Result<Self, NumberError> {
        if self.digits.is_empty() {
            return Ok(other.clone());
        }
        if other.digits.is_empty() {
            return Ok(self.clone());
        }
        let scale = self.scale.min(other.scale);
        let (left, right) = (self.digits_at(scale), other.digits_at(scale));
        if self.negative == other.negative {
            return Self::checked(self.negative, add_magnitudes(&left, &right), scale);
        }
        match compare_magnitudes(&left, &right) {
            Ordering::Less => {
                Self::checked(other.negative, subtract_magnitudes(&right, &left), scale)
            }
            _ => Self::checked(self.negative, subtract_magnitudes(&left, &right), scale),
        }
    }

    pub(crate) fn minus(&self, other: &Self) -> Result<Self, NumberError> {
        let mut negated = other.clone();
        negated.negative = !other.negative && !other.digits.is_empty();
        self.plus(&negated)
    }

    /// The digits with zeros appended so that one unit is `10^scale`.
    fn digits_at(&self, scale: i64) -> Vec<u8> {
        let zeros = usize::try_from(self.scale - scale).unwrap_or(0);
        let mut digits = self.digits.clone();
        digits.resize(digits.len() + zeros, 0);
        digits
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let magnitude = self
                .leading_exponent()
                .cmp(&other.leading_exponent())
                .then_with(|| self.digits.cmp(&other.digits));
            if self.negative {
                magnitude.reverse()
            } else {
                magnitude
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    /// Plain notation, as DynamoDB returns it: `12.5`, never `1.25E1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let mut text: String = self.digits.iter().map(|d| char::from(b'0' + d)).collect();
        if let Ok(zeros) = usize::try_from(self.scale) {
            text.extend(std::iter::repeat_n('0', zeros));
        } else {
            let decimals = usize::try_from(-self.scale).unwrap_or(0);
            if text.len() <= decimals {
                text.insert_str(0, &"0".repeat(decimals + 1 - text.len()));
            }
            text.insert(text.len() - decimals, '.');
        }
        write!(f, "{}{text}", if self.negative { "-" } else { "" })
    }
}

fn compare_magnitudes(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn add_magnitudes(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sum = Vec::with_capacity(left.len().max(right.len()) + 1);
    let (mut left, mut right) = (left.iter().rev(), right.iter().rev());
    let mut carry = 0;
    loop {
        let digit = match (left.next(), right.next()) {
            (None, None) if carry == 0 => break,
            (a, b) => a.unwrap_or(&0) + b.unwrap_or(&0) + carry,
        };
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.reverse();
    sum
}

/// `left - right` for `left >= right`.
fn subtract_magnitudes(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut difference = Vec::with_capacity(left.len());
    let mut right = right.iter().rev();
    let mut borrow = 0;
    for digit in left.iter().rev() {
        let take = right.next().unwrap_or(&0) + borrow;
        borrow = u8::from(*digit < take);
        difference.push(digit + 10 * borrow - take);
    }
    difference.reverse();
    difference
}

#[cfg(test)]
mod tests {
    use super::{Number, NumberError};

    fn plain(text: &str) -> String {
        Number::parse(text).expect(text).to_string()
    }

    #[test]
    fn numbers_come_back_in_plain_normal_form() {
        for (given, kept) in [
            ("1.0", "1"),
            ("007", "7"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("12.50", "12.5"),
            (".5", "0.5"),
            ("-2.5E-3", "-0.0025"),
        ] {
            assert_eq!(plain(given), kept);
        }
    }

    #[test]
    fn digits_magnitude_and_syntax_out_of_bounds_are_refused() {
        assert!(Number::parse(&"9".repeat(38)).is_ok());
        for (given, error) in [
            ("9".repeat(39).as_str(), NumberError::TooPrecise),
            ("1e126", NumberError::TooLarge),
            ("1e-131", NumberError::TooSmall),
            ("1e99999999999999999999", NumberError::TooLarge),
            ("", NumberError::NotANumber),
            ("1.2.3", NumberError::NotANumber),
            ("0x1", NumberError::NotANumber),
            ("NaN", NumberError::NotANumber),
            ("1e", NumberError::NotANumber),
            (" 1", NumberError::NotANumber),
        ] {
            assert_eq!(Number::parse(given), Err(error), "{given}");
        }
    }

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let sum = |a: &str, b: &str| {
            let (a, b) = (Number::parse(a).expect(a), Number::parse(b).expect(b));
            a.plus(&b).map(|n| n.to_string())
        };
        assert_eq!(sum("0.1", "0.2"), Ok("0.3".to_owned()));
        assert_eq!(sum("150.75", "-150.75"), Ok("0".to_owned()));
        assert_eq!(sum("5", "-7.25"), Ok("-2.25".to_owned()));
        assert_eq!(
            sum("9999999999999999", "1"),
            Ok("10000000000000000".to_owned())
        );
        assert_eq!(sum("1e125", "1e-130"), Err(NumberError::TooPrecise));
    }

    #[test]
    fn order_follows_sign_and_magnitude() {
        let mut numbers: Vec<Number> = ["10", "9", "-1", "0", "0.5", "-10", "9.99"]
            .iter()
            .map(|text| Number::parse(text).expect(text))
            .collect();
        numbers.sort();
        let sorted: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["-10", "-1", "0", "0.5", "9", "9.99", "10"]);
    }
}
