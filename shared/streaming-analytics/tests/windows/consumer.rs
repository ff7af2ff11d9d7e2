//! A stream's consumer as Lambda drives it: tumbling windows per shard, batches that are retried
//! whole or bisected from the same state, answers that are lost, processes that remember.

use crate::producer::{Delivery, timestamp};
use std::collections::{BTreeMap, BTreeSet};
use streaming_analytics::earlier::Earlier;
use streaming_analytics::part::{Columns, LambdaWindow, Meeting, Part, PartKey, SequenceNumber};
use streaming_analytics::record::Record;
use streaming_analytics::state::{Arrival, Limits, State};
use streaming_analytics::window::{Lateness, Minute};

/// What goes wrong.
#[derive(Debug, Clone)]
pub struct Faults {
    pub seed: u64,
    /// Invocations of a hundred that die or whose answer is lost.
    pub rate: u8,
    /// Whether attempts have other limits than those before.
    pub changing_limits: bool,
    /// Records of an invocation, at most.
    pub batch: usize,
    /// Whether states are small enough to be flushed within a window.
    pub small: bool,
}

/// The table of parts, as what is in it.
#[derive(Debug, Default)]
pub struct Table {
    parts: BTreeMap<PartKey, Columns>,
    pub adopted: usize,
    pub replaced: usize,
    pub same: usize,
}

impl Table {
    pub fn parts_of(&self, minute: Minute) -> Vec<Part> {
        let of_minute = self.parts.iter().filter(|(key, _)| key.minute == minute);
        of_minute
            .map(|(_, columns)| Part::from_columns(columns).unwrap())
            .collect()
    }

    pub fn minutes(&self) -> impl Iterator<Item = Minute> {
        let minutes: BTreeSet<_> = self.parts.keys().map(|key| key.minute).collect();
        minutes.into_iter()
    }

    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Writes a part; what is to be adopted in its place.
    pub fn write(&mut self, part: &Part) -> Option<Part> {
        let columns = part.to_columns().unwrap();
        if let Some(stored) = self.parts.get(&part.key) {
            let stored = Part::from_columns(stored).unwrap();
            match part.meets(&stored) {
                Meeting::Same => {
                    self.same += 1;
                    return None;
                }
                Meeting::Adopt => {
                    self.adopted += 1;
                    return Some(stored);
                }
                Meeting::Replace => self.replaced += 1,
            }
        }
        self.parts.insert(part.key.clone(), columns);
        None
    }
}

/// A process died.
#[derive(Debug)]
pub struct Died;

/// A process that runs invocations.
pub struct Process<'a> {
    pub table: &'a mut Table,
    pub earlier: Earlier,
    pub limits: Limits,
    /// Dies when it has made so many more steps.
    pub steps_to_live: Option<u32>,
}

impl Process<'_> {
    fn step(&mut self) -> Result<(), Died> {
        match &mut self.steps_to_live {
            Some(0) => Err(Died),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// One invocation: the state before as Lambda kept it, and the one after.
    pub fn invoke(
        &mut self,
        kept: Option<&str>,
        batch: &[Arrival],
        is_final: bool,
    ) -> Result<String, Died> {
        let window = self.earlier.window().clone();
        let mut state = kept.map_or_else(
            || State::new(window.clone()),
            |text| State::decode(window.clone(), text).unwrap(),
        );
        let lateness = Lateness::default();
        for arrival in batch {
            self.step()?;
            if let Some(minute) = state.asks_for(arrival, &lateness)
                && !self.earlier.knows(minute)
            {
                let parts = self.table.parts_of(minute);
                let ids = parts.into_iter().map(|part| (part.key, part.sums.ids));
                self.earlier.learn(minute, ids);
            }
            state.fold(arrival, &lateness, &self.earlier).unwrap();
            if state.is_full(&self.limits) {
                state = self.flush(state)?;
            }
        }
        if is_final {
            state = self.flush(state)?;
        }
        self.step()?;
        Ok(state.encode().unwrap())
    }

    fn flush(&mut self, state: State) -> Result<State, Died> {
        let mut adopted = Vec::new();
        for part in state.parts() {
            self.step()?;
            let met = self.table.write(&part);
            self.earlier.learn_part(met.as_ref().unwrap_or(&part));
            adopted.extend(met);
        }
        Ok(state.flushed(&adopted))
    }
}

/// Small numbers, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The records of a shard in one Lambda window.
type Windows = BTreeMap<(&'static str, i64), Vec<Arrival>>;

fn windows(stream: &[Delivery]) -> Windows {
    let mut windows = Windows::new();
    for (number, delivery) in stream.iter().enumerate() {
        let shard = delivery.event.shard(delivery.arrived);
        let start = delivery.arrived.div_euclid(60_000) * 60;
        windows.entry((shard, start)).or_default().push(Arrival {
            sequence: SequenceNumber::parse(&format!("4959033827149025660{number:09}")).unwrap(),
            arrived: timestamp(delivery.arrived),
            record: Record::parse(&delivery.event.data()),
        });
    }
    windows
}

/// Consumes a stream to its end; the parts that are written.
pub fn consume(stream: &[Delivery], faults: Faults) -> Table {
    let mut table = Table::default();
    let mut dice = Dice(faults.seed);
    // By shard: a shard's children have higher names, and are read after it.
    for ((shard, start), records) in windows(stream) {
        let window = LambdaWindow::new(shard, timestamp(start * 1_000));
        let mut lambda = Lambda {
            table: &mut table,
            dice: &mut dice,
            faults: &faults,
            earlier: Earlier::of(window.clone()),
            window,
            kept: None,
        };
        for batch in records.chunks(faults.batch) {
            lambda.deliver(batch, false);
        }
        lambda.deliver(&[], true);
    }
    table
}

/// Lambda's poller of one window.
struct Lambda<'a> {
    table: &'a mut Table,
    dice: &'a mut Dice,
    faults: &'a Faults,
    window: LambdaWindow,
    earlier: Earlier,
    kept: Option<String>,
}

impl Lambda<'_> {
    /// Delivers a batch until it succeeds: again as it is, or in two halves.
    fn deliver(&mut self, batch: &[Arrival], is_final: bool) {
        while let Err(Died) = self.attempt(batch, is_final) {
            if batch.len() > 1 && self.dice.below(2) == 0 {
                let (first, second) = batch.split_at(batch.len() / 2);
                self.deliver(first, false);
                return self.deliver(second, is_final);
            }
        }
    }

    fn attempt(&mut self, batch: &[Arrival], is_final: bool) -> Result<(), Died> {
        let dies = self.dice.below(100) < u64::from(self.faults.rate);
        let steps = self.dice.below(batch.len() as u64 * 2 + 4);
        // A process that remembers, or a new one.
        if self.dice.below(2) == 0 {
            self.earlier = Earlier::of(self.window.clone());
        }
        let mut process = Process {
            table: &mut *self.table,
            earlier: self.earlier.clone(),
            limits: limits(self.faults, self.dice),
            steps_to_live: dies.then(|| u32::try_from(steps).unwrap()),
        };
        let answer = process.invoke(self.kept.as_deref(), batch, is_final);
        self.earlier = process.earlier;
        let answer = answer?;
        if dies {
            return Err(Died); // It came to its end, and its answer was lost.
        }
        self.kept = Some(answer);
        Ok(())
    }
}

fn limits(faults: &Faults, dice: &mut Dice) -> Limits {
    let mut state = if faults.small { 900 } else { 1_000_000 };
    if faults.changing_limits {
        state = 600 + usize::try_from(dice.below(1_200)).unwrap();
    }
    Limits {
        state,
        part: state / 2,
    }
}
