//! Closing minutes: what their parts come to, what that corrects, and what it raises.

use crate::alarms::Alarms;
use crate::figures::figures;
use aws_adapters::metrics::{Metric, Metrics};
use event_sourcing::clock::Clock;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use streaming_analytics::insights_table::{
    Correction, Progress, ResultTable, RuleTable, TableError,
};
use streaming_analytics::result::{MinuteResult, RollUp};
use streaming_analytics::window::{Hour, Minute};

/// Most minutes that a call closes; after an outage the next calls go on.
const MAX_MINUTES: u32 = 120;
/// Most minutes that a call corrects.
const MAX_CORRECTIONS: usize = 100;
/// How far the very first call looks back.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(60);

/// Closes windows.
#[derive(Debug)]
pub struct Handler<T, R, S, C> {
    /// Parts and results.
    pub table: T,
    /// The rules of alarms.
    pub rules: R,
    /// Where alarms are.
    pub store: S,
    /// Tells when.
    pub clock: C,
    /// How long after its end a minute is closed.
    pub waits: SignedDuration,
    /// Who is told the figures of minutes.
    pub metrics: Metrics,
}

/// What a call did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// So many minutes were closed.
    pub closed: u64,
    /// So many results were corrected.
    pub corrected: u64,
    /// So many alarms were raised.
    pub raised: u64,
    /// So many alarms were cleared.
    pub cleared: u64,
    /// The last minute whose result is made.
    pub through: Option<Minute>,
}

impl<T, R, S, C> Handler<T, R, S, C>
where
    T: ResultTable,
    R: RuleTable,
    S: EventStore,
    C: Clock,
{
    /// Closes the minutes that are due, and corrects those that parts were written for since.
    ///
    /// # Errors
    /// [`Failure`]; the next call goes on where this one stopped, and does nothing twice.
    pub async fn handle(&self, request_id: &str) -> Result<Value, Failure> {
        let now = self.clock.now();
        let mut alarms =
            Alarms::read(&self.rules, &self.table, &self.store, request_id, now).await?;
        let mut answer = Answer::default();
        let progress = self.close(now).await?;
        self.make(progress, &mut alarms, &mut answer).await?;
        self.correct(&mut answer).await?;
        if let Some(through) = answer.through {
            alarms.withdraw(through).await?;
        }
        (answer.raised, answer.cleared) = (alarms.raised, alarms.cleared);
        self.tell(now, &answer);
        serde_json::to_value(&answer).map_err(|error| Failure::Permanent(error.to_string()))
    }

    /// Closes minutes: from then on what is written for them is a correction.
    async fn close(&self, now: Timestamp) -> Result<Progress, Failure> {
        let at = |ago: SignedDuration| {
            let then = now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH);
            Minute::of(then).unwrap_or(Minute::FIRST)
        };
        let due = at(self.waits).previous();
        let progress = self.asked(|| self.table.progress()).await?;
        let before = match progress.made_through {
            Some(made) => made,
            None => at(self.waits + LOOK_BACK).previous(),
        };
        let mut last = before;
        for _ in 0..MAX_MINUTES.min(before.until(due)) {
            last = last.next();
        }
        let closed = Progress {
            closed_through: progress.closed_through.max(Some(last)),
            made_through: Some(before),
        };
        if closed != progress && !self.asked(|| self.table.advance(progress, closed)).await? {
            return Err(Failure::Transient("another call closes windows".into()));
        }
        Ok(closed)
    }

    /// Makes the results of what is closed, and of hours and days that are over with it.
    async fn make(
        &self,
        progress: Progress,
        alarms: &mut Alarms<'_, T, S>,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        answer.through = progress.made_through;
        let (Some(made), Some(closed)) = (progress.made_through, progress.closed_through) else {
            return Ok(());
        };
        let mut minute = made;
        let mut hours = BTreeSet::new();
        while minute < closed {
            minute = minute.next();
            let result = self.make_minute(minute).await?;
            alarms.judge(&result).await?;
            self.metrics.tell(minute.start(), &figures(&result.totals));
            if minute.next().hour() != minute.hour() {
                hours.insert(minute.hour());
            }
            answer.closed += 1;
        }
        self.roll_up(&hours, closed).await?;
        let done = Progress {
            made_through: Some(closed),
            ..progress
        };
        if done != progress && !self.asked(|| self.table.advance(progress, done)).await? {
            return Err(Failure::Transient("another call closes windows".into()));
        }
        answer.through = Some(closed);
        Ok(())
    }

    /// A minute's result, made now or, of a call that did not end, made again.
    async fn make_minute(&self, minute: Minute) -> Result<MinuteResult, Failure> {
        let parts = self.asked(|| self.table.parts_of(minute)).await?;
        if parts.is_empty() {
            return Ok(MinuteResult::of(minute, &[]));
        }
        let before = self.asked(|| self.table.minute(minute)).await?;
        let result = match before {
            None => MinuteResult::of(minute, &parts),
            Some(before) => match before.corrected(&parts) {
                None => return Ok(before),
                Some(corrected) => corrected,
            },
        };
        self.asked(|| self.table.put_minute(&result)).await?;
        if result.overlapping > 0 {
            tracing::warn!(minute = %minute, overlapping = result.overlapping,
                "events were counted in two shards");
        }
        Ok(result)
    }

    async fn correct(&self, answer: &mut Answer) -> Result<(), Failure> {
        let corrections = self
            .asked(|| self.table.corrections(MAX_CORRECTIONS))
            .await?;
        let made = |correction: &Correction| Some(correction.minute) <= answer.through;
        let corrections: Vec<_> = corrections.into_iter().filter(made).collect();
        let mut hours = BTreeSet::new();
        for correction in &corrections {
            let minute = correction.minute;
            let result = self.make_minute(minute).await?;
            hours.insert(minute.hour());
            answer.corrected += 1;
            tracing::info!(minute = %minute, revision = result.revision, late = result.totals.counts.late,
                "minute corrected");
        }
        if let Some(through) = answer.through {
            self.roll_up(&hours, through).await?;
        }
        // Only now, so that a call that ends before has all of it to do again.
        for correction in &corrections {
            self.asked(|| self.table.forget_correction(correction))
                .await?;
        }
        Ok(())
    }

    /// Hours of which all minutes are made, and days of which all hours are.
    async fn roll_up(&self, hours: &BTreeSet<Hour>, made: Minute) -> Result<(), Failure> {
        let is_over = |end: Timestamp| end <= made.end();
        let mut days = BTreeSet::new();
        for hour in hours.iter().filter(|hour| is_over(hour.end())) {
            let mut minutes = Vec::new();
            for minute in hour.minutes() {
                minutes.extend(self.asked(|| self.table.minute(minute)).await?);
            }
            if !minutes.is_empty() {
                let hour = RollUp::of_minutes(*hour, &minutes);
                self.asked(|| self.table.put_hour(&hour)).await?;
                days.insert(hour.window.day());
            }
            // Its last hour may be an empty one.
            days.insert(hour.day());
        }
        for day in days.iter().filter(|day| is_over(day.end())) {
            let mut hours = Vec::new();
            for hour in day.hours() {
                hours.extend(self.asked(|| self.table.hour(hour)).await?);
            }
            if !hours.is_empty() {
                let day = RollUp::of_hours(*day, &hours);
                self.asked(|| self.table.put_day(&day)).await?;
            }
        }
        Ok(())
    }

    fn tell(&self, now: Timestamp, answer: &Answer) {
        let mut metrics = vec![
            Metric::count("AlarmsRaised", answer.raised),
            Metric::count("WindowsCorrected", answer.corrected),
        ];
        metrics.retain(|metric| !metric.is_nothing());
        if let Some(through) = answer.through {
            let ago = now.duration_since(through.end());
            metrics.push(Metric::seconds("WindowsClosedSecondsAgo", ago));
        }
        self.metrics.tell(now, &metrics);
    }

    async fn asked<V, F>(&self, ask: impl Fn() -> F) -> Result<V, Failure>
    where
        F: Future<Output = Result<V, TableError>>,
    {
        retrying(ask)
            .await
            .map_err(|error| Failure::from_error(&error))
    }
}

#[cfg(test)]
mod tests;
