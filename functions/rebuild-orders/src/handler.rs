//! A rebuild, step by step. Each step can be the last one of a call, also by a crash: the next
//! call goes on from what the switch says and from the position.
//!
//! 1. The table that is not live is emptied, `project-orders` is told to write it, too (first),
//!    and all events are folded into it. It is complete when the feed has delivered everything
//!    that was stored until each instance of `project-orders` knew: what was stored after that,
//!    those write themselves.
//! 2. The switch is announced for a time by which every reader knows of it.
//! 3. From then on only the new table is written. When nobody can be reading the old one any
//!    more, it is emptied.

use crate::call::{Answer, Phase, Place, Request, Work};
use crate::folding::fold;
use crate::ports::{Board, Rows};
use aws_adapters::order_tables::{MEMORY, Side, Sides, Stage, Switch};
use event_sourcing::clock::Clock;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use event_sourcing::feed::EventFeed;
use event_sourcing::retry::Retryable;
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// After this, everybody knows what was said: what they may remember, and as much again for
/// clocks that differ and for answers that are not the latest.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(2 * MEMORY.as_secs());
const KNOWN_AFTER_MS: i64 = 1000 * KNOWN_AFTER.as_secs();
/// How long a call may take beyond its time before another one may begin.
const OVERTIME: SignedDuration = SignedDuration::from_secs(60);
/// How long to wait for news of the feed.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_millis(100);

/// Rebuilds the rows of orders.
#[derive(Debug)]
pub struct Handler<F, S, R, B, C> {
    /// All events.
    pub feed: F,
    /// Where a stream is read that came out of turn.
    pub store: Arc<S>,
    /// The rows.
    pub rows: Sides<Arc<R>>,
    /// Which of them are live.
    pub board: B,
    /// The time.
    pub clock: C,
    /// How long after the switch the old rows stay.
    pub drop_after: SignedDuration,
}

/// One call at work.
struct Call<'h, F, S, R, B, C> {
    handler: &'h Handler<F, S, R, B, C>,
    switch: Switch,
    place: Option<Place>,
    until: Timestamp,
    /// Up to which row a table was emptied in this call.
    emptied: Option<String>,
}

/// What comes after a step.
enum Next {
    Step,
    Wait(SignedDuration),
    End,
}

impl<F, S, R, B, C> Handler<F, S, R, B, C>
where
    F: EventFeed,
    S: EventStore + 'static,
    R: Rows + 'static,
    B: Board,
    C: Clock,
{
    /// Works for a while, and answers how far it got.
    ///
    /// # Errors
    /// [`Failure::Transient`], when something does not answer or another call is at work: call
    /// again with the same position. [`Failure::Permanent`] for a payload or a position that
    /// cannot be used.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let request = Request::parse(&payload)?;
        let switch = asked(|| self.board.switch()).await?;
        let now = self.clock.now();
        if let Some(until) = switch.busy_until.filter(|until| *until > now) {
            return Err(Failure::Transient(format!(
                "another call is at work, until {until} at most; call again then"
            )));
        }
        let mut call = Call {
            handler: self,
            switch,
            place: request.place,
            until: now + request.work_for,
            emptied: None,
        };
        let busy_until = Some(call.until + OVERTIME);
        call.change(Switch {
            busy_until,
            ..switch
        })
        .await?;
        let worked = call.work().await;
        let idle = Switch {
            busy_until: None,
            ..call.switch
        };
        // What was done is done: it ends by itself that the next call has to wait.
        if let Err(failure) = call.change(idle).await {
            tracing::warn!(reason = %failure, "the next call has to wait");
        }
        worked?;
        serde_json::to_value(call.answer()).map_err(|error| Failure::Permanent(error.to_string()))
    }
}

impl<F, S, R, B, C> Call<'_, F, S, R, B, C>
where
    F: EventFeed,
    S: EventStore + 'static,
    R: Rows + 'static,
    B: Board,
    C: Clock,
{
    async fn work(&mut self) -> Result<(), Failure> {
        loop {
            let next = self.step().await?;
            let left = self.until.duration_since(self.now());
            if matches!(next, Next::End) || !left.is_positive() {
                return Ok(());
            }
            if let Next::Wait(wait) = next {
                tokio::time::sleep(Duration::try_from(wait.min(left)).unwrap_or_default()).await;
            }
        }
    }

    async fn step(&mut self) -> Result<Next, Failure> {
        let generation = self.switch.generation;
        match (self.switch.stage, &self.place) {
            (_, Some(place)) if place.generation != generation => Err(Failure::Permanent(format!(
                "the position is of rebuild {}, and rebuild {generation} was begun since; begin \
                 anew, without a position",
                place.generation
            ))),
            (Stage::Idle, Some(_)) => Ok(Next::End),
            // One that was not ended is given up: nobody reads what it wrote.
            (Stage::Idle | Stage::Building, None) => {
                self.change(Switch {
                    generation: generation + 1,
                    stage: Stage::Building,
                    ..self.switch
                })
                .await?;
                self.place = Some(Place::start(generation + 1));
                Ok(Next::Step)
            }
            (Stage::Building, Some(place)) => match &place.work {
                Work::Emptying => self.make_room(place.clone()).await,
                Work::Folding { .. } => self.build(place.clone()).await,
            },
            // Also of an earlier rebuild: readers went over, so it is ended first.
            (Stage::Switching(at), _) => self.go_over(at).await,
            (Stage::Dropping(since), _) => self.drop_old(since).await,
        }
    }

    /// Takes leftovers away, and begins.
    async fn make_room(&mut self, place: Place) -> Result<Next, Failure> {
        let live = self.switch.table;
        if self.empty(live.other()).await? {
            let board = &self.handler.board;
            let both = [live.other(), live];
            asked(|| board.let_write(&both)).await?;
            let told_at = self.now().as_millisecond();
            let feed = asked(|| self.handler.feed.begin()).await?;
            self.place = Some(Place {
                work: Work::Folding {
                    told_at,
                    feed,
                    live: false,
                },
                ..place
            });
        }
        Ok(Next::Step)
    }

    /// Folds the next events; announces the switch when they were the last.
    async fn build(&mut self, mut place: Place) -> Result<Next, Failure> {
        let Work::Folding {
            told_at,
            feed,
            live,
        } = &mut place.work
        else {
            return Ok(Next::Step);
        };
        let handler = self.handler;
        let batch = asked(|| handler.feed.next(feed)).await?;
        let news = !batch.events.is_empty();
        let target = handler.rows.of(self.switch.table.other());
        let folded = fold(&handler.store, target, batch.events).await?;
        *feed = batch.position;
        *live |= batch.through.is_some();
        let known = *told_at + KNOWN_AFTER_MS;
        place.add(folded);
        self.place = Some(place);
        if batch
            .through
            .is_some_and(|through| through.as_millisecond() > known)
        {
            self.change(Switch {
                stage: Stage::Switching(self.now() + KNOWN_AFTER),
                ..self.switch
            })
            .await?;
            return Ok(Next::Step);
        }
        Ok(if news {
            Next::Step
        } else {
            Next::Wait(LOOK_AGAIN)
        })
    }

    /// At the announced time, leaves the old table alone.
    async fn go_over(&mut self, at: Timestamp) -> Result<Next, Failure> {
        let now = self.now();
        if now < at {
            return Ok(Next::Wait(at.duration_since(now)));
        }
        let table = self.switch.table.other();
        let only = [table];
        asked(|| self.handler.board.let_write(&only)).await?;
        self.change(Switch {
            table,
            stage: Stage::Dropping(self.now()),
            ..self.switch
        })
        .await?;
        Ok(Next::Step)
    }

    /// Empties the old table once nobody reads or writes it.
    async fn drop_old(&mut self, since: Timestamp) -> Result<Next, Failure> {
        let at = since + self.handler.drop_after.max(KNOWN_AFTER);
        let now = self.now();
        if now < at {
            return Ok(Next::Wait(at.duration_since(now)));
        }
        if self.empty(self.switch.table.other()).await? {
            self.change(Switch {
                stage: Stage::Idle,
                ..self.switch
            })
            .await?;
        }
        Ok(Next::Step)
    }

    /// Deletes a page of rows; whether it was the last one.
    async fn empty(&mut self, side: Side) -> Result<bool, Failure> {
        let rows = self.handler.rows.of(side);
        self.emptied = asked(|| rows.delete_some(self.emptied.as_deref())).await?;
        Ok(self.emptied.is_none())
    }

    async fn change(&mut self, to: Switch) -> Result<(), Failure> {
        let revision = self.switch.revision + 1;
        let to = Switch { revision, ..to };
        let board = &self.handler.board;
        let changed = asked(|| board.change(&to)).await?;
        // Where the answer to the first try was lost, the second one finds the change made.
        if !changed && asked(|| board.switch()).await? != to {
            return Err(Failure::Transient(
                "another call changed the switch meanwhile; call again".into(),
            ));
        }
        self.switch = to;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.handler.clock.now()
    }

    fn answer(&self) -> Answer {
        let stage = self.switch.stage;
        let now = self.now();
        let place = self.place.clone();
        let start = Place::start(0);
        let so_far = place.as_ref().unwrap_or(&start);
        let phase = match (stage, &so_far.work) {
            (Stage::Idle, _) => Phase::Dropped,
            (Stage::Building, Work::Emptying) => Phase::Emptying,
            (Stage::Building, Work::Folding { live: false, .. }) => Phase::History,
            (Stage::Building, Work::Folding { live: true, .. }) => Phase::Live,
            (Stage::Switching(at), _) if now < at => Phase::Switching,
            (Stage::Switching(_) | Stage::Dropping(_), _) => Phase::Switched,
        };
        Answer {
            phase,
            events: so_far.events,
            rows: so_far.rows,
            skipped: so_far.skipped,
            unreadable: so_far.named.clone(),
            caught_up: stage != Stage::Building,
            live: self.switch.live(now).as_str(),
            done: stage == Stage::Idle && place.is_some(),
            position: place.and_then(|place| serde_json::to_string(&place).ok()),
        }
    }
}

/// Asks again while there is no answer.
async fn asked<T, E, A>(ask: impl Fn() -> A) -> Result<T, Failure>
where
    E: std::error::Error + Retryable,
    A: Future<Output = Result<T, E>>,
{
    retrying(ask)
        .await
        .map_err(|error| Failure::from_error(&error))
}

#[cfg(test)]
mod tests;
