//! A flash sale in virtual time: many workers, one SKU, its stock in more or fewer buckets.
//!
//! An emulator makes one write after the other, so it cannot tell what buckets are good for. This
//! models what `DynamoDB` does to those who want the same item: a transaction holds its items from
//! the check of its conditions until it is committed and refuses who comes in between, and a
//! partition takes 1,000 write units a second. What the workers do about it is the product's own
//! code ([`KnownStock`], [`FullJitter`]).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use backon::BackoffBuilder as _;
use domain::ids::Sku;
use domain::inventory::buckets::{Buckets, Evasion, KnownStock, MAX_BUCKETS, Part};
use event_sourcing::retry::FullJitter;
use jiff::Timestamp;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

/// Write units a second of a partition
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>).
const PARTITION_UNITS: f64 = 1_000.0;
/// Partitions of the table. Heat spreads items over them; this many are few.
const PARTITIONS: u16 = 64;
/// A write within a transaction costs two units.
const UNITS: f64 = 2.0;

/// From a worker to the items, and back.
const WAY: Duration = Duration::from_millis(1);
/// A transaction holds its items for so long, more or less.
const HOLD: Duration = Duration::from_millis(8);
/// A read of all buckets, with both ways.
const READ: Duration = Duration::from_millis(4);
/// Who gave up is called again by the platform after this
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>).
const PLATFORM: Duration = Duration::from_mins(1);
/// What a worker does besides the transaction for each order, more or less.
const BESIDES: Duration = Duration::from_millis(5);

/// How a sale is held.
#[derive(Debug, Clone, Copy)]
pub struct Sale {
    /// Workers that reserve at the same time.
    pub workers: usize,
    /// Pieces that there are; a tenth more are wanted, one at a time.
    pub pieces: u32,
    /// Buckets from the start.
    pub buckets: u16,
    /// Into how many a worker may split the SKU.
    pub split_up_to: u16,
    /// Decides everything.
    pub seed: u64,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Orders that got their piece.
    pub sold: u32,
    /// Orders that were told that there is none.
    pub refused: u32,
    /// Pieces that are left.
    pub left: i64,
    /// The lowest that any bucket ever was.
    pub lowest: i64,
    /// Transactions that were sent before the last piece was sold.
    pub attempts: u32,
    /// Of those, how many met another one.
    pub conflicts: u32,
    /// Of those, how many found their partition busy.
    pub throttled: u32,
    /// Buckets when the last piece was sold.
    pub buckets: u16,
    /// Until then.
    pub took: Duration,
}

impl Outcome {
    /// Transactions for each piece that was sold.
    #[must_use]
    pub fn attempts_per_success(&self) -> f64 {
        f64::from(self.attempts) / f64::from(self.sold.max(1))
    }

    /// Pieces sold a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.sold) / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The items of the SKU.
struct Table {
    buckets: RefCell<Buckets>,
    held: RefCell<Vec<bool>>,
    /// Units that each partition can take now, and since when.
    units: RefCell<Vec<(f64, Instant)>>,
    began: Instant,
    sold: Cell<u32>,
    pieces: u32,
    outcome: RefCell<Outcome>,
}

/// Why a transaction was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    Conflict,
    Throttled,
    Unmet,
}

impl Table {
    fn new(sale: Sale) -> Self {
        let whole = Buckets::whole(i64::from(sale.pieces));
        let buckets = if sale.buckets > 1 {
            whole.resplit(sale.buckets)
        } else {
            whole
        };
        let now = Instant::now();
        Self {
            held: RefCell::new(vec![false; usize::from(MAX_BUCKETS)]),
            units: RefCell::new(vec![(PARTITION_UNITS, now); usize::from(PARTITIONS)]),
            began: now,
            sold: Cell::new(0),
            pieces: sale.pieces,
            outcome: RefCell::new(Outcome {
                sold: 0,
                refused: 0,
                left: 0,
                lowest: i64::MAX,
                attempts: 0,
                conflicts: 0,
                throttled: 0,
                buckets: buckets.count(),
                took: Duration::ZERO,
            }),
            buckets: RefCell::new(buckets),
        }
    }

    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Takes units of a partition, if it has them.
    fn units(&self, bucket: u16) -> bool {
        let (units, since) = &mut self.units.borrow_mut()[usize::from(bucket % PARTITIONS)];
        let now = Instant::now();
        let more = now.duration_since(*since).as_secs_f64() * PARTITION_UNITS;
        (*units, *since) = ((*units + more).min(PARTITION_UNITS), now);
        let enough = *units >= UNITS;
        if enough {
            *units -= UNITS;
        }
        enough
    }

    fn check(&self, layout: Option<u64>, parts: &[Part]) -> Result<(), Cancelled> {
        let buckets = self.buckets.borrow();
        let held = self.held.borrow();
        for part in parts {
            let bucket = usize::from(part.bucket);
            if held.get(bucket).copied().unwrap_or(true) {
                return Err(Cancelled::Conflict);
            }
            if !self.units(part.bucket) {
                return Err(Cancelled::Throttled);
            }
            let there = buckets.available.get(bucket).copied().unwrap_or(0);
            if there < part.pieces.saturating_neg() {
                return Err(Cancelled::Unmet);
            }
        }
        match layout {
            Some(layout) if layout != buckets.layout => Err(Cancelled::Unmet),
            _ => Ok(()),
        }
    }

    /// One transaction, with what it does once it is committed.
    async fn transact(
        &self,
        layout: Option<u64>,
        parts: &[Part],
        commit: impl FnOnce(&mut Buckets),
    ) -> Result<(), Cancelled> {
        sleep(WAY).await;
        let checked = self.check(layout, parts);
        if checked.is_ok() {
            let hold = |held: bool| {
                for part in parts {
                    self.held.borrow_mut()[usize::from(part.bucket)] = held;
                }
            };
            hold(true);
            sleep(about(HOLD)).await;
            commit(&mut self.buckets.borrow_mut());
            hold(false);
        }
        let lowest = self.buckets.borrow().available.iter().min().copied();
        self.went_down_to(lowest.unwrap_or(0));
        sleep(WAY).await;
        checked
    }

    fn went_down_to(&self, lowest: i64) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.lowest = outcome.lowest.min(lowest);
    }

    /// Reserves a piece, as far as parts of it say where.
    async fn reserve(&self, parts: &[Part]) -> Result<(), Cancelled> {
        let counts = self.sold.get() < self.pieces;
        let reserved = self
            .transact(None, parts, |buckets| {
                for part in parts {
                    buckets.available[usize::from(part.bucket)] += part.pieces;
                }
                self.sold.set(self.sold.get() + 1);
                if self.sold.get() == self.pieces {
                    let mut outcome = self.outcome.borrow_mut();
                    outcome.took = self.began.elapsed();
                    outcome.buckets = buckets.count();
                }
            })
            .await;
        if counts {
            let mut outcome = self.outcome.borrow_mut();
            outcome.attempts += 1;
            outcome.conflicts += u32::from(reserved == Err(Cancelled::Conflict));
            outcome.throttled += u32::from(reserved == Err(Cancelled::Throttled));
        }
        reserved
    }
}

/// One process of update-inventory.
struct Worker {
    table: Rc<Table>,
    sku: Sku,
    known: KnownStock,
}

/// What an obstacle comes to.
enum Next {
    AtOnce,
    Later,
    Refused,
}

impl Worker {
    /// Handles one order; whether it got its piece.
    async fn order(&mut self) -> bool {
        sleep(about(BESIDES)).await;
        let mut waits = FullJitter::CALL.build();
        loop {
            let next = match self.known.take(&self.sku, 1, &mut random) {
                None => self.look().await,
                Some(parts) => match self.table.reserve(&parts).await {
                    Ok(()) => {
                        for part in parts {
                            self.known.moved(&self.sku, part);
                        }
                        return true;
                    }
                    Err(Cancelled::Unmet) => self.look().await,
                    Err(Cancelled::Conflict | Cancelled::Throttled) => self.evade().await,
                },
            };
            match next {
                Next::AtOnce => {}
                Next::Refused => return false,
                Next::Later => {
                    if let Some(wait) = waits.next() {
                        sleep(wait).await;
                    } else {
                        sleep(PLATFORM).await;
                        waits = FullJitter::CALL.build();
                    }
                }
            }
        }
    }

    async fn evade(&mut self) -> Next {
        let now = self.table.now();
        match self.known.in_conflict(&self.sku, now, &mut random) {
            Evasion::AtOnce => return Next::AtOnce,
            Evasion::Wait => return Next::Later,
            Evasion::Look => {}
        }
        match self.look().await {
            Next::AtOnce if !self.known.is_split(&self.sku) => Next::Later,
            next => next,
        }
    }

    async fn look(&mut self) -> Next {
        sleep(READ).await;
        let buckets = self.table.buckets.borrow().clone();
        let now = self.table.now();
        let count = self
            .known
            .looked(&self.sku, buckets.clone(), now, &mut random);
        if let Some(count) = count {
            self.resplit(&buckets, count).await;
        }
        if buckets.total() == 0 {
            Next::Refused
        } else {
            Next::AtOnce
        }
    }

    async fn resplit(&mut self, before: &Buckets, count: u16) {
        let after = before.resplit(count);
        let parts = before.differences(&after);
        let split = self
            .table
            .transact(Some(before.layout), &parts, |buckets| {
                buckets.available.resize(parts.len(), 0);
                for (pieces, part) in buckets.available.iter_mut().zip(&parts) {
                    *pieces += part.pieces;
                }
                buckets.available.truncate(usize::from(count));
                buckets.layout = after.layout;
            })
            .await;
        let buckets = if split.is_ok() {
            after
        } else {
            sleep(READ).await;
            self.table.buckets.borrow().clone()
        };
        let now = self.table.now();
        self.known.learn(&self.sku, buckets, now, &mut random);
    }
}

/// Half of it to one and a half.
fn about(time: Duration) -> Duration {
    time.mul_f64(0.5 + fastrand::f64())
}

fn random(count: usize) -> usize {
    fastrand::usize(..count.max(1))
}

/// Holds a sale.
///
/// # Errors
/// When no runtime can be had, or a constant is no SKU.
pub fn hold(sale: Sale) -> Result<Outcome, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let sku = Sku::parse("hot")?;
    fastrand::seed(sale.seed);
    runtime.block_on(async {
        let table = Rc::new(Table::new(sale));
        let wanted = Rc::new(Cell::new(sale.pieces + sale.pieces / 10));
        let refused = Rc::new(Cell::new(0));
        let workers = LocalSet::new();
        for _ in 0..sale.workers {
            let mut worker = Worker {
                table: Rc::clone(&table),
                sku: sku.clone(),
                known: KnownStock::new(sale.split_up_to),
            };
            let (wanted, refused) = (Rc::clone(&wanted), Rc::clone(&refused));
            workers.spawn_local(async move {
                // They do not begin as one.
                sleep(BESIDES.mul_f64(fastrand::f64())).await;
                while let Some(left) = wanted.get().checked_sub(1) {
                    wanted.set(left);
                    if !worker.order().await {
                        refused.set(refused.get() + 1);
                    }
                }
            });
        }
        workers.await;
        let mut outcome = table.outcome.borrow().clone();
        (outcome.sold, outcome.refused) = (table.sold.get(), refused.get());
        outcome.left = table.buckets.borrow().total();
        Ok(outcome)
    })
}

/// Sales with more workers and more buckets, as a table.
#[derive(Debug)]
pub struct Sales(Vec<(Sale, Outcome)>);

impl Sales {
    /// Holds all of them.
    ///
    /// # Errors
    /// As [`hold`].
    pub fn hold(seed: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let mut sales = Vec::new();
        for workers in [8, 32, 128, 512] {
            for (buckets, split_up_to) in [(1, 1), (4, 1), (16, 1), (64, 1), (1, MAX_BUCKETS)] {
                let sale = Sale {
                    workers,
                    pieces: 10_000,
                    buckets,
                    split_up_to,
                    seed,
                };
                sales.push((sale, hold(sale)?));
            }
        }
        Ok(Self(sales))
    }

    /// Whether every piece was sold, and none twice.
    #[must_use]
    pub fn all_sold(&self) -> bool {
        self.0.iter().all(|(sale, outcome)| {
            outcome.sold == sale.pieces && outcome.left == 0 && outcome.lowest >= 0
        })
    }
}

impl fmt::Display for Sales {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "| workers | buckets | sold/s | attempts per piece | conflicts | throttled | sold, left |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|")?;
        for (sale, outcome) in &self.0 {
            let buckets = if sale.split_up_to > 1 {
                format!("by itself, {} at the end", outcome.buckets)
            } else {
                sale.buckets.to_string()
            };
            writeln!(
                out,
                "| {} | {buckets} | {:.0} | {:.2} | {} | {} | {}, {} |",
                sale.workers,
                outcome.per_second(),
                outcome.attempts_per_success(),
                outcome.conflicts,
                outcome.throttled,
                outcome.sold,
                outcome.left,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(workers: usize, buckets: u16, split_up_to: u16) -> Outcome {
        let pieces = 10_000;
        let outcome = hold(Sale {
            workers,
            pieces,
            buckets,
            split_up_to,
            seed: 1,
        })
        .unwrap();
        // Sold to the last piece, and no further.
        assert_eq!((outcome.sold, outcome.left), (pieces, 0));
        assert_eq!(outcome.refused, pieces / 10);
        assert!(outcome.lowest >= 0);
        outcome
    }

    #[test]
    fn with_32_workers_a_piece_of_a_hot_sku_takes_at_most_1_2_attempts() {
        let by_itself = sale(32, 1, MAX_BUCKETS);
        assert!(by_itself.attempts_per_success() <= 1.2, "{by_itself:?}");
        let set = sale(32, 64, 1);
        assert!(set.attempts_per_success() <= 1.2, "{set:?}");
        let whole = sale(32, 1, 1);
        assert!(whole.attempts_per_success() > 1.5, "{whole:?}");
    }

    #[test]
    fn more_buckets_sell_more_pieces_a_second_than_one_partition_takes() {
        let [one, four, sixty_four] = [1, 4, 64].map(|buckets| sale(128, buckets, 1).per_second());
        let itself = sale(128, 1, MAX_BUCKETS).per_second();
        // 1,000 units a second are 500 pieces.
        assert!(one < 500.0, "{one}");
        assert!(four > 2.0 * one, "{four} {one}");
        assert!(sixty_four > 2_000.0, "{sixty_four}");
        assert!(itself > 1_500.0, "{itself}");
    }
}
