//! Stock as a table in memory.

use super::{Price, Shortage, ShortageReason, StockMove};
use crate::ids::Sku;
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::in_memory::Companion;
use std::collections::BTreeMap;

/// Stock as a table in memory: what the conditional writes of a store come to, for tests and the
/// simulation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StockTable {
    levels: BTreeMap<Sku, StockLevel>,
}

/// What is known about a SKU.
#[derive(Debug, Clone, PartialEq)]
pub struct StockLevel {
    /// Pieces that can be ordered; never below zero.
    pub available: i64,
    /// What a piece costs; any price is taken where none is set.
    pub price: Option<Price>,
    /// End of the SKU's own stream; its version says how often it was restocked.
    pub head: Head,
    /// In how many parts the pieces are kept; 1 unless the SKU is hot. In memory that is a number
    /// only.
    pub buckets: u16,
}

impl StockLevel {
    /// The level of a SKU that nobody stocked.
    pub const NONE: Self = Self {
        available: 0,
        price: None,
        head: Head::START,
        buckets: 1,
    };
}

impl StockTable {
    /// The level of a SKU; `None` for one that nobody stocked.
    #[must_use]
    pub fn level(&self, sku: &Sku) -> Option<&StockLevel> {
        self.levels.get(sku)
    }

    /// Splits the stock of a SKU into so many buckets; whether there is such a SKU.
    pub fn split(&mut self, sku: &Sku, buckets: u16) -> bool {
        let level = self.levels.get_mut(sku);
        level.map(|level| level.buckets = buckets).is_some()
    }

    /// Makes all moves or none.
    ///
    /// # Errors
    /// Every move whose condition does not hold.
    pub fn apply(&mut self, moves: &[StockMove]) -> Result<(), Vec<Shortage>> {
        let short: Vec<_> = moves
            .iter()
            .filter_map(|stock_move| {
                self.shortage(stock_move).map(|reason| Shortage {
                    sku: stock_move.sku().clone(),
                    reason,
                })
            })
            .collect();
        if !short.is_empty() {
            return Err(short);
        }
        for stock_move in moves {
            let level = self
                .levels
                .entry(stock_move.sku().clone())
                .or_insert(StockLevel::NONE);
            match stock_move {
                StockMove::Reserve { quantity, .. } => level.available -= i64::from(*quantity),
                StockMove::Release { quantity, .. } => level.available += i64::from(*quantity),
                StockMove::Restock {
                    quantity, price, ..
                } => {
                    level.available += quantity;
                    level.head.version += 1;
                    level.price = price.or(level.price);
                }
            }
        }
        Ok(())
    }

    fn shortage(&self, stock_move: &StockMove) -> Option<ShortageReason> {
        let level = self.levels.get(stock_move.sku());
        match (stock_move, level) {
            (StockMove::Reserve { .. } | StockMove::Release { .. }, None) => {
                Some(ShortageReason::UnknownSku)
            }
            (
                StockMove::Reserve {
                    quantity,
                    unit_price,
                    currency,
                    ..
                },
                Some(level),
            ) => {
                if level.available < i64::from(*quantity) {
                    return Some(ShortageReason::OutOfStock);
                }
                let ordered_at = unit_price.map(|unit_price| Price {
                    unit_price,
                    currency: *currency,
                });
                (level.price.is_some() && level.price != ordered_at)
                    .then_some(ShortageReason::PriceChanged)
            }
            (StockMove::Release { .. }, Some(_)) => None,
            (StockMove::Restock { quantity, .. }, level) => {
                let available = level.map_or(0, |level| level.available);
                (available + quantity < 0).then_some(ShortageReason::OutOfStock)
            }
        }
    }
}

impl Companion<StockMove> for StockTable {
    type Refusal = Shortage;

    fn apply(&mut self, moves: &[StockMove], events: &[Envelope]) -> Result<(), Vec<Shortage>> {
        Self::apply(self, moves)?;
        for stock_move in moves {
            if let StockMove::Restock { sku, .. } = stock_move
                && let Some(level) = self.levels.get_mut(sku)
            {
                level.head = Head::after(events.last());
            }
        }
        Ok(())
    }
}
