//! What happened that no table tells: what was put on the buses, what was given up, what the
//! payment gateway did, what went wrong on purpose.
//!
//! With a data directory it is kept in `history.jsonl` there, one line each, with the operating
//! system before anybody is answered: so the invariants can be judged over a system that was
//! killed in between.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use invariants::{GatewayMove, Published};
use serde::{Deserialize, Serialize};

use crate::faults::FaultKind;
use crate::queues::DeadLetter;

/// What happened.
///
/// Stored format: read by the same version only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Entry {
    Published(Published),
    GivenUp(DeadLetter),
    Gateway(GatewayMove),
    Fault(FaultKind),
}

/// All that happened, if it is to be remembered.
#[derive(Debug, Default)]
pub(crate) struct History {
    keep: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    published: Vec<Published>,
    given_up: Vec<DeadLetter>,
    gateway: Vec<GatewayMove>,
    faults: BTreeMap<FaultKind, u64>,
    file: Option<File>,
}

impl History {
    /// Remembers as long as it lives. Without `keep` only faults are counted.
    pub(crate) fn in_memory(keep: bool) -> Self {
        Self {
            keep,
            state: Mutex::default(),
        }
    }

    /// Whether everything is remembered.
    pub(crate) fn keeps(&self) -> bool {
        self.keep
    }

    /// Remembers in a file, too, and what is in it already.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut kept = Vec::new();
        file.read_to_end(&mut kept)?;
        // What the end of a process cut off did not happen: nobody was answered.
        let whole = kept.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        let mut state = State::default();
        for (index, line) in kept[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let entry = serde_json::from_slice(line).map_err(|error| {
                let problem = format!("line {} is damaged ({error})", index + 1);
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?;
            state.add(entry);
        }
        state.file = Some(file);
        Ok(Self {
            keep: true,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, entry: Entry) {
        if self.keep {
            let mut state = self.state();
            state.write(&entry);
            state.add(entry);
        }
    }

    /// A bus accepted an event.
    pub(crate) fn published(&self, event: Published) {
        self.remember(Entry::Published(event));
    }

    /// A delivery gave something up.
    pub(crate) fn given_up(&self, letter: DeadLetter) {
        self.remember(Entry::GivenUp(letter));
    }

    /// The payment gateway did something.
    pub(crate) fn gateway(&self, moved: GatewayMove) {
        self.remember(Entry::Gateway(moved));
    }

    /// Something went wrong on purpose. Counted in any case.
    pub(crate) fn fault(&self, kind: FaultKind) {
        let mut state = self.state();
        let entry = Entry::Fault(kind);
        state.write(&entry);
        state.add(entry);
    }

    /// What was put on the buses.
    pub(crate) fn all_published(&self) -> Vec<Published> {
        self.state().published.clone()
    }

    /// What was given up.
    pub(crate) fn all_given_up(&self) -> Vec<DeadLetter> {
        self.state().given_up.clone()
    }

    /// What the gateway did.
    pub(crate) fn gateway_moves(&self) -> Vec<GatewayMove> {
        self.state().gateway.clone()
    }

    /// How much went wrong on purpose, by kind.
    pub(crate) fn faults(&self) -> BTreeMap<FaultKind, u64> {
        self.state().faults.clone()
    }
}

impl State {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Published(event) => self.published.push(event),
            Entry::GivenUp(letter) => self.given_up.push(letter),
            Entry::Gateway(moved) => self.gateway.push(moved),
            Entry::Fault(kind) => *self.faults.entry(kind).or_default() += 1,
        }
    }

    /// A line that cannot be written is missing after a restart: then an invariant is found
    /// broken that is not, never the other way round.
    fn write(&mut self, entry: &Entry) {
        if let (Some(file), Ok(mut line)) = (&mut self.file, serde_json::to_vec(entry)) {
            line.push(b'\n');
            let _ = file.write_all(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn published(id: &str) -> Published {
        Published {
            bus: "orders".to_owned(),
            source: "orderflow".to_owned(),
            detail: serde_json::from_str(&format!(r#"{{"eventId":"{id}","n":1.50}}"#)).unwrap(),
        }
    }

    #[test]
    fn what_happened_is_known_after_a_restart_to_the_digit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let letter = DeadLetter {
            queue: "dlq".to_owned(),
            body: "{}".to_owned(),
            attributes: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            records: vec![json!({"n": 1})],
        };
        let moved = GatewayMove::Refunded {
            key: "refund-1".to_owned(),
            payment: "sim_charge-1".to_owned(),
        };
        let first = History::open(&path).unwrap();
        first.published(published("1"));
        first.given_up(letter.clone());
        first.gateway(moved.clone());
        first.fault(FaultKind::LostAnswer);
        first.fault(FaultKind::LostAnswer);
        drop(first);
        let second = History::open(&path).unwrap();
        second.published(published("2"));
        let third = History::open(&path).unwrap();
        assert_eq!(third.all_published(), [published("1"), published("2")]);
        assert_eq!(third.all_given_up(), [letter]);
        assert_eq!(third.gateway_moves(), [moved]);
        assert_eq!(third.faults(), [(FaultKind::LostAnswer, 2)].into());
    }

    #[test]
    fn a_line_that_was_cut_did_not_happen_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "{\"fault\":\"kill\"}\n{\"fault\":\"ki").unwrap();
        let history = History::open(&path).unwrap();
        history.fault(FaultKind::Kill);
        drop(history);
        let again = History::open(&path).unwrap();
        assert_eq!(again.faults(), [(FaultKind::Kill, 2)].into());
        std::fs::write(&path, "{\"fault\":\"kill\"}\n{oops\n").unwrap();
        let refused = History::open(&path).err().unwrap().to_string();
        assert!(refused.contains("line 2"), "{refused}");
    }

    #[test]
    fn what_nobody_wants_to_know_is_not_kept() {
        let history = History::in_memory(false);
        history.published(published("1"));
        history.fault(FaultKind::Kill);
        assert_eq!(history.all_published(), []);
        assert_eq!(history.faults(), [(FaultKind::Kill, 1)].into());
    }
}
