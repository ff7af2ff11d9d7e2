//! Does it: decides about each call, invocation and delivery, and counts what was done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_endpoint::{CallInfo, Fault, Faults};
use lambda_host::delivery_faults::DeliveryFaults;

use super::dice::Throw;
use super::{Dice, FaultKind, FaultPlan};
use crate::history::History;
use crate::programs::FUNCTION_CALLER;

/// The kinds that hit a call to AWS.
const OF_CALLS: [FaultKind; 5] = [
    FaultKind::Throttle,
    FaultKind::Timeout,
    FaultKind::LostAnswer,
    FaultKind::InternalError,
    FaultKind::PartialPutEvents,
];
/// One timeout in so many is longer than the SDK waits for an answer.
const LONG_ONE_IN: u64 = 8;
/// The SDK gives up an attempt after 3 s.
const LONG_TIMEOUT: Duration = Duration::from_millis(3500);
/// Most milliseconds of the other timeouts.
const SHORT_TIMEOUT_MILLIS: u64 = 400;
/// Most milliseconds that an invocation runs before it is killed.
const KILL_MILLIS: u64 = 25;
/// Most milliseconds that a delivery is late, or comes again after.
const LATE_MILLIS: u64 = 1000;

/// Makes things go wrong as planned.
pub(crate) struct Injector {
    plan: FaultPlan,
    dice: Dice,
    /// How often something happened at a place.
    seen: Mutex<HashMap<String, u64>>,
    history: Arc<History>,
}

impl Injector {
    pub(crate) fn new(plan: FaultPlan, history: Arc<History>) -> Self {
        Self {
            dice: Dice::new(plan.seed),
            plan,
            seen: Mutex::default(),
            history,
        }
    }

    /// After what time the process that has this invocation is to be killed; none lets it live.
    pub(crate) fn kill_after(&self, function: &str) -> Option<Duration> {
        let mut throw = self.hit(FaultKind::Kill, function)?;
        Some(Duration::from_millis(throw.below(KILL_MILLIS)))
    }

    /// Whether a rule delivers this event to the function twice.
    pub(crate) fn delivers_twice(&self, function: &str) -> bool {
        let hit = self.hit_at(FaultKind::Duplicate, "rule", function);
        hit.is_some() && self.done(FaultKind::Duplicate)
    }

    /// Notes that a fault was done.
    pub(crate) fn done(&self, kind: FaultKind) -> bool {
        self.history.fault(kind);
        true
    }

    fn hit(&self, kind: FaultKind, function: &str) -> Option<Throw> {
        self.hit_at(kind, "", function)
    }

    /// The throw that decides how, if what happens at this place now is hit.
    fn hit_at(&self, kind: FaultKind, place: &str, function: &str) -> Option<Throw> {
        if !self.plan.has(kind) {
            return None;
        }
        self.throw(&format!("{} {place} {function}", kind.name()))
    }

    fn throw(&self, place: &str) -> Option<Throw> {
        let nth = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = seen.entry(place.to_owned()).or_default();
            *nth += 1;
            *nth
        };
        let mut throw = self.dice.throw(place, nth);
        throw.falls_into(self.plan.rate).then_some(throw)
    }

    fn late(&self, kind: FaultKind, function: &str) -> Option<Duration> {
        let mut throw = self.hit(kind, function)?;
        self.done(kind);
        Some(Duration::from_millis(throw.below(LATE_MILLIS)))
    }
}

impl Faults for Injector {
    fn decide(&self, call: &CallInfo<'_>) -> Fault {
        // Only functions meet faults: everybody else is the platform or its operator.
        let Some(function) = call.caller.strip_prefix(FUNCTION_CALLER) else {
            return Fault::None;
        };
        let is_publish = matches!(call.operation, "PutEvents" | "PutRecords");
        let kinds: Vec<FaultKind> = OF_CALLS
            .into_iter()
            .filter(|kind| self.plan.has(*kind))
            .filter(|kind| is_publish || *kind != FaultKind::PartialPutEvents)
            .collect();
        if kinds.is_empty() {
            return Fault::None;
        }
        let place = format!("call {function} {} {}", call.service, call.operation);
        let Some(mut throw) = self.throw(&place) else {
            return Fault::None;
        };
        let index = throw.below(kinds.len() as u64);
        let kind = usize::try_from(index).ok().and_then(|at| kinds.get(at));
        let Some(kind) = kind.copied() else {
            return Fault::None;
        };
        self.done(kind);
        match kind {
            FaultKind::Throttle => Fault::Throttle,
            FaultKind::Timeout => Fault::TimeoutBefore(timeout(&mut throw)),
            FaultKind::LostAnswer => Fault::WrittenButNoAnswer,
            FaultKind::PartialPutEvents => {
                Fault::PartialEntries(some_entries(&mut throw, call.request))
            }
            _ => Fault::InternalError,
        }
    }
}

impl DeliveryFaults for Injector {
    fn delay(&self, function: &str) -> Option<Duration> {
        self.late(FaultKind::Delay, function)
    }

    fn again(&self, function: &str) -> Option<Duration> {
        self.late(FaultKind::Duplicate, function)
    }
}

fn timeout(throw: &mut Throw) -> Duration {
    if throw.below(LONG_ONE_IN) == 0 {
        LONG_TIMEOUT
    } else {
        Duration::from_millis(throw.below(SHORT_TIMEOUT_MILLIS))
    }
}

/// Some of the entries, at least one.
fn some_entries(throw: &mut Throw, request: &serde_json::Value) -> Vec<usize> {
    let told = request["Entries"]
        .as_array()
        .or(request["Records"].as_array());
    let entries = told.map_or(0, Vec::len);
    let sure = usize::try_from(throw.below(entries as u64)).unwrap_or(0);
    (0..entries)
        .filter(|index| *index == sure || throw.below(2) == 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultChoice;
    use clap::ValueEnum as _;
    use serde_json::json;

    fn injector(words: &[&str], rate: f64) -> (Injector, Arc<History>) {
        let choices: Vec<FaultChoice> = words
            .iter()
            .map(|word| FaultChoice::from_str(word, false).unwrap())
            .collect();
        let history = Arc::new(History::in_memory(false));
        let plan = FaultPlan::of(&choices, 7, rate);
        (Injector::new(plan, Arc::clone(&history)), history)
    }

    fn decide(injector: &Injector, caller: &str, operation: &str) -> Fault {
        let request = json!({"Entries": [{}, {}, {}]});
        injector.decide(&CallInfo {
            caller,
            service: "any",
            operation,
            request: &request,
        })
    }

    #[test]
    fn functions_are_hit_and_nobody_else() {
        let (injector, history) = injector(&["throttle"], 1.0);
        for caller in ["local", "anonymous"] {
            assert_eq!(decide(&injector, caller, "PutItem"), Fault::None);
        }
        assert_eq!(history.faults().len(), 0);
        let caller = crate::programs::caller("place-order");
        assert_eq!(decide(&injector, &caller, "PutItem"), Fault::Throttle);
        assert_eq!(history.faults()[&FaultKind::Throttle], 1);
    }

    #[test]
    fn the_same_seed_hits_the_same_calls_whatever_others_do() {
        let caller = crate::programs::caller("notify-user");
        let alone = injector(&["all"], 0.2).0;
        let calls: Vec<Fault> = (0..200)
            .map(|_| decide(&alone, &caller, "PutItem"))
            .collect();
        let among_others = injector(&["all"], 0.2).0;
        let same: Vec<Fault> = (0..200)
            .map(|_| {
                decide(&among_others, "local-place-order", "PutItem");
                decide(&among_others, &caller, "PutItem")
            })
            .collect();
        assert_eq!(calls, same);
        assert!(calls.contains(&Fault::WrittenButNoAnswer));
        assert!(calls.contains(&Fault::None));
        let partial = |fault: &Fault| matches!(fault, Fault::PartialEntries(_));
        assert!(
            !calls.iter().any(partial),
            "only what puts many has entries"
        );
    }

    #[test]
    fn of_a_put_events_at_least_one_entry_fails_and_often_not_all() {
        let injector = injector(&["partial-put-events"], 1.0).0;
        let caller = crate::programs::caller("publish-events");
        let mut counts = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let Fault::PartialEntries(failing) = decide(&injector, &caller, "PutEvents") else {
                panic!("every call is hit");
            };
            counts.insert(failing.len());
        }
        assert_eq!(counts, [1, 2, 3].into());
    }

    #[test]
    fn what_was_not_asked_for_does_not_happen() {
        let injector = injector(&["restart"], 1.0).0;
        assert_eq!(injector.kill_after("notify-user"), None);
        assert_eq!(injector.delay("notify-user"), None);
        assert_eq!(injector.again("notify-user"), None);
        assert!(!injector.delivers_twice("notify-user"));
        let caller = crate::programs::caller("notify-user");
        assert_eq!(decide(&injector, &caller, "PutItem"), Fault::None);
    }
}
