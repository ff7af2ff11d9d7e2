//! Money: exact decimals in a currency. No binary float ever touches an amount.

use iso_currency::Currency as Iso;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Largest amount that is accepted, in whole units of a currency. With at most 100 lines of at
/// most 100,000 pieces a total of maximal prices still has all its digits in a [`Decimal`].
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// Why a number is not an amount of money, or why two amounts don't combine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Amounts are zero or more.
    #[error("must not be negative")]
    Negative,
    /// Above [`MAX_AMOUNT`].
    #[error("must be at most {MAX_AMOUNT}")]
    TooLarge,
    /// Not a decimal number with at most 28 digits.
    #[error("must be a decimal number with at most 28 digits")]
    NotDecimal,
    /// The currency has fewer decimal places, for example none for JPY.
    #[error("must have at most {allowed} decimal places in {currency}")]
    TooPrecise {
        /// Decimal places of the currency.
        allowed: u32,
        /// The currency.
        currency: Currency,
    },
    /// Not a whole number of the units that it is asked for in.
    #[error("must have at most {places} decimal places")]
    NotWhole {
        /// Decimal places of the unit.
        places: u32,
    },
    /// The code is not in ISO 4217.
    #[error("must be an ISO 4217 currency code such as USD, is not one")]
    UnknownCurrency,
}

/// An exact, non-negative amount; its currency stands beside it.
///
/// Outside, it is a JSON number (`150.75`); trailing zeros carry no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(Decimal);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Reads an amount from the text of a JSON number.
    ///
    /// # Errors
    /// [`MoneyError`], when it is not a decimal number, negative, or too large.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let number = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            Decimal::from_str_exact(text)
        }
        .map_err(|_| MoneyError::NotDecimal)?;
        Self::new(number)
    }

    fn new(number: Decimal) -> Result<Self, MoneyError> {
        if number.is_sign_negative() && !number.is_zero() {
            return Err(MoneyError::Negative);
        }
        if number > Decimal::from(MAX_AMOUNT) {
            return Err(MoneyError::TooLarge);
        }
        let mut number = number.normalize();
        number.set_sign_positive(true);
        Ok(Self(number))
    }

    /// This amount taken `quantity` times.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, quantity: u32) -> Result<Self, MoneyError> {
        self.0
            .checked_mul(Decimal::from(quantity))
            .ok_or(MoneyError::TooLarge)
            .and_then(Self::new)
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0
            .checked_add(other.0)
            .ok_or(MoneyError::TooLarge)
            .and_then(Self::new)
    }

    /// Whether there is nothing to pay.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// How many digits stand behind the point.
    #[must_use]
    pub fn decimal_places(self) -> u32 {
        self.0.scale()
    }

    /// Checks that the amount can be paid in `currency`.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`].
    pub fn payable_in(self, currency: Currency) -> Result<Self, MoneyError> {
        let allowed = currency.decimal_places();
        if self.0.scale() > allowed {
            return Err(MoneyError::TooPrecise { allowed, currency });
        }
        Ok(self)
    }

    /// The amount in units of which 10^`places` make one unit of the currency.
    ///
    /// # Errors
    /// [`MoneyError::NotWhole`], when it is not a whole number of them;
    /// [`MoneyError::TooLarge`], when it does not fit.
    pub fn in_units_of(self, places: u32) -> Result<u64, MoneyError> {
        if self.0.scale() > places {
            return Err(MoneyError::NotWhole { places });
        }
        10_u64
            .checked_pow(places)
            .and_then(|factor| self.0.checked_mul(Decimal::from(factor)))
            .and_then(|units| u64::try_from(units).ok())
            .ok_or(MoneyError::TooLarge)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Number::from_str(&self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::parse(number.as_str()).map_err(serde::de::Error::custom)
    }
}

/// A currency of ISO 4217. Plain events name none; then it is USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(Iso);

impl Currency {
    /// The currency of events that name none.
    pub const USD: Self = Self(Iso::USD);

    /// Reads a three-letter code in capitals.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`].
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        Iso::from_code(code)
            .map(Self)
            .ok_or(MoneyError::UnknownCurrency)
    }

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits stand behind the point in this currency: 2 for USD, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn decimal_places(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn an_amount_keeps_its_digits_and_drops_trailing_zeros() {
        assert_eq!(amount("150.75").to_string(), "150.75");
        assert_eq!(amount("150.50").to_string(), "150.5");
        assert_eq!(amount("1.5e2").to_string(), "150");
        assert_eq!(amount("-0").to_string(), "0");
        assert_eq!(
            amount("0.1").plus(amount("0.2")).unwrap(),
            amount("0.3"),
            "no binary float is near"
        );
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        assert_eq!(Amount::parse("-0.01"), Err(MoneyError::Negative));
        assert_eq!(Amount::parse("1e400"), Err(MoneyError::NotDecimal));
        assert_eq!(Amount::parse("1e16"), Err(MoneyError::TooLarge));
        assert_eq!(
            Amount::parse("0.12345678901234567890123456789"),
            Err(MoneyError::NotDecimal)
        );
        assert!(serde_json::from_str::<Amount>("\"1.5\"").is_err());
        assert!(serde_json::from_str::<Amount>("true").is_err());
    }

    #[test]
    fn an_amount_is_told_in_smaller_units_only_as_a_whole_number_of_them() {
        assert_eq!(amount("150.75").in_units_of(2), Ok(15_075));
        assert_eq!(amount("150").in_units_of(0), Ok(150));
        assert_eq!(
            amount("1.5").in_units_of(0),
            Err(MoneyError::NotWhole { places: 0 })
        );
        assert_eq!(amount("1").in_units_of(30), Err(MoneyError::TooLarge));
    }

    #[test]
    fn what_can_be_paid_follows_the_currency() {
        let jpy = Currency::parse("JPY").unwrap();
        let kwd = Currency::parse("KWD").unwrap();
        assert!(amount("150.75").payable_in(Currency::USD).is_ok());
        assert!(amount("1.234").payable_in(kwd).is_ok());
        assert_eq!(
            amount("1.5").payable_in(jpy),
            Err(MoneyError::TooPrecise {
                allowed: 0,
                currency: jpy
            })
        );
    }

    #[test]
    fn a_currency_that_nobody_issues_is_refused() {
        for code in ["usd", "XYZQ", "ABC", ""] {
            assert_eq!(Currency::parse(code), Err(MoneyError::UnknownCurrency));
        }
    }
}
