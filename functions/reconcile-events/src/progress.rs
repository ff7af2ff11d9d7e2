//! How far reconciling is, from call to call: periods join on, none is left out, and one that a
//! call did not get to the end of is gone on with by the next.

use crate::call::{Limits, PERIOD, Place, before};
use aws_adapters::parameter_store::PlainParameter;
use event_sourcing::reconciling::ReconcileError;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// Each period begins so long before the one before it ended.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The end of the last period that was done.
    pub done_to: Option<Timestamp>,
    /// The period that was begun, and how far that is.
    pub open: Option<Place>,
}

impl Progress {
    /// What to go on with; none while the last period's end is less than a day ago.
    ///
    /// Of what lies further back than is known, nothing can be proved: it is left out, and told.
    #[must_use]
    pub fn next(&self, limits: Limits, now: Timestamp) -> Option<Place> {
        let kept_from = limits.kept_from(now);
        if let Some(place) = &self.open
            && place.from >= kept_from
        {
            return Some(place.clone());
        }
        let settled = limits.settled(now);
        let (from, to) = match self.done_to {
            Some(done) => {
                let from = before(done, OVERLAP);
                let to = from.saturating_add(PERIOD).unwrap_or(Timestamp::MAX);
                (from, to)
            }
            None => (before(settled, PERIOD), settled),
        };
        if to > settled {
            return None;
        }
        if from < kept_from {
            tracing::error!(%from, %kept_from, "never reconciled, for it is not known any more \
                what was published then; keep that for longer");
        }
        let from = from.max(kept_from);
        let to = to
            .max(from.saturating_add(PERIOD).unwrap_or(to))
            .min(settled);
        Place::start(Some(from), Some(to), limits, now).ok()
    }

    /// After working on `place`.
    #[must_use]
    pub fn after(self, place: Place, done: bool) -> Self {
        if done {
            Self {
                done_to: Some(place.to),
                open: None,
            }
        } else {
            Self {
                open: Some(place),
                ..self
            }
        }
    }

    /// How long ago that was up to which everything is reconciled.
    #[must_use]
    pub fn behind(&self, now: Timestamp) -> SignedDuration {
        let begun = self.open.as_ref().map(|place| place.from);
        let proved = self.done_to.or(begun);
        proved.map_or(SignedDuration::ZERO, |proved| now.duration_since(proved))
    }

    /// As a text of so many bytes at most: of the events that it names some may be left out.
    fn to_text(&self, most: usize) -> Result<String, ReconcileError> {
        let unreadable = |error: serde_json::Error| ReconcileError::Unreadable(error.to_string());
        let mut kept = self.clone();
        loop {
            let text = serde_json::to_string(&kept).map_err(unreadable)?;
            let named = kept.open.as_mut().and_then(|place| place.named.pop());
            if text.len() <= most || named.is_none() {
                return Ok(text);
            }
        }
    }
}

/// Keeps how far it is.
pub trait KeptProgress: Send + Sync {
    /// How far it is; the default before the first call.
    ///
    /// # Errors
    /// [`ReconcileError`].
    fn read(&self) -> impl Future<Output = Result<Progress, ReconcileError>> + Send;

    /// Keeps how far it is now.
    ///
    /// # Errors
    /// [`ReconcileError`].
    fn keep(&self, progress: &Progress) -> impl Future<Output = Result<(), ReconcileError>> + Send;
}

impl KeptProgress for PlainParameter {
    async fn read(&self) -> Result<Progress, ReconcileError> {
        match Self::read(self).await {
            Ok(None) => Ok(Progress::default()),
            Ok(Some(text)) => serde_json::from_str(&text).map_err(|error| {
                ReconcileError::Unreadable(format!(
                    "the parameter with the progress ({error}); delete it to begin a day ago"
                ))
            }),
            Err(error) => Err(ReconcileError::Unavailable(error.into())),
        }
    }

    async fn keep(&self, progress: &Progress) -> Result<(), ReconcileError> {
        let text = progress.to_text(Self::MAX_BYTES)?;
        let written = self.write(text).await;
        written.map_err(|error| ReconcileError::Unavailable(error.into()))
    }
}

/// Progress in memory, for tests and the simulation.
#[derive(Debug, Default)]
pub struct InMemoryProgress(Mutex<Progress>);

impl KeptProgress for InMemoryProgress {
    async fn read(&self) -> Result<Progress, ReconcileError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    async fn keep(&self, progress: &Progress) -> Result<(), ReconcileError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        settled_after: SignedDuration::from_mins(10),
        kept: SignedDuration::from_hours(24 * 30),
    };

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 3600 * hour).unwrap()
    }

    fn done_to(hour: i64) -> Progress {
        Progress {
            done_to: Some(at(hour)),
            open: None,
        }
    }

    #[test]
    fn the_first_period_is_the_last_day_and_each_joins_on_to_the_one_before() {
        let first = Progress::default().next(LIMITS, at(0)).unwrap();
        assert_eq!(first.to, LIMITS.settled(at(0)));
        assert_eq!(first.from, before(first.to, PERIOD));
        let progress = Progress::default().after(first.clone(), true);
        assert_eq!(progress.next(LIMITS, at(23)), None);
        let next = progress.next(LIMITS, at(24)).unwrap();
        assert_eq!(next.from, before(first.to, OVERLAP));
        assert_eq!(next.to, LIMITS.settled(at(24)));
    }

    #[test]
    fn who_is_behind_catches_up_period_by_period() {
        let mut progress = done_to(0);
        for day in 1..=3 {
            let place = progress.next(LIMITS, at(80)).unwrap();
            assert_eq!((place.from, place.to), (at(24 * day - 25), at(24 * day)));
            progress = progress.after(place, true);
        }
        assert_eq!(progress.next(LIMITS, at(80)), None);
    }

    #[test]
    fn what_was_begun_is_gone_on_with_and_counts_as_behind_until_it_is_done() {
        let mut place = done_to(0).next(LIMITS, at(30)).unwrap();
        place.page = Some("7".into());
        let progress = done_to(0).after(place.clone(), false);
        assert_eq!(progress.next(LIMITS, at(31)), Some(place.clone()));
        assert_eq!(progress.behind(at(31)), SignedDuration::from_hours(31));
        let progress = progress.after(place, true);
        assert_eq!(progress.behind(at(31)), SignedDuration::from_hours(7));
    }

    #[test]
    fn what_is_not_known_any_more_is_left_out() {
        let now = 24 * 40;
        let place = done_to(0).next(LIMITS, at(now)).unwrap();
        assert_eq!(place.from, LIMITS.kept_from(at(now)));
        assert_eq!(place.to, place.from + PERIOD);
        let begun = done_to(0).after(done_to(0).next(LIMITS, at(30)).unwrap(), false);
        assert_eq!(begun.next(LIMITS, at(now)), Some(place));
    }

    #[test]
    fn a_text_that_is_too_long_names_fewer_events() {
        let mut place = Progress::default().next(LIMITS, at(0)).unwrap();
        for number in 0..20 {
            place.miss(&"s".repeat(300), number);
        }
        let text = Progress::default()
            .after(place, false)
            .to_text(4096)
            .unwrap();
        assert!(text.len() <= 4096);
        let kept: Progress = serde_json::from_str(&text).unwrap();
        let place = kept.open.unwrap();
        assert_eq!(place.missing, 20);
        assert!(
            (5..20).contains(&place.named.len()),
            "{}",
            place.named.len()
        );
    }
}
