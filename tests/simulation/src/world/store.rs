//! The event store with the stock: conditional writes, all or nothing, and a stream of what was
//! stored that feeds the relay and the projection.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_adapters::dynamodb_stock::SplitError;
use domain::ids::Sku;
use domain::inventory::{Shortage, StockLevel, StockMove, StockTable};
use event_sourcing::chain::{self, Head};
use event_sourcing::envelope::Envelope;
use event_sourcing::in_memory::Companion;
use event_sourcing::store::{AppendError, AppendWith, EventStore, ReadError, Source};
use restock_inventory::stock_levels::StockLevels;

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// Largest event, in bytes: `DynamoDB`'s limit of an item.
const MAX_EVENT_BYTES: usize = 400 * 1024;

/// The stock, and how low it ever was.
#[derive(Debug, Default)]
pub struct Stock {
    table: StockTable,
    /// What was taken without being there.
    debts: BTreeMap<Sku, i64>,
    lowest: BTreeMap<Sku, i64>,
}

impl Stock {
    /// Pieces available of a SKU.
    #[must_use]
    pub fn available(&self, sku: &Sku) -> i64 {
        let there = self.table.level(sku).map_or(0, |level| level.available);
        there - self.debts.get(sku).copied().unwrap_or(0)
    }

    /// The lowest that each SKU ever was.
    #[must_use]
    pub fn lowest(&self) -> &BTreeMap<Sku, i64> {
        &self.lowest
    }

    fn apply(
        &mut self,
        moves: &[StockMove],
        events: &[Envelope],
        has: impl Fn(Mutant) -> bool,
    ) -> Result<(), AppendError<Shortage>> {
        let moves: Vec<_> = moves
            .iter()
            .filter(|one| {
                !(has(Mutant::ReleaseNotMoved) && matches!(one, StockMove::Release { .. }))
            })
            .cloned()
            .collect();
        if has(Mutant::StockUnconditional) {
            self.lend(&moves);
        }
        let applied = Companion::apply(&mut self.table, &moves, events);
        if applied.is_err() && has(Mutant::StockPartlyTaken) {
            for one in &moves {
                // The refusal of one is no hindrance for another.
                let _ = Companion::apply(&mut self.table, std::slice::from_ref(one), events);
            }
        }
        for one in &moves {
            let available = self.available(one.sku());
            let lowest = self.lowest.entry(one.sku().clone()).or_insert(available);
            *lowest = available.min(*lowest);
        }
        applied.map_err(AppendError::Refused)
    }

    /// Makes that nothing falls short.
    fn lend(&mut self, moves: &[StockMove]) {
        for one in moves {
            let StockMove::Reserve { sku, quantity, .. } = one else {
                continue;
            };
            let there = self.table.level(sku).map_or(0, |level| level.available);
            let missing = i64::from(*quantity) - there;
            let loan = StockMove::Restock {
                sku: sku.clone(),
                quantity: missing,
                price: None,
            };
            if missing > 0 && self.table.level(sku).is_some() && self.table.apply(&[loan]).is_ok() {
                *self.debts.entry(sku.clone()).or_default() += missing;
            }
        }
    }
}

/// What is stored.
#[derive(Debug, Default)]
pub struct Kept {
    streams: BTreeMap<String, Vec<Envelope>>,
    /// The stock.
    pub stock: Stock,
    /// Stored events that were written over.
    pub rewrites: u64,
}

impl Kept {
    /// All events by stream.
    #[must_use]
    pub fn streams(&self) -> &BTreeMap<String, Vec<Envelope>> {
        &self.streams
    }

    /// Stores events, which have their positions, and makes the moves with them, or neither.
    fn write(
        &mut self,
        stream: &str,
        head: &Head,
        events: &[Envelope],
        moves: &[StockMove],
        has: impl Fn(Mutant) -> bool,
    ) -> Result<(), AppendError<Shortage>> {
        let at = usize::try_from(head.version).unwrap_or(usize::MAX);
        if has(Mutant::StockOutsideTransaction) {
            self.stock.apply(moves, events, &has)?;
        }
        let history = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let free = history.len() == at || (history.len() > at && has(Mutant::AppendUnconditional));
        if !free {
            return Err(AppendError::Conflict {
                stream: stream.to_owned(),
                version: head.version + 1,
                stored: history.get(at).cloned().map(Box::new),
            });
        }
        if !has(Mutant::StockOutsideTransaction) {
            self.stock.apply(moves, events, &has)?;
        }
        let history = self.streams.entry(stream.to_owned()).or_default();
        for (event, place) in events.iter().zip(at..) {
            match history.get_mut(place) {
                Some(stored) => {
                    *stored = event.clone();
                    self.rewrites += 1;
                }
                None => history.push(event.clone()),
            }
        }
        Ok(())
    }

    fn head(&self, stream: &str) -> Head {
        Head::after(self.streams.get(stream).and_then(|events| events.last()))
    }
}

/// The port of the handlers.
#[derive(Clone)]
pub struct Store {
    world: Arc<World>,
    /// Whether it hides that a payment is settled.
    is_blind: bool,
}

/// Types of the events after which a payment is settled.
const SETTLED: [&str; 4] = [
    "PaymentProcessed",
    "PaymentFailed",
    "PaymentRefunded",
    "OrderCancelled",
];

fn no_answer(why: &str) -> Source {
    why.into()
}

impl Store {
    /// The store of a world.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            is_blind: false,
        }
    }

    /// A store for a planted bug: what is settled is not seen, and is stored once more.
    pub(crate) fn blind(world: &Arc<World>) -> Self {
        Self {
            is_blind: true,
            ..Self::new(world)
        }
    }

    async fn put(
        &self,
        stream: &str,
        head: &Head,
        mut events: Vec<Envelope>,
        moves: &[StockMove],
    ) -> Result<Vec<Envelope>, AppendError<Shortage>> {
        let world = &self.world;
        check_size(&events)?;
        if world.has(Mutant::RandomEventIds) {
            for event in &mut events {
                event.event_id = format!("random-{}", world.draw(|rng| rng.u64(..)));
            }
        }
        if world.has(Mutant::PublishedBeforeStored) {
            for event in chain::record(stream, head, events.clone()) {
                world.accept_event(&event);
            }
        }
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(AppendError::Unavailable(no_answer("throttled")));
        }
        let mut written = world.write(stream, head, events.clone(), moves);
        if world.hits(Fault::UnavailableButWritten) {
            if world.has(Mutant::UnavailableTakenForNotWritten) {
                let head = lock(&world.kept).head(stream);
                return world.write(stream, &head, events, moves);
            }
            world.step().await;
            return Err(AppendError::Unavailable(no_answer("no answer")));
        }
        world.step().await;
        if matches!(written, Err(AppendError::Conflict { .. })) {
            if world.has(Mutant::ConflictTakenForSuccess) {
                written = Ok(chain::record(stream, head, events));
            } else if world.has(Mutant::StaleEventsAppended) || self.is_blind {
                let head = lock(&world.kept).head(stream);
                written = world.write(stream, &head, events, moves);
            }
        }
        written
    }
}

fn check_size<R: std::fmt::Debug>(events: &[Envelope]) -> Result<(), AppendError<R>> {
    for event in events {
        let bytes = serde_json::to_vec(event)
            .map_err(|error| AppendError::Malformed(error.to_string()))?
            .len();
        if bytes > MAX_EVENT_BYTES {
            return Err(AppendError::TooLarge {
                bytes,
                limit: MAX_EVENT_BYTES,
            });
        }
    }
    Ok(())
}

impl World {
    /// One transaction; what it stores goes into the stream of the table.
    fn write(
        self: &Arc<Self>,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[StockMove],
    ) -> Result<Vec<Envelope>, AppendError<Shortage>> {
        let events = chain::record(stream, head, events);
        let has = |mutant| self.has(mutant);
        let written = lock(&self.kept).write(stream, head, &events, moves, has);
        match written {
            Ok(()) => {
                for event in &events {
                    self.note(format_args!(
                        "stored {stream}@{} {} {}",
                        event.version.unwrap_or_default(),
                        event.event_type,
                        event.event_id
                    ));
                    self.feed(event);
                }
                Ok(events)
            }
            Err(error) => {
                self.note(format_args!("refused {stream}: {error}"));
                Err(error)
            }
        }
    }
}

impl EventStore for Store {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        self.put(stream, head, events, &[])
            .await
            .map_err(|error| match error {
                AppendError::Conflict {
                    stream,
                    version,
                    stored,
                } => AppendError::Conflict {
                    stream,
                    version,
                    stored,
                },
                AppendError::TooLarge { bytes, limit } => AppendError::TooLarge { bytes, limit },
                AppendError::Unavailable(source) => AppendError::Unavailable(source),
                AppendError::Malformed(reason) => AppendError::Malformed(reason),
                // Without moves nothing is refused.
                AppendError::Refused(_) => AppendError::Refused(Vec::new()),
            })
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        let world = &self.world;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(ReadError::Unavailable(no_answer("throttled")));
        }
        let page = if world.has(Mutant::FirstPageOnly) {
            2
        } else {
            usize::MAX
        };
        let events = {
            let kept = lock(&world.kept);
            let events = kept.streams.get(stream).into_iter().flatten();
            events
                .filter(|event| event.version >= Some(from))
                .filter(|event| !self.is_blind || !SETTLED.contains(&event.event_type.as_str()))
                .take(page)
                .cloned()
                .collect()
        };
        world.step().await;
        Ok(events)
    }
}

impl AppendWith<StockMove> for Store {
    type Refusal = Shortage;

    async fn append_with(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[StockMove],
    ) -> Result<Vec<Envelope>, AppendError<Shortage>> {
        self.put(stream, head, events, moves).await
    }
}

impl StockLevels for Store {
    async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        let world = &self.world;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(ReadError::Unavailable(no_answer("throttled")));
        }
        let level = lock(&world.kept).stock.table.level(sku).cloned();
        world.step().await;
        Ok(level)
    }

    async fn split(&self, sku: &Sku, buckets: u16) -> Result<(), SplitError> {
        self.world.step().await;
        if lock(&self.world.kept).stock.table.split(sku, buckets) {
            Ok(())
        } else {
            Err(SplitError::Unknown(sku.clone()))
        }
    }
}
