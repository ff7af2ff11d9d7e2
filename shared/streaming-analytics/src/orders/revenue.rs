//! Money per currency.

use crate::exact::Exact;
use domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Exact sums per currency; in JSON an object, `{"EUR": 12.5}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revenue(BTreeMap<Code, Exact>);

/// A currency in the order of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Code(Currency);

impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.code().cmp(other.0.code())
    }
}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Revenue {
    /// Adds an amount.
    pub fn add(&mut self, currency: Currency, amount: Exact) {
        let sum = self.0.entry(Code(currency)).or_default();
        *sum = sum.plus(amount);
    }

    /// Adds all sums of another one.
    pub fn merge(&mut self, other: &Self) {
        for (currency, amount) in other.iter() {
            self.add(currency, amount);
        }
    }

    /// The sum in one currency; zero where nothing was paid in it.
    #[must_use]
    pub fn of(&self, currency: Currency) -> Exact {
        self.0.get(&Code(currency)).copied().unwrap_or_default()
    }

    /// All sums, by code.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Exact)> {
        self.0.iter().map(|(code, sum)| (code.0, *sum))
    }

    pub(crate) fn weight(&self) -> usize {
        2 + 25 * self.0.len()
    }
}
