//! What an event moves in stock. Every move happens in the transaction that stores the event.

pub mod buckets;
mod stock_table;

pub use stock_table::{StockLevel, StockTable};

use crate::ids::Sku;
use crate::money::{Amount, Currency};
use crate::order::{OrderEvent, OrderLine};
use event_sourcing::decider::Event;
use event_sourcing::upcaster::Upcaster;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why stock changed. Stored format: add a version and an upcaster, never rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StockReason {
    /// Taken for an order.
    Reserved,
    /// Given back by an order that will not be delivered.
    Released,
    /// Delivered by a supplier, or corrected after counting.
    Restocked,
}

/// By how much one SKU's available quantity changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockChange {
    /// Which SKU.
    pub sku: Sku,
    /// Pieces added to (positive) or taken from (negative) what is available.
    pub quantity: i64,
}

/// One conditional write on the stock of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockMove {
    /// Takes pieces: refused when fewer are available, or when the SKU sells at another price.
    Reserve {
        /// Which SKU.
        sku: Sku,
        /// Pieces, at least 1.
        quantity: u32,
        /// What the order would pay for a piece; `None` where its lines say different prices, and
        /// then only a SKU without a price can be had.
        unit_price: Option<Amount>,
        /// In which currency.
        currency: Currency,
    },
    /// Gives pieces back.
    Release {
        /// Which SKU.
        sku: Sku,
        /// Pieces, at least 1.
        quantity: u32,
    },
    /// Changes what is there, and the price where one is given: refused when that would leave
    /// less than nothing.
    Restock {
        /// Which SKU.
        sku: Sku,
        /// Pieces added (positive) or removed (negative).
        quantity: i64,
        /// What a piece costs from now on.
        price: Option<Price>,
    },
}

impl StockMove {
    /// Which SKU moves.
    #[must_use]
    pub fn sku(&self) -> &Sku {
        match self {
            Self::Reserve { sku, .. } | Self::Release { sku, .. } | Self::Restock { sku, .. } => {
                sku
            }
        }
    }
}

/// What a piece costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// The amount.
    pub unit_price: Amount,
    /// Its currency.
    pub currency: Currency,
}

/// Data of `InventoryUpdated` on a SKU's own stream.
// Stored format: add a version and an upcaster, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Restocked {
    /// Always restocked.
    pub reason: StockReason,
    /// The one change.
    pub changes: Vec<StockChange>,
    /// The new price, where one was given.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl Event for Restocked {
    fn event_type(&self) -> &'static str {
        Self::EVENT_TYPE
    }

    fn to_data(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn from_data(
        event_type: &str,
        data: &serde_json::Value,
    ) -> Result<Option<Self>, serde_json::Error> {
        (event_type == Self::EVENT_TYPE)
            .then(|| Self::deserialize(data))
            .transpose()
    }

    // One type, whichever stream it is on, has one version.
    fn upcasters() -> &'static [Upcaster] {
        OrderEvent::upcasters()
    }
}

impl Restocked {
    /// The `eventType` of the envelope.
    pub const EVENT_TYPE: &'static str = "InventoryUpdated";
}

/// What a shop wants of a SKU's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestockCommand {
    /// Add pieces that were delivered.
    Add(u32),
    /// Correct the available quantity after counting.
    Set(u32),
}

/// Most pieces that can be added or set at once.
pub const MAX_RESTOCK: u32 = 1_000_000_000;

/// Decides a restock of a SKU of which `available` pieces are there: the event, and the move that
/// belongs to it; `None` when nothing would change.
///
/// `Set` becomes a difference, so that a reservation made meanwhile is not undone.
#[must_use]
pub fn restock(
    sku: &Sku,
    command: RestockCommand,
    price: Option<Price>,
    available: i64,
) -> Option<(Restocked, StockMove)> {
    let quantity = match command {
        RestockCommand::Add(pieces) => i64::from(pieces),
        RestockCommand::Set(pieces) => i64::from(pieces) - available,
    };
    if quantity == 0 && price.is_none() {
        return None;
    }
    let event = Restocked {
        reason: StockReason::Restocked,
        changes: vec![StockChange {
            sku: sku.clone(),
            quantity,
        }],
        price,
    };
    let stock_move = StockMove::Restock {
        sku: sku.clone(),
        quantity,
        price,
    };
    Some((event, stock_move))
}

/// Why a SKU could not be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShortageReason {
    /// Fewer pieces are available than were ordered.
    OutOfStock,
    /// Nobody ever stocked this SKU.
    UnknownSku,
    /// It sells at another price than the order says.
    PriceChanged,
}

/// A SKU that fell short, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shortage {
    /// Which SKU.
    pub sku: Sku,
    /// Why.
    pub reason: ShortageReason,
}

/// The moves that reserve an order's lines: one per SKU, in SKU order, whatever the lines were.
///
/// Lines of one SKU are reserved together; where their prices differ, none of them is the price.
#[must_use]
pub fn reserve(lines: &[OrderLine], currency: Currency) -> Vec<StockMove> {
    by_sku(lines)
        .into_iter()
        .map(|(sku, (quantity, unit_price))| StockMove::Reserve {
            sku: sku.clone(),
            quantity,
            unit_price,
            currency,
        })
        .collect()
}

/// The moves that give back what `changes` took.
#[must_use]
pub fn release(changes: &[StockChange]) -> Vec<StockMove> {
    changes
        .iter()
        .filter_map(|change| {
            u32::try_from(change.quantity)
                .ok()
                .filter(|quantity| *quantity > 0)
                .map(|quantity| StockMove::Release {
                    sku: change.sku.clone(),
                    quantity,
                })
        })
        .collect()
}

/// What reserving an order's lines changes: the negated quantity of every SKU.
#[must_use]
pub fn reserved_changes(lines: &[OrderLine]) -> Vec<StockChange> {
    by_sku(lines)
        .into_iter()
        .map(|(sku, (quantity, _))| StockChange {
            sku: sku.clone(),
            quantity: -i64::from(quantity),
        })
        .collect()
}

/// What giving back `reserved` changes.
#[must_use]
pub fn negated(reserved: &[StockChange]) -> Vec<StockChange> {
    reserved
        .iter()
        .map(|change| StockChange {
            sku: change.sku.clone(),
            quantity: change.quantity.saturating_neg(),
        })
        .collect()
}

/// Quantity, and the price if there is one, by SKU.
fn by_sku(lines: &[OrderLine]) -> BTreeMap<&Sku, (u32, Option<Amount>)> {
    let mut by_sku = BTreeMap::new();
    for line in lines {
        let (quantity, price) = by_sku
            .entry(&line.sku)
            .or_insert((0_u32, Some(line.unit_price)));
        *quantity = quantity.saturating_add(line.quantity);
        *price = price.filter(|price| *price == line.unit_price);
    }
    by_sku
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, quantity: u32) -> OrderLine {
        OrderLine {
            sku: Sku::parse(sku).unwrap(),
            quantity,
            unit_price: Amount::parse("1.5").unwrap(),
        }
    }

    #[test]
    fn lines_of_one_sku_become_one_move() {
        let moves = reserve(&[line("b", 1), line("a", 2), line("b", 3)], Currency::USD);
        let quantities: Vec<_> = moves
            .iter()
            .map(|stock_move| match stock_move {
                StockMove::Reserve { sku, quantity, .. } => (sku.as_str(), *quantity),
                other => unreachable!("a reservation takes, not {other:?}"),
            })
            .collect();
        assert_eq!(quantities, [("a", 2), ("b", 4)]);
    }

    #[test]
    fn lines_at_different_prices_are_had_only_where_no_price_is_set() {
        let tea = || Sku::parse("tea").unwrap();
        let mut lines = [line("tea", 1), line("tea", 1)];
        let taken = |lines: &[OrderLine], price: Option<&str>| {
            let mut table = StockTable::default();
            let price = price.map(|price| Price {
                unit_price: Amount::parse(price).unwrap(),
                currency: Currency::USD,
            });
            let quantity = 5;
            let restock = StockMove::Restock {
                sku: tea(),
                quantity,
                price,
            };
            table.apply(&[restock]).unwrap();
            table.apply(&reserve(lines, Currency::USD))
        };
        assert_eq!(taken(&lines, Some("1.5")), Ok(()));
        lines[1].unit_price = Amount::parse("1").unwrap();
        assert_eq!(taken(&lines, None), Ok(()));
        let changed = Shortage {
            sku: tea(),
            reason: ShortageReason::PriceChanged,
        };
        assert_eq!(taken(&lines, Some("1.5")), Err(vec![changed]));
    }

    #[test]
    fn setting_the_stock_becomes_a_difference() {
        let sku = Sku::parse("tea").unwrap();
        let quantity = |command, available| {
            restock(&sku, command, None, available).map(|(event, _)| event.changes[0].quantity)
        };
        assert_eq!(quantity(RestockCommand::Set(10), 4), Some(6));
        assert_eq!(quantity(RestockCommand::Set(1), 4), Some(-3));
        assert_eq!(quantity(RestockCommand::Set(4), 4), None);
        assert_eq!(quantity(RestockCommand::Add(4), 4), Some(4));
    }

    #[test]
    fn a_release_gives_back_exactly_what_was_reserved() {
        let reserved = reserved_changes(&[line("a", 2), line("b", 3)]);
        assert_eq!(
            release(&negated(&reserved)),
            [
                StockMove::Release {
                    sku: Sku::parse("a").unwrap(),
                    quantity: 2
                },
                StockMove::Release {
                    sku: Sku::parse("b").unwrap(),
                    quantity: 3
                },
            ]
        );
    }
}
