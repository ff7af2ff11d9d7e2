//! Folding a window of a shard, and writing what it adds to each minute.

use crate::window_call::{WindowCall, answer};
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use streaming_analytics::earlier::Earlier;
use streaming_analytics::insights_table::{PartTable, PutPart, TableError};
use streaming_analytics::part::{LambdaWindow, Meeting, Part, SequenceNumber};
use streaming_analytics::state::{Arrival, Folded, Limits, State};
use streaming_analytics::window::Lateness;

/// Folds windows.
#[derive(Debug)]
pub struct Handler<T> {
    /// Where parts are written.
    pub table: T,
    /// How long a minute waits for its records.
    pub lateness: Lateness,
    /// How much a state may hold.
    pub limits: Limits,
    /// What the windows of each shard have looked up so far.
    looked_up: Mutex<BTreeMap<String, Earlier>>,
}

/// How a call went.
struct Fold<'h, T> {
    handler: &'h Handler<T>,
    state: State,
    earlier: Earlier,
}

impl<T: PartTable> Handler<T> {
    /// Folds into parts of a table.
    pub fn new(table: T, lateness: Lateness) -> Self {
        Self {
            table,
            lateness,
            limits: Limits::default(),
            looked_up: Mutex::default(),
        }
    }

    /// Answers one call with the state to go on from. A record that could not be folded this time
    /// comes again, and all after it; those before it are in the state.
    ///
    /// # Errors
    /// The failure, when the call is to be made again from the state that it had: nothing could be
    /// folded, or what it is the last call for is not all written.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let call = WindowCall::parse(payload)?;
        let mut fold = Fold {
            handler: self,
            earlier: self.recall(&call.window),
            state: call.state,
        };
        let stopped = fold.all(&call.arrivals).await;
        let written = match &stopped {
            None if call.is_last => fold.flush().await,
            _ => Ok(()),
        };
        self.remember(fold.earlier);
        written?;
        match stopped {
            None if call.is_last => Ok(json!({"state": {}, "batchItemFailures": []})),
            None => answer(&fold.state, None),
            Some((at, failure)) if call.is_last || at == 0 => {
                let sequence = call
                    .arrivals
                    .get(at)
                    .map(|arrival| arrival.sequence.as_str());
                tracing::warn!(shard = call.window.shard, sequence, reason = %failure, "window comes again");
                Err(failure)
            }
            Some((at, failure)) => {
                let sequence = call.arrivals.get(at).map(|arrival| &arrival.sequence);
                tracing::warn!(shard = call.window.shard, reason = %failure,
                    sequence = sequence.map(SequenceNumber::as_str), "records come again");
                answer(&fold.state, sequence)
            }
        }
    }

    fn recall(&self, window: &LambdaWindow) -> Earlier {
        let mut looked_up = self
            .looked_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = looked_up.remove(&window.shard);
        let of_window = known.filter(|earlier| earlier.window() == window);
        of_window.unwrap_or_else(|| Earlier::of(window.clone()))
    }

    fn remember(&self, earlier: Earlier) {
        let mut looked_up = self
            .looked_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        looked_up.insert(earlier.window().shard.clone(), earlier);
    }
}

impl<T: PartTable> Fold<'_, T> {
    /// Folds the records, as far as that goes: where it stopped, and why.
    async fn all(&mut self, arrivals: &[Arrival]) -> Option<(usize, Failure)> {
        for (at, arrival) in arrivals.iter().enumerate() {
            if let Err(failure) = self.one(arrival).await {
                return Some((at, failure));
            }
        }
        None
    }

    async fn one(&mut self, arrival: &Arrival) -> Result<(), Failure> {
        // A flush comes after the record that filled the state, also when it fails at first.
        if self.state.is_full(&self.handler.limits) {
            self.flush().await?;
        }
        let lateness = &self.handler.lateness;
        if let Some(minute) = self.state.asks_for(arrival, lateness)
            && !self.earlier.knows(minute)
        {
            let table = &self.handler.table;
            let ids = retrying(|| table.ids_of(minute)).await;
            self.earlier
                .learn(minute, ids.map_err(|error| failed(&error))?);
        }
        let folded = self.state.fold(arrival, lateness, &self.earlier);
        let folded = folded.map_err(|error| Failure::Transient(error.to_string()))?;
        tell(arrival, folded);
        Ok(())
    }

    /// Writes what was folded, each part once, and goes on empty.
    async fn flush(&mut self) -> Result<(), Failure> {
        let parts = self.state.parts();
        let mut adopted = Vec::new();
        for part in &parts {
            let there = self.write(part).await.map_err(|error| failed(&error))?;
            self.earlier.learn_part(there.as_ref().unwrap_or(part));
            adopted.extend(there);
        }
        self.note_corrections(&parts)
            .await
            .map_err(|error| failed(&error))?;
        for part in &parts {
            let counts = &part.sums.counts;
            tracing::info!(shard = part.key.window.shard, minute = %part.key.minute,
                seq = part.key.seq, on_time = counts.on_time, late = above_none(counts.late),
                duplicate = above_none(counts.duplicate), too_late = above_none(counts.too_late),
                too_early = above_none(counts.too_early), malformed = above_none(counts.malformed),
                "part written");
        }
        let empty = State::new(self.earlier.window().clone());
        self.state = std::mem::replace(&mut self.state, empty).flushed(&adopted);
        Ok(())
    }

    /// The part that is there in its place, if that covers more.
    async fn write(&self, part: &Part) -> Result<Option<Part>, TableError> {
        let table = &self.handler.table;
        let mut put = retrying(|| table.put_part(part)).await?;
        // Whoever changes it in between covers at least as much, so this ends.
        loop {
            let PutPart::There(stored) = put else {
                return Ok(None);
            };
            match part.meets(&stored) {
                Meeting::Same => return Ok(None),
                Meeting::Adopt => return Ok(Some(*stored)),
                Meeting::Replace => put = retrying(|| table.replace_part(part, &stored)).await?,
            }
        }
    }

    /// Parts of minutes that are closed, perhaps while they were written, correct them.
    async fn note_corrections(&self, parts: &[Part]) -> Result<(), TableError> {
        if parts.is_empty() {
            return Ok(());
        }
        let table = &self.handler.table;
        let closed = retrying(|| table.progress()).await?.closed_through;
        for part in parts {
            if Some(part.key.minute) <= closed {
                retrying(|| table.note_correction(&part.key)).await?;
            }
        }
        Ok(())
    }
}

fn failed(error: &TableError) -> Failure {
    Failure::from_error(error)
}

fn above_none(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// What is not folded as it should be is told; figures of it are in the part.
fn tell(arrival: &Arrival, folded: Folded) {
    let sequence = arrival.sequence.as_str();
    match folded {
        Folded::OnTime(_) | Folded::Late(_) | Folded::Duplicate(_) | Folded::Already => {}
        Folded::TooLate(_) => tracing::warn!(sequence, "record is too late"),
        Folded::TooEarly(_) => tracing::warn!(sequence, "record is from the future"),
        Folded::Malformed(_) => {
            let reason = arrival.record.as_ref().err().map(ToString::to_string);
            tracing::error!(sequence, reason, "record is malformed");
        }
    }
}

#[cfg(test)]
mod tests;
