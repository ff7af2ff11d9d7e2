//! From one minute to the next: whether an alarm is raised or cleared.

use super::season::Season;
use super::{Condition, Direction, Rule, Value};
use crate::codec::{self, Damaged};
use crate::exact::Exact;
use crate::result::{MinuteResult, Totals};
use crate::stable_hash::stable_hash;
use crate::window::Minute;
use domain::alarm::{AlarmCleared, AlarmCommand, AlarmRaised, ClearReason, Measured};
use domain::ids::RuleName;
use serde::{Deserialize, Serialize};

/// Version of [`RuleState::encode`].
const VERSION: u8 = 1;
/// So many minutes that nobody evaluated are taken as empty, at most.
const MAX_GAP: u32 = 1_440;

/// What a rule remembers from minute to minute; begins as the default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleState {
    /// Of which rule; 0 of none yet.
    rule: u64,
    last: Option<Minute>,
    breaching: u32,
    calm: u32,
    raised: Option<Minute>,
    /// One per hour of the day, for deviations; empty otherwise.
    seasons: Vec<Season>,
}

/// A change of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An episode began.
    Raised {
        /// With the minute that completed the row.
        minute: Minute,
        /// What the metric was in it.
        value: Exact,
        /// What it was expected to be, for a deviation: the mean, to 6 decimal places.
        expected: Option<Exact>,
    },
    /// The episode ended.
    Cleared {
        /// With this minute.
        minute: Minute,
        /// What the metric was in it; `None` where the rule changed or went.
        value: Value,
        /// The minute that raised it.
        raised: Minute,
        /// Why.
        reason: ClearReason,
    },
}

/// Where a minute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Breach,
    Calm,
    Between,
    Unknown,
}

impl Standing {
    fn by(breaches: bool, clears: bool) -> Self {
        match (breaches, clears) {
            (true, _) => Self::Breach,
            (false, true) => Self::Calm,
            (false, false) => Self::Between,
        }
    }
}

/// Judges a minute by a rule: the state from then on, and what changed. Nothing changes for a
/// minute that was judged before.
///
/// There are two changes when a gap before the minute raised an alarm that the minute cleared.
/// Append them to the alarm's stream first ([`Change::command`]), and keep the state then: a
/// repeat decides the same, and the alarm knows it.
#[must_use]
pub fn decide(rule: &Rule, state: &RuleState, result: &MinuteResult) -> (RuleState, Vec<Change>) {
    let mut changes = Vec::new();
    let mut state = state.clone();
    if state.last.is_some_and(|last| result.minute <= last) {
        return (state, changes);
    }
    if state.rule != identity(rule) {
        changes.extend(withdrawn(&state, result.minute));
        state = RuleState {
            rule: identity(rule),
            ..RuleState::default()
        };
    }
    if let Some(last) = state.last {
        let missing = last.until(result.minute).saturating_sub(1).min(MAX_GAP);
        let mut minute = result.minute;
        (0..missing).for_each(|_| minute = minute.previous());
        for _ in 0..missing {
            let value = rule.metric().value(&Totals::default());
            changes.extend(state.judge(rule, minute, value));
            minute = minute.next();
        }
    }
    let value = rule.metric().value(&result.totals);
    changes.extend(state.judge(rule, result.minute, value));
    (state, changes)
}

/// The end of a rule that is removed: what its alarm is told, if it is raised.
#[must_use]
pub fn withdraw(name: &RuleName, state: &RuleState, minute: Minute) -> Option<AlarmCommand> {
    let raised = state.raised?;
    Some(AlarmCommand::Clear(AlarmCleared {
        rule: name.clone(),
        window: minute.max(raised).start(),
        value: None,
        raised_with: raised.start(),
        reason: ClearReason::RuleRemoved,
    }))
}

fn withdrawn(state: &RuleState, minute: Minute) -> Option<Change> {
    let raised = state.raised?;
    Some(Change::Cleared {
        minute: minute.max(raised),
        value: None,
        raised,
        reason: ClearReason::RuleChanged,
    })
}

/// A rule's own hash: another metric, condition or number of windows is another rule.
fn identity(rule: &Rule) -> u64 {
    let text = serde_json::to_vec(rule).unwrap_or_default();
    stable_hash("rule", &[&text]).max(1)
}

impl RuleState {
    /// The minute that raised the alarm, while it is raised.
    #[must_use]
    pub fn raised(&self) -> Option<Minute> {
        self.raised
    }

    /// The last minute that was judged.
    #[must_use]
    pub fn last(&self) -> Option<Minute> {
        self.last
    }

    fn judge(&mut self, rule: &Rule, minute: Minute, value: Value) -> Option<Change> {
        self.last = Some(minute);
        let (standing, expected) = self.standing(rule.condition(), minute, value);
        match standing {
            Standing::Unknown => return None,
            Standing::Between => (self.breaching, self.calm) = (0, 0),
            Standing::Breach => {
                (self.breaching, self.calm) = (self.breaching.saturating_add(1), 0);
            }
            Standing::Calm => (self.breaching, self.calm) = (0, self.calm.saturating_add(1)),
        }
        match self.raised {
            None if self.breaching >= rule.for_windows() => {
                self.raised = Some(minute);
                Some(Change::Raised {
                    minute,
                    value: value?,
                    expected,
                })
            }
            Some(raised) if self.calm >= rule.for_windows() => {
                self.raised = None;
                Some(Change::Cleared {
                    minute,
                    value,
                    raised,
                    reason: ClearReason::Recovered,
                })
            }
            None | Some(_) => None,
        }
    }

    /// Where a value stands, and what was expected where that is learnt; it is learnt then.
    fn standing(
        &mut self,
        condition: &Condition,
        minute: Minute,
        value: Value,
    ) -> (Standing, Option<Exact>) {
        let Some(value) = value else {
            return (Standing::Unknown, None);
        };
        match condition {
            Condition::Above { threshold, clear } => {
                (Standing::by(value > *threshold, value <= *clear), None)
            }
            Condition::Below { threshold, clear } => {
                (Standing::by(value < *threshold, value >= *clear), None)
            }
            Condition::Deviation {
                raise,
                clear,
                direction,
                at_least,
                half_life,
            } => {
                let (value, raise) = (value.approximate(), raise.approximate());
                let Some((mean, deviation)) = self.season(minute, value, raise, *half_life) else {
                    return (Standing::Unknown, None);
                };
                let distance = match direction {
                    Direction::Either => (value - mean).abs(),
                    Direction::Above => value - mean,
                    Direction::Below => mean - value,
                };
                let near = distance < at_least.approximate();
                let breaches = !near && distance > raise * deviation;
                let clears = near || distance <= clear.approximate() * deviation;
                let expected = Exact::parse(&format!("{mean:.6}")).ok();
                (Standing::by(breaches, clears), expected)
            }
        }
    }

    /// What was normal for the minute's hour before this value, which is learnt.
    fn season(
        &mut self,
        minute: Minute,
        value: f64,
        raise: f64,
        half_life: u32,
    ) -> Option<(f64, f64)> {
        self.seasons.resize(24, Season::default());
        let hour = usize::from(minute.hour().of_day());
        let season = self.seasons.get_mut(hour)?;
        let baseline = season.baseline();
        season.learn(value, raise, half_life);
        baseline
    }

    /// The state as bytes: a version, then `postcard`.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        codec::encode(VERSION, self)
    }

    /// Reads what [`RuleState::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let state: Self = codec::decode(VERSION, bytes)?;
        if state.seasons.len() <= 24 && state.seasons.iter().all(Season::is_sound) {
            Ok(state)
        } else {
            Err(Damaged::Content("is no season".to_owned()))
        }
    }
}

impl Change {
    /// What the alarm of this rule is told.
    #[must_use]
    pub fn command(&self, rule: &Rule) -> AlarmCommand {
        match self {
            Self::Raised {
                minute,
                value,
                expected,
            } => AlarmCommand::Raise(AlarmRaised {
                rule: rule.name().clone(),
                metric: rule.metric().to_string(),
                condition: rule.condition().to_string(),
                for_windows: rule.for_windows(),
                window: minute.start(),
                value: measured(*value),
                expected: expected.map(measured),
            }),
            Self::Cleared {
                minute,
                value,
                raised,
                reason,
            } => AlarmCommand::Clear(AlarmCleared {
                rule: rule.name().clone(),
                window: minute.start(),
                value: value.map(measured),
                raised_with: raised.start(),
                reason: *reason,
            }),
        }
    }
}

fn measured(value: Exact) -> Measured {
    Measured::parse(&value.to_string()).unwrap_or_default()
}
