//! The past: what a stream amounted to at a version or a time, and which event changed what.

use crate::decider::Decider;
use crate::envelope::Envelope;
use crate::execute::{Unreadable, decode};
use jiff::Timestamp;
use serde_json::Value;

/// A moment in the life of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After exactly so many events; 0 is before the first.
    Version(u64),
    /// After every event up to and including this time.
    Time(Timestamp),
}

impl Moment {
    /// Whether `event` had happened at this moment.
    #[must_use]
    pub fn includes(&self, event: &Envelope) -> bool {
        match self {
            Self::Version(version) => event.version <= Some(*version),
            Self::Time(time) => event.at() <= *time,
        }
    }

    /// How many events of a stream, given from its start, had happened at this moment. (The times
    /// of a stream need not rise; the first later one ends it, so that no state is skipped.)
    #[must_use]
    pub fn count(&self, history: &[Envelope]) -> usize {
        history
            .iter()
            .take_while(|event| self.includes(event))
            .count()
    }
}

/// The state of a stream at a moment; `history` is the stream from its start.
///
/// # Errors
/// [`Unreadable`] for an event that the aggregate does not know.
pub fn state_at<D: Decider>(history: &[Envelope], moment: Moment) -> Result<D::State, Unreadable> {
    crate::execute::fold::<D>(&history[..moment.count(history)])
}

/// What one event did to the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a, S> {
    /// The event.
    pub event: &'a Envelope,
    /// The state before it.
    pub before: S,
    /// The state after it.
    pub after: S,
}

/// The steps of a stream between two moments: every event that happened after `from` and up to
/// `to`, with the state before and after it. Empty where `to` is not later.
///
/// # Errors
/// [`Unreadable`] for an event that the aggregate does not know.
pub fn steps_between<D: Decider>(
    history: &[Envelope],
    from: Moment,
    to: Moment,
) -> Result<Vec<Step<'_, D::State>>, Unreadable> {
    let first = from.count(history);
    let between = history.get(first..to.count(history)).unwrap_or_default();
    let mut before = crate::execute::fold::<D>(&history[..first])?;
    between
        .iter()
        .map(|event| {
            let after = D::evolve(before.clone(), &decode(event)?, event.at());
            let step = Step {
                event,
                before: std::mem::replace(&mut before, after.clone()),
                after,
            };
            Ok(step)
        })
        .collect()
}

/// A field whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Path of the field, such as `items[0].quantity`.
    pub field: String,
    /// What it was; `None` where it was not there.
    pub from: Option<Value>,
    /// What it is; `None` where it is not there any more.
    pub to: Option<Value>,
}

/// The fields in which two JSON documents differ, in the order of their paths.
#[must_use]
pub fn differences(from: &Value, to: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", Some(from), Some(to), &mut changes);
    changes
}

fn compare(path: &str, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (from, to) {
        (Some(from), Some(to)) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let mut names: Vec<_> = from.keys().chain(to.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                compare(&path, from.get(name), to.get(name), changes);
            }
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            for index in 0..from.len().max(to.len()) {
                let path = format!("{path}[{index}]");
                compare(&path, from.get(index), to.get(index), changes);
            }
        }
        (from, to) => changes.push(FieldChange {
            field: path.to_owned(),
            from: from.cloned(),
            to: to.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Head, record};
    use crate::jar::Jar;
    use serde_json::json;

    /// Two sweets at 10:00, three more at 11:00, sealed at 12:00.
    fn history() -> Vec<Envelope> {
        let at = |hour: &str| format!("2025-01-01T{hour}:00:00Z").parse().expect("a time");
        let put_in = |hour, sweets: u64| {
            Envelope::new("e", "SweetsPutIn", at(hour), json!({"sweets": sweets}))
        };
        let sealed = Envelope::new("e", "JarSealed", at("12"), json!({}));
        record(
            "jar",
            &Head::START,
            vec![put_in("10", 2), put_in("11", 3), sealed],
        )
    }

    fn time(text: &str) -> Moment {
        Moment::Time(text.parse().expect("a time"))
    }

    #[test]
    fn the_state_at_a_version_or_a_time_is_the_fold_up_to_there() {
        let history = history();
        for (moment, state) in [
            (Moment::Version(0), Jar::Missing),
            (Moment::Version(2), Jar::Open { sweets: 5 }),
            (Moment::Version(99), Jar::Sealed { sweets: 5 }),
            (time("2025-01-01T09:59:59Z"), Jar::Missing),
            (time("2025-01-01T10:00:00Z"), Jar::Open { sweets: 2 }),
            (time("2025-01-01T11:30:00Z"), Jar::Open { sweets: 5 }),
        ] {
            assert_eq!(state_at::<Jar>(&history, moment), Ok(state), "{moment:?}");
        }
    }

    #[test]
    fn between_two_moments_every_event_tells_what_it_changed() {
        let history = history();
        let steps =
            steps_between::<Jar>(&history, Moment::Version(1), time("2025-01-01T12:00:00Z"))
                .expect("it is readable");
        let told: Vec<_> = steps
            .iter()
            .map(|step| (step.event.version, step.before.clone(), step.after.clone()))
            .collect();
        assert_eq!(
            told,
            [
                (Some(2), Jar::Open { sweets: 2 }, Jar::Open { sweets: 5 }),
                (Some(3), Jar::Open { sweets: 5 }, Jar::Sealed { sweets: 5 }),
            ]
        );
        let back = steps_between::<Jar>(&history, Moment::Version(3), Moment::Version(1));
        assert_eq!(back, Ok(vec![]));
    }

    #[test]
    fn documents_differ_field_by_field() {
        let from = json!({"a": 1, "b": {"c": [1, 2], "d": null}, "same": [{}], "gone": true});
        let to = json!({"a": 2, "b": {"c": [1, 3, 4], "d": null}, "same": [{}], "new": "x"});
        let change = |field: &str, from: Option<Value>, to: Option<Value>| FieldChange {
            field: field.into(),
            from,
            to,
        };
        assert_eq!(
            differences(&from, &to),
            [
                change("a", Some(json!(1)), Some(json!(2))),
                change("b.c[1]", Some(json!(2)), Some(json!(3))),
                change("b.c[2]", None, Some(json!(4))),
                change("gone", Some(json!(true)), None),
                change("new", None, Some(json!("x"))),
            ]
        );
        assert!(differences(&from, &from).is_empty());
    }
}
