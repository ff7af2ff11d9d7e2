//! What goes wrong on purpose: which kinds there are ([`FaultKind`]), who is hit ([`Dice`]), and
//! where it is done (`Injector`: calls of functions to AWS, their processes, deliveries to them).

mod args;
mod dice;
mod injector;

use std::collections::BTreeSet;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

pub use args::FaultArgs;
pub use dice::Dice;
pub(crate) use injector::Injector;

/// A way of going wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A function's process is killed in the middle of an invocation.
    Kill,
    /// A call is refused, not executed.
    Throttle,
    /// A call is not executed and not answered.
    Timeout,
    /// A call is executed and not answered.
    LostAnswer,
    /// Some entries of a `PutEvents` or `PutRecords` fail.
    PartialPutEvents,
    /// A call is answered with 500, not executed.
    InternalError,
    /// Something is delivered more than once.
    Duplicate,
    /// Something is delivered late, and overtaken.
    Delay,
    /// The whole system is killed and started again on its data.
    Restart,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::Throttle,
        Self::Timeout,
        Self::LostAnswer,
        Self::PartialPutEvents,
        Self::InternalError,
        Self::Duplicate,
        Self::Delay,
        Self::Restart,
    ];

    /// As it is called on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Throttle => "throttle",
            Self::Timeout => "timeout",
            Self::LostAnswer => "lost-answer",
            Self::PartialPutEvents => "partial-put-events",
            Self::InternalError => "internal-error",
            Self::Duplicate => "duplicate",
            Self::Delay => "delay",
            Self::Restart => "restart",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 of a function's process in the middle of an invocation",
            Self::Throttle => "a function's call to AWS is refused with \"slow down\"",
            Self::Timeout => "a function's call to AWS is not executed and gets no answer",
            Self::LostAnswer => "a function's call to AWS is executed and gets no answer",
            Self::PartialPutEvents => {
                "some entries of a PutEvents or PutRecords fail, the others do not"
            }
            Self::InternalError => "a function's call to AWS is answered with status 500",
            Self::Duplicate => {
                "a rule delivers an event twice; an event or a batch of records that succeeded \
                 comes again"
            }
            Self::Delay => "an event or a batch of records comes late, overtaken by later ones",
            Self::Restart => "kill -9 of the whole system, which starts again on its data",
        }
    }
}

/// A word of `--faults`: a kind, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultChoice(Option<FaultKind>);

impl FaultChoice {
    const WORDS: [Self; 10] = [
        Self(None),
        Self(Some(FaultKind::Kill)),
        Self(Some(FaultKind::Throttle)),
        Self(Some(FaultKind::Timeout)),
        Self(Some(FaultKind::LostAnswer)),
        Self(Some(FaultKind::PartialPutEvents)),
        Self(Some(FaultKind::InternalError)),
        Self(Some(FaultKind::Duplicate)),
        Self(Some(FaultKind::Delay)),
        Self(Some(FaultKind::Restart)),
    ];
}

impl ValueEnum for FaultChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::WORDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            None => PossibleValue::new("all").help("every kind"),
            Some(kind) => PossibleValue::new(kind.name()).help(kind.help()),
        })
    }
}

/// What is to go wrong, how often, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Which kinds; none for a system without faults.
    pub kinds: BTreeSet<FaultKind>,
    /// Decides who is hit.
    pub seed: u64,
    /// The share of calls, invocations and deliveries that are hit.
    pub rate: f64,
}

impl FaultPlan {
    /// The plan of these choices.
    #[must_use]
    pub fn of(choices: &[FaultChoice], seed: u64, rate: f64) -> Self {
        let kinds = choices
            .iter()
            .flat_map(|choice| choice.0.map_or(FaultKind::ALL.to_vec(), |kind| vec![kind]));
        Self {
            kinds: kinds.collect(),
            seed,
            rate,
        }
    }

    /// As `--faults` has it: the kinds, separated by commas.
    #[must_use]
    pub fn words(&self) -> String {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        kinds.join(",")
    }

    /// Whether this kind is part of it.
    #[must_use]
    pub fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_asked_for_and_all_is_all_of_them() {
        let words: Vec<String> = FaultChoice::value_variants()
            .iter()
            .filter_map(FaultChoice::to_possible_value)
            .map(|word| word.get_name().to_owned())
            .collect();
        assert_eq!(words[0], "all");
        for (word, kind) in words[1..].iter().zip(FaultKind::ALL) {
            assert_eq!(word, kind.name());
            assert_eq!(serde_json::json!(kind), kind.name());
            let choice = FaultChoice::from_str(word, false).unwrap();
            assert_eq!(FaultPlan::of(&[choice], 1, 0.1).kinds, [kind].into());
        }
        let all = FaultPlan::of(&[FaultChoice(None)], 1, 0.1);
        assert_eq!(all.kinds, FaultKind::ALL.into());
    }
}
