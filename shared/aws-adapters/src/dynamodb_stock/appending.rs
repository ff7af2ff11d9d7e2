//! Moving stock in the transaction that stores the events.

use super::splitting::SplitError;
use super::{MovedStock, Stored, item, writes};
use crate::dynamodb_event_store::{
    DynamoDbEventStore, MAX_TRANSACTION_ACTIONS, event_conflict, malformed, unavailable,
};
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use domain::ids::Sku;
use domain::inventory::buckets::{Evasion, Part};
use domain::inventory::{Shortage, ShortageReason, StockMove};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::store::{AppendError, AppendWith, EventStore as _};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// So often an append turns to other buckets at once. After that its caller waits, as it does
/// where there is no other bucket.
const PLACEMENTS: usize = 6;

/// What is written to one bucket, and the move that it is a part of.
struct Placed {
    of: usize,
    part: Part,
}

/// Where all moves go.
enum Placement {
    /// These writes make them.
    Writes(Vec<Placed>, Vec<TransactWriteItem>),
    /// It must be looked first where these moves can go.
    Unknown(BTreeMap<usize, Trouble>),
}

/// Why a move could not be made, as far as one transaction tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// Another transaction was at the same item, or its partition had too much to do.
    Busy,
    /// This bucket does not have the pieces, or is not one any more: others may.
    Elsewhere,
    /// The move cannot be made.
    Short(ShortageReason),
}

/// What to do about a trouble.
enum Next {
    AtOnce,
    Later,
    Refused(ShortageReason),
}

impl AppendWith<StockMove> for DynamoDbEventStore {
    type Refusal = Shortage;

    async fn append_with(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[StockMove],
    ) -> Result<Vec<Envelope>, AppendError<Shortage>> {
        if moves.is_empty() {
            return self
                .append(stream, head, events)
                .await
                .map_err(AppendError::widen);
        }
        let Some(stock) = self.stock() else {
            return Err(AppendError::Malformed(
                "this store was built without a stock table".into(),
            ));
        };
        let (events, items) = Self::prepare(stream, head, events)?;
        let mut prepared = Some(items);
        let after = Head::after(events.last());
        let mut failed = AppendError::Unavailable("the stock is moving".into());
        for _ in 0..PLACEMENTS {
            let troubles = match stock.place(moves, &after)? {
                Placement::Unknown(troubles) => troubles,
                Placement::Writes(placed, updates)
                    if events.len() + updates.len() > MAX_TRANSACTION_ACTIONS =>
                {
                    stock.merge_widest(moves, &placed).await;
                    continue;
                }
                Placement::Writes(placed, updates) => {
                    let items = match prepared.take() {
                        Some(items) => items,
                        None => Self::items(&events)?,
                    };
                    let Err(reasons) = self.transact(items, updates).await? else {
                        stock.moved(moves, &placed);
                        return Ok(events);
                    };
                    let expected = head.version;
                    if let Some(refused) = event_conflict(stream, expected, &reasons, events.len())
                        .or_else(|| malformed(&reasons))
                    {
                        return Err(refused);
                    }
                    failed = unavailable(&reasons);
                    troubles(moves, &placed, reasons.iter().skip(events.len()))
                }
            };
            let (short, again) = stock.settle(moves, &troubles).await;
            if !short.is_empty() {
                return Err(AppendError::Refused(short));
            }
            if !again {
                break;
            }
        }
        Err(failed)
    }
}

impl MovedStock {
    /// The writes of all moves, by what is known; or the moves for which it must be looked first.
    fn place(&self, moves: &[StockMove], head: &Head) -> Result<Placement, AppendError<Shortage>> {
        let mut known = self.known();
        let mut placed = Vec::with_capacity(moves.len());
        let (mut updates, mut unknown) = (Vec::with_capacity(moves.len()), BTreeMap::new());
        for (of, stock_move) in moves.iter().enumerate() {
            let sku = stock_move.sku();
            let parts = match stock_move {
                StockMove::Reserve { quantity, .. } => {
                    known.take(sku, i64::from(*quantity), &mut random)
                }
                StockMove::Release { quantity, .. } => {
                    Some(vec![known.give_back(sku, i64::from(*quantity))])
                }
                StockMove::Restock {
                    quantity, price, ..
                } => known.restock(sku, *quantity, &mut random).map(|mut parts| {
                    // The end of the SKU's stream is in bucket 0, the price in all.
                    parts.retain(|part| price.is_some() || part.bucket == 0 || part.pieces != 0);
                    parts
                }),
            };
            let Some(parts) = parts else {
                unknown.insert(of, Trouble::Elsewhere);
                continue;
            };
            let layout = known.layout(sku);
            for part in parts {
                let update = writes::update(&self.stock.table, stock_move, part, layout, head)
                    .map_err(|error| AppendError::Malformed(error.to_string()))?;
                placed.push(Placed { of, part });
                updates.push(update);
            }
        }
        Ok(if unknown.is_empty() {
            Placement::Writes(placed, updates)
        } else {
            Placement::Unknown(unknown)
        })
    }

    fn moved(&self, moves: &[StockMove], placed: &[Placed]) {
        let mut known = self.known();
        for placed in placed {
            known.moved(moves[placed.of].sku(), placed.part);
        }
    }

    /// Merges the SKU whose move has the most parts, so that a transaction can have them all.
    async fn merge_widest(&self, moves: &[StockMove], placed: &[Placed]) {
        let parts = |of: usize| placed.iter().filter(|placed| placed.of == of).count();
        let Some(widest) = (0..moves.len()).max_by_key(|of| parts(*of)) else {
            return;
        };
        let sku = moves[widest].sku();
        if let Ok(Some(stored)) = self.stock.stored(sku).await {
            self.resplit(sku, &stored, 1).await;
        }
    }

    /// What falls short for good, and else whether it can be tried again without waiting.
    async fn settle(
        &self,
        moves: &[StockMove],
        troubles: &BTreeMap<usize, Trouble>,
    ) -> (Vec<Shortage>, bool) {
        let mut short = Vec::new();
        let mut again = !troubles.is_empty();
        for (of, trouble) in troubles {
            let stock_move = &moves[*of];
            let next = match trouble {
                Trouble::Short(reason) => Next::Refused(*reason),
                Trouble::Busy => self.evade(stock_move).await,
                Trouble::Elsewhere => self.look(stock_move).await,
            };
            match next {
                Next::AtOnce => {}
                Next::Later => again = false,
                Next::Refused(reason) => short.push(Shortage {
                    sku: stock_move.sku().clone(),
                    reason,
                }),
            }
        }
        (short, again)
    }

    /// Turns to another bucket. Where there is none, it is read whether anything is left at all,
    /// which spares those who come too late the queue for a transaction that would only be refused.
    async fn evade(&self, stock_move: &StockMove) -> Next {
        let sku = stock_move.sku();
        let now = Timestamp::now();
        let evasion = self.known().in_conflict(sku, now, &mut random);
        match evasion {
            Evasion::AtOnce => return Next::AtOnce,
            Evasion::Wait => return Next::Later,
            Evasion::Look => {}
        }
        match self.look(stock_move).await {
            // Else it was split by somebody else, or is now.
            Next::AtOnce if !self.known().is_split(sku) => Next::Later,
            next => next,
        }
    }

    /// Reads what is there, and splits or merges what should be.
    async fn look(&self, stock_move: &StockMove) -> Next {
        let sku = stock_move.sku();
        let stored = match self.stock.stored(sku).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Next::Refused(ShortageReason::UnknownSku),
            // What cannot be read is left to the next attempt.
            Err(_) => return Next::Later,
        };
        let count = self
            .known()
            .looked(sku, stored.buckets.clone(), Timestamp::now(), &mut random);
        if let Some(count) = count {
            self.resplit(sku, &stored, count).await;
        }
        if stored.buckets.total() < needed(stock_move) {
            return Next::Refused(ShortageReason::OutOfStock);
        }
        Next::AtOnce
    }

    async fn resplit(&self, sku: &Sku, stored: &Stored, count: u16) {
        let buckets = match self.stock.resplit(sku, stored, count).await {
            Ok(buckets) => Some(buckets),
            // Somebody else was faster, or is at it.
            Err(SplitError::Moved(_)) => {
                let stored = self.stock.stored(sku).await.ok().flatten();
                stored.map(|stored| stored.buckets)
            }
            Err(error) => {
                tracing::warn!(sku = %sku, %error, "stock not split");
                None
            }
        };
        if let Some(buckets) = buckets {
            self.known()
                .learn(sku, buckets, Timestamp::now(), &mut random);
        }
    }
}

/// One of so many.
fn random(count: usize) -> usize {
    fastrand::usize(..count.max(1))
}

/// The worst trouble of each move that has one, in the order of the moves.
fn troubles<'r>(
    moves: &[StockMove],
    placed: &[Placed],
    reasons: impl Iterator<Item = &'r CancellationReason>,
) -> BTreeMap<usize, Trouble> {
    let mut troubles: Vec<_> = placed
        .iter()
        .zip(reasons)
        .filter_map(|(placed, reason)| {
            let stock_move = &moves[placed.of];
            let trouble = match reason.code() {
                Some("ConditionalCheckFailed") => unmet(stock_move, placed.part, reason.item()),
                Some(
                    "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded",
                ) => Trouble::Busy,
                _ => return None,
            };
            Some((placed.of, trouble))
        })
        .collect();
    // Of one move the worst comes last, and stays.
    troubles.sort_unstable();
    troubles.into_iter().collect()
}

/// What a condition that failed says, with the item that was there.
fn unmet(stock_move: &StockMove, part: Part, stored: Option<&Item>) -> Trouble {
    let Some(stored) = stored.filter(|item| !item.is_empty()) else {
        return match part.bucket {
            0 => Trouble::Short(ShortageReason::UnknownSku),
            _ => Trouble::Elsewhere,
        };
    };
    let whole = part.bucket == 0 && !item::is_split(stored);
    let enough = item::available(stored).unwrap_or(0) >= part.pieces.saturating_neg();
    match stock_move {
        StockMove::Reserve { .. } if enough => Trouble::Short(ShortageReason::PriceChanged),
        StockMove::Reserve { .. } if whole => Trouble::Short(ShortageReason::OutOfStock),
        // A restock has a condition on the layout, too, so only reading it all tells.
        StockMove::Reserve { .. } | StockMove::Release { .. } | StockMove::Restock { .. } => {
            Trouble::Elsewhere
        }
    }
}

/// So many must be available.
fn needed(stock_move: &StockMove) -> i64 {
    match stock_move {
        StockMove::Reserve { quantity, .. } => i64::from(*quantity),
        StockMove::Release { .. } => 0,
        StockMove::Restock { quantity, .. } => quantity.saturating_neg(),
    }
}
