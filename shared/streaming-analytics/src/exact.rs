//! Exact sums of decimals: whole numbers of 10⁻¹⁸, so that adding in any order comes to the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How many digits may stand behind the point.
pub const MAX_PLACES: u32 = 18;
const ONE: i128 = 1_000_000_000_000_000_000;
const MILLIONTH: i128 = 1_000_000_000_000;

/// Why a text is not an exact number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExactError {
    /// Not written as JSON writes numbers.
    #[error("must be a decimal number")]
    NotDecimal,
    /// More digits behind the point than are kept.
    #[error("must have at most {MAX_PLACES} decimal places")]
    TooPrecise,
    /// Too far from zero.
    #[error("must be less than 1e20")]
    TooLarge,
}

/// A decimal number with at most 18 decimal places, up to ±1.7·10²⁰.
///
/// Sums are exact; one that left the range would stay at its end, which takes a hundred thousand
/// amounts of the largest kind that an order may have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(i128);

impl Exact {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Reads the text of a JSON number, to its last digit.
    ///
    /// # Errors
    /// [`ExactError`].
    pub fn parse(text: &str) -> Result<Self, ExactError> {
        Self::read(text, false)
    }

    /// Reads the text of a JSON number, to 18 decimal places, half to even: what is measured has
    /// no more, whatever a device computes.
    ///
    /// # Errors
    /// [`ExactError`], but for [`ExactError::TooPrecise`].
    pub fn nearest(text: &str) -> Result<Self, ExactError> {
        Self::read(text, true)
    }

    /// `rounds` says whether digits may be left out.
    fn read(text: &str, rounds: bool) -> Result<Self, ExactError> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => {
                let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
                let exponent: i16 = exponent.parse().map_err(|_| ExactError::NotDecimal)?;
                (digits, i32::from(exponent))
            }
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit())
        {
            return Err(ExactError::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        let scaled = scaled(whole, fraction, exponent, rounds)?;
        Ok(Self(if negative { -scaled } else { scaled }))
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Whether it is at most so far from zero.
    #[must_use]
    pub fn is_within(self, most: u64) -> bool {
        let most = Self::from(most);
        (most.negated()..=most).contains(&self)
    }

    /// The number on the other side of zero.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// This number divided by `count`, to 18 decimal places, half to even; `None` for 0.
    #[must_use]
    pub fn over(self, count: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let count = i128::from(count);
        let (quotient, rest) = (self.0.div_euclid(count), self.0.rem_euclid(count));
        let up = rest * 2 > count || (rest * 2 == count && quotient % 2 != 0);
        Some(Self(quotient + i128::from(up)))
    }

    /// The nearest binary float, for statistics; never for money.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn approximate(self) -> f64 {
        self.0 as f64 / ONE as f64
    }

    /// At most how many bytes it takes in a state: 7 bits a byte, one for the point, one for the
    /// sign.
    pub(crate) fn weight(self) -> usize {
        let (digits, _) = self.shortest();
        let bits = 128 - digits.unsigned_abs().leading_zeros();
        bits as usize / 7 + 2
    }

    /// The digits without the zeros at their end, and how many of them stand behind the point.
    fn shortest(self) -> (i128, u32) {
        let (mut digits, mut places) = (self.0, MAX_PLACES);
        // Most numbers have few places, and then few digits.
        if digits % MILLIONTH == 0 {
            (digits, places) = (digits / MILLIONTH, 6);
            if let Ok(mut few) = i64::try_from(digits) {
                while places > 0 && few % 10 == 0 {
                    (few, places) = (few / 10, places - 1);
                }
                return (i128::from(few), places);
            }
        }
        while places > 0 && digits % 10 == 0 {
            (digits, places) = (digits / 10, places - 1);
        }
        (digits, places)
    }
}

fn scaled(whole: &str, fraction: &str, exponent: i32, rounds: bool) -> Result<i128, ExactError> {
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let places = i32::try_from(fraction.len()).map_err(|_| ExactError::TooPrecise)? - exponent;
    // Zeros at the end are no digits: 1000e-20 has 17 places.
    let kept = digits.trim_end_matches('0');
    let dropped = i32::try_from(digits.len() - kept.len()).map_err(|_| ExactError::TooLarge)?;
    let shift = 18 - places + dropped;
    let Ok(shift) = u32::try_from(shift) else {
        if !rounds {
            return Err(ExactError::TooPrecise);
        }
        let cut = usize::try_from(shift.unsigned_abs()).map_err(|_| ExactError::TooPrecise)?;
        return rounded(kept, cut);
    };
    kept.parse::<i128>()
        .ok()
        .zip(10_i128.checked_pow(shift))
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|number| *number < 100 * ONE * ONE)
        .ok_or(ExactError::TooLarge)
}

/// Digits, the last of which is not 0, without their last `cut` ones.
fn rounded(digits: &str, cut: usize) -> Result<i128, ExactError> {
    let Some(kept) = digits.len().checked_sub(cut) else {
        return Ok(0);
    };
    let (kept, left_out) = digits.split_at(kept);
    let kept = if kept.is_empty() {
        0
    } else {
        let kept: i128 = kept.parse().map_err(|_| ExactError::TooLarge)?;
        if kept >= 100 * ONE * ONE {
            return Err(ExactError::TooLarge);
        }
        kept
    };
    let up = match left_out.cmp("5") {
        Ordering::Less => false,
        Ordering::Equal => kept % 2 != 0,
        Ordering::Greater => true,
    };
    Ok(kept + i128::from(up))
}

impl From<u64> for Exact {
    fn from(number: u64) -> Self {
        Self(i128::from(number).saturating_mul(ONE))
    }
}

impl FromStr for Exact {
    type Err = ExactError;

    fn from_str(text: &str) -> Result<Self, ExactError> {
        Self::parse(text)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, places) = self.shortest();
        let sign = if digits < 0 { "-" } else { "" };
        let factor = 10_u128.pow(places);
        let (whole, fraction) = (
            digits.unsigned_abs() / factor,
            digits.unsigned_abs() % factor,
        );
        if places == 0 {
            write!(f, "{sign}{whole}")
        } else {
            let width = places as usize;
            write!(f, "{sign}{whole}.{fraction:0width$}")
        }
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exact({self})")
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serde_json::Number::from_str(&self.to_string())
                .map_err(ser::Error::custom)?
                .serialize(serializer)
        } else {
            self.shortest().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let number = serde_json::Number::deserialize(deserializer)?;
            return Self::nearest(number.as_str()).map_err(de::Error::custom);
        }
        let (digits, places) = <(i128, u32)>::deserialize(deserializer)?;
        MAX_PLACES
            .checked_sub(places)
            .and_then(|shift| digits.checked_mul(10_i128.pow(shift)))
            .map(Self)
            .ok_or_else(|| de::Error::custom("is no exact number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_read_as_json_writes_them_and_keep_their_digits() {
        for (text, shown) in [
            ("0.1", "0.1"),
            ("-18.250", "-18.25"),
            ("1.5e3", "1500"),
            ("21.340000000000003", "21.340000000000003"),
            ("1000e-20", "0.00000000000000001"),
            ("-0.0", "0"),
            ("99999999999999999999", "99999999999999999999"),
            ("0e999", "0"),
        ] {
            assert_eq!(exact(text).to_string(), shown, "{text}");
        }
        assert_eq!(exact("0.1").plus(exact("0.2")), exact("0.3"));
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        assert_eq!(Exact::parse("1e-19"), Err(ExactError::TooPrecise));
        assert_eq!(Exact::parse("1e20"), Err(ExactError::TooLarge));
        assert_eq!(Exact::parse("1e30000"), Err(ExactError::TooLarge));
        for text in [
            "", "-", ".5", "1e", "1e99999", "NaN", "1 ", "１", "--1", "1.2.3",
        ] {
            assert_eq!(Exact::parse(text), Err(ExactError::NotDecimal), "{text:?}");
        }
    }

    #[test]
    fn what_is_measured_is_kept_to_18_places_half_to_even() {
        for (text, kept) in [
            ("1e-19", "0"),
            ("5e-19", "0"),
            ("-5.00001e-19", "-1e-18"),
            ("15e-19", "2e-18"),
            ("25e-19", "2e-18"),
            ("1.0000000000000000009", "1.000000000000000001"),
            ("5e-324", "0"),
            ("0.25", "0.25"),
        ] {
            assert_eq!(Exact::nearest(text), Exact::parse(kept), "{text}");
        }
        let long = format!("{}.0000000000000000001", "9".repeat(30));
        assert_eq!(Exact::nearest(&long), Err(ExactError::TooLarge));
        assert_eq!(Exact::nearest("1e20"), Err(ExactError::TooLarge));
    }

    #[test]
    fn a_mean_is_rounded_half_to_even_in_its_last_place() {
        assert_eq!(exact("10").over(4), Some(exact("2.5")));
        assert_eq!(exact("1").over(3), Some(exact("0.333333333333333333")));
        assert_eq!(exact("-2").over(3), Some(exact("-0.666666666666666667")));
        assert_eq!(exact("3e-18").over(2), Some(exact("2e-18")));
        assert_eq!(exact("1e-18").over(2), Some(Exact::ZERO));
        assert_eq!(exact("1").over(0), None);
    }

    proptest! {
        #[test]
        fn a_number_comes_back_from_text_json_and_bytes(number in -(10_i128.pow(38))..10_i128.pow(38)) {
            let number = Exact(number);
            prop_assert_eq!(serde_json::to_string(&number).unwrap(), number.to_string());
            if number.0.abs() < 100 * ONE * ONE {
                prop_assert_eq!(Exact::parse(&number.to_string()), Ok(number));
            }
            let bytes = postcard::to_stdvec(&number).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Exact>(&bytes).unwrap(), number);
        }

        #[test]
        fn any_text_is_a_number_or_refused(text in "\\PC{0,12}") {
            let _ = Exact::parse(&text);
        }
    }
}
